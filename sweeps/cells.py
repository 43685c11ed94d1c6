"""One model on one pair of zoos, over all its seeds: what a cell of a table is made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

import numpy as np

from sne.resampling import Estimate, Networks, Resampling
from sne.tables import number_networks
from sweeps.errors import ResultsError
from sweeps.measures import Measure
from sweeps.results import (
    NOT_APPLICABLE,
    OK,
    UNTRAINED,
    Status,
    finished,
    read_predictions,
    read_results,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cell:
    """Predictions of one zoo's networks by the trials of one model, one for each seed."""

    trials: tuple[str, ...]
    """Hashes."""
    values: tuple[float | None, ...]
    """The figure of each trial, as its results have it."""
    status: Status
    """`not trained enough` if any of its trials is."""
    reason: str | None
    target: Any = None
    """Of each network; None if the model cannot take them."""
    predictions: tuple[Any, ...] = ()
    """Of each trial, in the same order of networks."""
    networks: Networks | None = None
    """Of each row, where rows are several checkpoints of a network."""

    @property
    def rankable(self) -> bool:
        """Whether it can be compared with others and be marked."""
        return self.status == OK and all(value is not None for value in self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds."""
        known = [value for value in self.values if value is not None]
        return stdev(known) if len(known) > 1 else None

    def estimate(self, measure: Measure, resampling: Resampling) -> Estimate | None:
        """The mean over seeds, with its interval over networks; None if there is no figure."""
        if not self.predictions:
            return None
        return measure.mean(
            self.target, self.predictions, resampling=resampling, networks=self.networks
        )

    def difference(self, other: "Cell", measure: Measure, resampling: Resampling) -> Estimate:
        """This mean less the other's, paired by network.

        Raises:
            ResultsError: the two were tested on different networks.
        """
        if not np.array_equal(self.target, other.target):
            raise ResultsError(
                f"trials {self.trials[0]} and {other.trials[0]} were tested on different networks "
                "of one zoo: leave out neither --status nor --checkpoints in one of them"
            )
        return measure.difference(
            self.target,
            self.predictions,
            other.predictions,
            resampling=resampling,
            networks=self.networks,
        )


def read_cell(folder: Path, trials: Sequence[str], zoo: str, metric: str) -> Cell:
    """A cell from a results folder.

    Args:
        folder: of the results.
        trials: hashes, one for each seed; all must be done.
        zoo: hash of the zoo that was tested on.
        metric: name of the figure.

    Raises:
        ResultsError: a result is missing or damaged, or lacks the zoo or the figure.
    """
    rows = [_row(folder, trial, zoo, metric) for trial in trials]
    refused = next((row for row in rows if row["status"] == NOT_APPLICABLE), None)
    if refused is not None:
        return Cell(
            trials=tuple(trials),
            values=tuple(None for _ in rows),
            status=NOT_APPLICABLE,
            reason=refused["reason"],
        )
    doubtful = next((row for row in rows if row["status"] == UNTRAINED), None)
    missing = next((row for row in rows if row["value"] is None), None)
    said = doubtful or missing
    tables = list(_predicted(folder, trials, zoo))
    return Cell(
        trials=tuple(trials),
        values=tuple(row["value"] for row in rows),
        status=OK if doubtful is None else UNTRAINED,
        reason=None if said is None else said["reason"],
        target=tables[0].column("target").to_numpy(),
        predictions=tuple(table.column("prediction").to_numpy() for table in tables),
        networks=number_networks(tables[0]),
    )


def read_or_failed(
    folder: Path, trials: Sequence[str], zoo: str, metric: str, *, failed: Mapping[str, str]
) -> Cell:
    """A cell; without a figure where a trial of it has failed or has no result.

    Args:
        folder, trials, zoo, metric: as `read_cell`.
        failed: trials without a result, with the reason.
    """
    there = finished(folder)
    for trial in trials:
        if trial in failed or trial not in there:
            return empty_cell(f"failed: {failed.get(trial, 'no result')}", trials)
    return read_cell(folder, trials, zoo, metric)


def empty_cell(reason: str, trials: Sequence[str] = ()) -> Cell:
    """A cell without a figure, and why; never ranked."""
    values = tuple(None for _ in trials) or (None,)
    return Cell(trials=tuple(trials), values=values, status=OK, reason=reason)


def _row(folder: Path, trial: str, zoo: str, metric: str) -> dict[str, Any]:
    rows = [
        row
        for row in read_results(folder, [trial]).to_pylist()
        if row["test_zoo"] is not None and row["test_zoo"]["hash"] == zoo
    ]
    for row in rows:
        if row["metric"] == metric or row["status"] == NOT_APPLICABLE:
            return row
    known = ", ".join(row["metric"] for row in rows)
    raise ResultsError(
        f"trial {trial} has no {metric} on zoo {zoo[:8]}; it has: {known or 'nothing of that zoo'}"
    )


def _predicted(folder: Path, trials: Sequence[str], zoo: str) -> Iterator[Any]:
    for trial in trials:
        table = read_predictions(folder, trial)
        if table is None:
            raise ResultsError(f"{folder} has lost the predictions of trial {trial}")
        own = table.filter([name == zoo for name in table.column("zoo").to_pylist()])
        yield own.sort_by([("member", "ascending"), ("epoch", "ascending")])
