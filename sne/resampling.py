"""Estimates with intervals: networks drawn again with replacement, the same way for every model.

A resample is a row of counts, how often each network was drawn, so that sums over a resample are
matrix products. Source: Efron's percentile bootstrap; the unit is the network, never a checkpoint.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int

COUNTS_AT_ONCE = 8_000_000
"""Counts in memory at a time (32 MB)."""
SMALLEST = 3
"""Networks below which no interval is given."""
PERCENTILE = "percentile bootstrap over networks"

Counts: TypeAlias = Float[np.ndarray, "resamples n"]
Networks: TypeAlias = Int[np.ndarray, " n"]
"""For each row the number of its network, from 0: several checkpoints of one are drawn together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resampling:
    """How intervals are made."""

    seed: int = 0
    """Equal seeds draw equal networks, which makes intervals of several models comparable."""
    resamples: int = 1000
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 1 or not 0 < self.level < 1:
            raise ValueError(f"wanted resamples from 1 and a level in (0, 1), got {self}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A measured number, its interval and how many networks it rests on."""

    value: float | None
    """None: there is no such number, and `reason` says why."""
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    method: str = ""
    """Of the interval; empty where there is none."""
    n: int
    """Networks."""
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def resampled_counts(n: int, resampling: Resampling) -> Iterator[Counts]:
    """How often each of n networks is drawn in each resample, some resamples at a time."""
    rng = np.random.default_rng((resampling.seed, n))
    at_once = max(1, COUNTS_AT_ONCE // max(n, 1))
    for first in range(0, resampling.resamples, at_once):
        rows = min(at_once, resampling.resamples - first)
        drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.reshape(-1), minlength=rows * n)
        yield counts.reshape(rows, n).astype(np.float32)


def count_networks(networks: Networks) -> int:
    """Different networks among the rows."""
    return int(networks.max()) + 1 if networks.size else 0


def bootstrap(
    value: float | None,
    statistic: Callable[[Counts], Float[np.ndarray, " resamples"]],
    *,
    n: int,
    resampling: Resampling,
    networks: Networks | None = None,
) -> Estimate:
    """A percentile interval for a statistic of the networks.

    Args:
        value: the statistic of the networks themselves.
        statistic: of each row of counts; NaN where a resample has none (all networks equal).
        n: rows.
        resampling: seed, number and level.
        networks: of each row; None: each row is a network of its own.
    """
    if networks is not None:
        n = count_networks(networks)
    if value is None or n < SMALLEST:
        reason = None if value is not None else "the statistic is not defined on these networks"
        return Estimate(value=value, level=resampling.level, n=n, reason=reason)
    counts = resampled_counts(n, resampling)
    rows = counts if networks is None else (c[:, networks] for c in counts)
    drawn = np.concatenate([statistic(c) for c in rows])
    drawn = drawn[np.isfinite(drawn)]
    # Where most resamples have no such statistic, the rest say little about it.
    if 2 * drawn.size < resampling.resamples:
        return Estimate(value=value, level=resampling.level, n=n)
    tail = (1 - resampling.level) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail)).tolist()
    return Estimate(value=value, low=low, high=high, level=resampling.level, method=PERCENTILE, n=n)
