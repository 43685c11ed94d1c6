"""How measured numbers are spread over the networks of a zoo: pure functions of a table's columns.

A network counts once, at its last checkpoint. Networks without a measurement (diverged ones) are
left out of a spread and counted elsewhere, by their status.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from zoogen.summary import ALL

SPLITS = ("train", "val", "test")
STATUSES = ("ok", "diverged", "unfitted")
# Shares of correct answers are quotients; two ways to the same quotient may differ in the last bit.
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Quantiles of one number over networks."""

    networks: int
    minimum: float
    p10: float
    median: float
    p90: float
    maximum: float
    mean: float
    at_or_below: Mapping[float, float]
    """For each threshold the share of networks at or below it."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; thresholds become text, as JSON wants it."""
        shares = {f"{threshold:g}": share for threshold, share in self.at_or_below.items()}
        return {**asdict(self), "at_or_below": shares}


def spread(values: Float[np.ndarray, " n"], *, thresholds: Sequence[float] = ()) -> Spread | None:
    """The spread of the measured values; None if there are none.

    Args:
        values: NaN where nothing was measured.
        thresholds: for `Spread.at_or_below`.
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, p10, median, p90, high = (float(q) for q in np.quantile(known, (0, 0.1, 0.5, 0.9, 1)))
    return Spread(
        networks=int(known.size),
        minimum=low,
        p10=p10,
        median=median,
        p90=p90,
        maximum=high,
        mean=float(known.mean()),
        at_or_below={t: float(np.mean(known <= t + ROUNDING)) for t in thresholds},
    )


def final_rows(table: Any) -> Any:
    """One row for each network, its last checkpoint, ordered by member.

    Args:
        table: a `pyarrow.Table` with the columns `member` and `epoch`, in any order.
    """
    member, epoch = numbers(table, "member"), numbers(table, "epoch")
    order = np.lexsort((epoch, member))
    last = np.append(np.diff(member[order]) != 0, True) if order.size else order
    return table.take(pa.array(order[last.astype(bool)]))


def numbers(table: Any, name: str) -> Float[np.ndarray, " n"]:
    """A column as float64, NaN where it is null."""
    # Not safe: random seeds of 63 bits lose their last bits, which say nothing.
    return table.column(name).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def words(table: Any, name: str) -> np.ndarray:
    """A text column as an array of `str`."""
    return np.array(table.column(name).to_pylist(), dtype=object)


def status_counts(final: Any) -> dict[str, int]:
    """How many networks ended with each status."""
    found = words(final, "status")
    return {status: int(np.sum(found == status)) for status in STATUSES}


def spread_by_split(
    final: Any, column: str, *, thresholds: Sequence[float] = ()
) -> dict[str, Spread]:
    """The spread over all networks and over those of each split that has any."""
    values, split = numbers(final, column), words(final, "split")
    chosen = {ALL: np.ones(len(values), bool), **{s: split == s for s in SPLITS}}
    found = {s: spread(values[mask], thresholds=thresholds) for s, mask in chosen.items()}
    return {name: each for name, each in found.items() if each is not None}


def curve(table: Any, column: str, checkpoints: Sequence[int]) -> dict[int, Spread]:
    """The spread at each checkpoint, over the networks measured there."""
    values, epoch = numbers(table, column), numbers(table, "epoch")
    found = {c: spread(values[epoch == c]) for c in checkpoints}
    return {c: each for c, each in found.items() if each is not None}


def worst(values: Float[np.ndarray, " n"], *, count: int, largest: bool) -> Int[np.ndarray, " k"]:
    """Places of the worst measured values, the worst first; ties in order of place."""
    known = np.flatnonzero(~np.isnan(values))
    ranks = np.argsort(-values[known] if largest else values[known], kind="stable")
    return known[ranks[:count]]
