"""What a sweep asked for: its trials by hash, each under the table and row that it stands in.

Results are kept by content and know no tables; `sweep.json` says which of them a sweep is about.
One trial may stand in several tables: the default setting is a row of every ablation.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from sne.errors import DataError
from sne.files import read_json, write_json
from sweeps.errors import ResultsError
from sweeps.results import finished, read_results

ASKED = "sweep.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One trial's place."""

    trial: str
    """Hash."""
    table: str
    """For example `chunk size`; of a matrix the model."""
    row: str
    """For example `16`; of a matrix the training zoo."""
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One sweep."""

    kind: str
    """matrix, ablation, search, or a table's name."""
    command: str
    """As it was typed."""
    entries: tuple[Entry, ...]
    """In the order of the tables."""
    test_zoos: tuple[str, ...]
    """Hashes of the zoos that are tested on, in order."""
    notes: tuple[str, ...] = ()
    """What a reader must know of all of it, for instance the budget."""

    @property
    def places(self) -> dict[tuple[str, str], list[str]]:
        """The trials of each (table, row), one for each seed, in order."""
        found: dict[tuple[str, str], list[str]] = {}
        for entry in self.entries:
            found.setdefault((entry.table, entry.row), []).append(entry.trial)
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"format": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Asked":
        """The inverse of `to_json`, also after a round trip through JSON text."""
        return cls(
            kind=value["kind"],
            command=value["command"],
            entries=tuple(Entry(**entry) for entry in value["entries"]),
            test_zoos=tuple(value["test_zoos"]),
            notes=tuple(value["notes"]),
        )


def asked_figures(folder: Path, asked: Asked) -> Any:
    """The figures that a sweep asked for and that are there, in its order, as `read_results`.

    Raises:
        ResultsError: none are there yet, or a file is damaged.
    """
    there = finished(folder)
    wanted = dict.fromkeys(entry.trial for entry in asked.entries)
    figures = read_results(folder, [trial for trial in wanted if trial in there])
    tested = figures.column("test_zoo").to_pylist()
    return figures.filter(
        pa.array([zoo is None or zoo["hash"] in asked.test_zoos for zoo in tested], pa.bool_())
    )


def write_asked(folder: Path, asked: Asked) -> None:
    """Note in a results folder what was asked for last."""
    write_json(folder / ASKED, asked.to_json())


def read_asked(folder: Path) -> Asked:
    """What a results folder was made for.

    Raises:
        ResultsError: the note is missing, damaged or of another format.
    """
    path = folder / ASKED
    if not path.exists():
        raise ResultsError(f"{folder} is no sweep's folder: it has no {ASKED}")
    try:
        value = read_json(path)
        if value["format"] != FORMAT_VERSION:
            raise ResultsError(
                f"{path} has format {value['format']}, this version reads {FORMAT_VERSION}: the "
                "same sweep again writes it anew"
            )
        return Asked.from_json(value)
    except (DataError, KeyError, TypeError) as error:
        raise ResultsError(
            f"{path} is damaged ({error}): the same sweep again writes it anew"
        ) from error
