"""A results folder as the page needs it: what was asked for, and what became of each trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.asked import Asked, asked_figures, read_asked
from sweeps.attempt import failure_records
from sweeps.results import read_where, zoo_names, zoos_of

Json = Mapping[str, Any]
ANOTHER_CALL = "no result yet: the command of this sweep goes on with it"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Place:
    """One row of a table, with the trials that stand there."""

    id: str
    """Of its element on the page."""
    table: str
    row: str
    trials: tuple[str, ...]
    """Hashes, one for each seed."""
    seeds: tuple[int, ...]

    @property
    def title(self) -> str:
        """For headings."""
        return f"{self.table}: {self.row}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Folder:
    """One sweep's results, read."""

    path: Path
    asked: Asked
    places: tuple[Place, ...]
    rows: Mapping[str, Sequence[Json]]
    """Figures of each trial that is done, as in its Parquet file."""
    names: Mapping[str, str]
    """Of zoos, by hash."""
    where: Mapping[str, Json]
    """Machine, time, command and paths of each trial that is done."""
    failures: Mapping[str, Json]
    """Error and traceback of trials whose last attempt failed."""

    @property
    def trials(self) -> tuple[str, ...]:
        """Hashes of all that were asked for, in order, each once."""
        return tuple(dict.fromkeys(entry.trial for entry in self.asked.entries))

    @property
    def test_zoos(self) -> tuple[str, ...]:
        """Hashes of those with results, in the order asked for."""
        return tuple(zoo for zoo in self.asked.test_zoos if zoo in self.names)

    @property
    def first_rows(self) -> tuple[Json, ...]:
        """One row of each trial that is done: what all its rows say alike."""
        return tuple(rows[0] for rows in self.rows.values())

    def missing(self, trial: str) -> str | None:
        """Why a trial has no result, in one sentence; None if it has one."""
        if trial in self.rows:
            return None
        record = self.failures.get(trial)
        return ANOTHER_CALL if record is None else f"failed: {record['error']}"

    def has(self, place: Place, zoo: str, metric: str | None = None) -> bool:
        """Whether all trials of a place are done and say something of this zoo (and metric)."""
        return all(
            any(
                row["test_zoo"] is not None
                and row["test_zoo"]["hash"] == zoo
                and (metric is None or row["metric"] == metric or row["status"] == "n/a")
                for row in self.rows.get(trial, ())
            )
            for trial in place.trials
        )


def read_folder(path: Path) -> Folder:
    """What a sweep's folder holds.

    Raises:
        ResultsError: it is no sweep's folder, or empty, or something in it is damaged.
    """
    asked = read_asked(path)
    figures = asked_figures(path, asked)
    rows: dict[str, list[Json]] = {}
    for row in figures.to_pylist():
        rows.setdefault(row["trial"], []).append(row)
    seeds: dict[tuple[str, str], list[int]] = {}
    for entry in asked.entries:
        seeds.setdefault((entry.table, entry.row), []).append(entry.seed)
    return Folder(
        path=path,
        asked=asked,
        places=tuple(
            Place(
                id=f"place-{number}",
                table=table,
                row=row,
                trials=tuple(own),
                seeds=tuple(seeds[table, row]),
            )
            for number, ((table, row), own) in enumerate(asked.places.items())
        ),
        rows=rows,
        names=zoo_names(zoos_of(figures)),
        where={trial: read_where(path, trial) for trial in rows},
        failures=failure_records(path),
    )
