"""Which cells of a row are among the best, and averages over cells: Tables 5 and 8's conventions.

The best is the one with the best mean over seeds; marked with it is every other whose paired
difference to it has 0 in its interval. What was not trained enough, or has no figure, is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from sne.resampling import Estimate, Resampling
from sweeps.cells import Cell
from sweeps.measures import Measure
from sweeps.results import NOT_APPLICABLE, OK, UNTRAINED, Status
from sweeps.tables import Entry

MISSING_PART = "an average needs a figure of each of its cells"


def mark_row(
    cells: Sequence[Cell], measure: Measure, *, resampling: Resampling | None = None
) -> tuple[Entry, ...]:
    """The entries of one row, one for each cell, the best marked."""
    how = resampling or Resampling()
    entries = [entry_of(cell, measure, how) for cell in cells]
    best = best_of([(c.rankable, e.value) for c, e in zip(cells, entries, strict=True)], measure)
    if best is None:
        return tuple(entries)
    return tuple(
        replace(entry, marked=True)
        if cell.rankable
        and (cell is cells[best] or _undecided(cell.difference(cells[best], measure, how)))
        else entry
        for cell, entry in zip(cells, entries, strict=True)
    )


def mark_told(
    cells: Sequence[Cell], measure: Measure, *, resampling: Resampling | None = None
) -> tuple[Entry, ...]:
    """`mark_row`, but what a constant could have too is told of and never marked."""
    how = resampling or Resampling()
    return tuple(
        told(entry, cell, measure, how)
        for cell, entry in zip(cells, mark_row(cells, measure, resampling=how), strict=True)
    )


def average_row(
    columns: Sequence[Sequence[Cell]], measure: Measure, *, resampling: Resampling | None = None
) -> tuple[Entry, ...]:
    """Means over several pairs of zoos, one for each model; the best marked.

    Zoos are drawn independently of one another, so the half-widths of their intervals add up as
    squares.

    Args:
        columns: for each model its cells, in the same order of zoos.
        measure: what is averaged.
        resampling: of the intervals.
    """
    how = resampling or Resampling()
    entries = [_average(cells, measure, how) for cells in columns]
    usable = [all(cell.rankable for cell in cells) for cells in columns]
    best = best_of([(u, e.value) for u, e in zip(usable, entries, strict=True)], measure)
    if best is None:
        return tuple(entries)
    leader = columns[best]
    return tuple(
        replace(entry, marked=True)
        if able and (cells is leader or _undecided(_mean_difference(cells, leader, measure, how)))
        else entry
        for cells, able, entry in zip(columns, usable, entries, strict=True)
    )


def entry_of(cell: Cell, measure: Measure, resampling: Resampling) -> Entry:
    """A cell's figure, unmarked."""
    estimate = cell.estimate(measure, resampling)
    if estimate is None:
        return Entry(status=cell.status, reason=cell.reason)
    return Entry(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        spread=cell.spread,
        status=cell.status,
        reason=cell.reason if estimate.value is None else None,
    )


def told(entry: Entry, cell: Cell, measure: Measure, resampling: Resampling) -> Entry:
    """A cell's entry, with word of it where a constant could have it too."""
    if not is_doubtful(cell, measure, resampling):
        return entry
    return replace(entry, doubtful=True, marked=False)


def is_doubtful(cell: Cell, measure: Measure, resampling: Resampling) -> bool:
    """Whether a cell is not told from the best constant on its test networks by its interval.

    A constant has no ranking, which is a τ of 0; the best constant of an error is the networks'
    own mean, which is more than a constant that knows the training networks alone can reach.
    """
    if not cell.predictions:
        return False
    if measure.name == "tau":
        low = getattr(cell.estimate(measure, resampling), "low", None)
        return low is None or low <= 0
    constant = [cell.target * 0 + cell.target.mean()]
    found = measure.difference(
        cell.target, cell.predictions, constant, resampling=resampling, networks=cell.networks
    )
    return found.high is None or found.high >= 0


def best_of(known: Sequence[tuple[bool, float | None]], measure: Measure) -> int | None:
    """The place of the best value among those that can be ranked; None if there is none."""
    sign = 1 if measure.higher_is_better else -1
    values = [
        (sign * value, -n) for n, (able, value) in enumerate(known) if able and value is not None
    ]
    return -max(values)[1] if values else None


def worst_status(known: Sequence[Status]) -> Status:
    """What is said of several cells together."""
    if NOT_APPLICABLE in known:
        return NOT_APPLICABLE
    return UNTRAINED if UNTRAINED in known else OK


def _undecided(difference: Estimate) -> bool:
    """Whether the interval holds 0; without an interval nothing is decided."""
    if difference.low is None or difference.high is None:
        return True
    return difference.low <= 0 <= difference.high


def _average(cells: Sequence[Cell], measure: Measure, how: Resampling) -> Entry:
    estimates = [cell.estimate(measure, how) for cell in cells]
    values = [e.value for e in estimates if e is not None and e.value is not None]
    status = worst_status([cell.status for cell in cells])
    if len(values) < len(cells):
        return Entry(status=status, reason=MISSING_PART)
    low, high = _interval([e for e in estimates if e is not None])
    return Entry(value=sum(values) / len(values), low=low, high=high, status=status)


def _mean_difference(
    cells: Sequence[Cell], others: Sequence[Cell], measure: Measure, how: Resampling
) -> Estimate:
    differences = [a.difference(b, measure, how) for a, b in zip(cells, others, strict=True)]
    value = sum(d.value or 0.0 for d in differences) / len(differences)
    low, high = _interval(differences)
    return replace(differences[0], value=value, low=low, high=high)


def _interval(estimates: Sequence[Estimate]) -> tuple[float | None, float | None]:
    """Of the mean of independent estimates."""
    halves, middle = [], 0.0
    for estimate in estimates:
        if estimate.value is None or estimate.low is None or estimate.high is None:
            return None, None
        halves.append((estimate.high - estimate.low) / 2)
        middle += estimate.value / len(estimates)
    half = math.sqrt(sum(h * h for h in halves)) / len(halves)
    return middle - half, middle + half
