"""What an artefact may cost, as it was planned: printed first, kept beside the results.

The laptop's epochs follow from how fast steps are on this machine, which is never the same twice.
So they are measured once, when the zoos are there, and kept: the same command again trains nothing
for longer or shorter.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sne.errors import DataError
from sne.files import read_json, write_json
from sweeps.errors import PlanError, ResultsError

FILE = "budget.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """One plan."""

    study: str
    scale: str
    minutes: float | None
    """None: the scale has none."""
    workers: int
    """Processes that the plan counted on."""
    zoos: Mapping[str, str] = field(default_factory=dict[str, str])
    """Folder of each zoo, by key."""
    members: int = 0
    """Of each whole zoo that was to be made; 0: none was."""
    zoos_s: float = 0.0
    """What making zoos took, or was to take."""
    epochs: Mapping[str, int] = field(default_factory=dict[str, int])
    """Of each pace; empty: not measured yet."""
    level_s: float = 0.0
    """Seconds of one process that each pace may take; what comes later gets as many."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"format": FORMAT_VERSION, **asdict(self)}


def read_budget(folder: Path) -> Budget | None:
    """What a results folder was planned with; None if nothing was.

    Raises:
        ResultsError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        value = dict(read_json(path))
        if value.pop("format") != FORMAT_VERSION:
            raise ResultsError(f"{path} is of another format: choose another --out")
        return Budget(**value)
    except (DataError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is damaged ({error}): remove it to plan anew") from error


def write_budget(folder: Path, budget: Budget) -> None:
    """Keep a plan; the folder must be held."""
    write_json(folder / FILE, budget.to_json())


def check_same(
    kept: Budget, folder: Path, *, study: str, scale: str, minutes: float | None
) -> None:
    """Whether what is asked for is what a folder was planned for (PlanError)."""
    for name, before, now in (
        ("artefact", kept.study, study),
        ("--scale", kept.scale, scale),
        ("--minutes", kept.minutes, minutes),
    ):
        if before != now:
            raise PlanError(
                f"{folder} was planned with {name} {before}, and {now} is asked for: plans are "
                "kept, so choose another --out"
            )
