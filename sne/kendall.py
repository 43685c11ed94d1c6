"""Kendall's τ-b between a target and a prediction, with its interval and the target's ties.

τ-b = (concordant − discordant pairs) / √((n0 − n1)(n0 − n2)), where n0 counts all pairs, n1 and n2
those tied in the prediction and in the target. A prediction without ties reaches at most
√((n0 − n2) / n0), the ceiling, which is reported beside each τ: half of an SVHN zoo sits at chance.

Intervals resample networks. Up to `BOOTSTRAP_LIMIT` networks this is the percentile bootstrap, as
products with the matrix of pair signs; a network drawn twice forms no pair with itself. Above, it
is the normal interval from τ's influence function (the delta method on Hájek projections of the
three U-statistics in τ-b, on the scale of artanh), which needs each network's own count of
concordant pairs and takes n log² n. A test holds the two against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import kendalltau, norm

from sne.resampling import Counts, Estimate, Networks, Resampling, bootstrap, count_networks

BOOTSTRAP_LIMIT = 2_000
"""Networks: the matrix of pair signs then takes 16 MB, and 1,000 resamples 8 GFLOP."""
INFLUENCE = "normal interval from the influence function"
NO_RANKING = "no ranking: the prediction is constant"
NO_TARGET = "no ranking to predict: the target is constant"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """How well a prediction ranks networks."""

    tau: Estimate
    tied: float | None
    """Share of the pairs of networks that have the same target; None below two networks."""
    ceiling: float | None
    """The largest τ-b that a prediction without ties can reach."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.tau.to_json(), "tied": self.tied, "ceiling": self.ceiling}


def kendall(
    target: Float[np.ndarray, " n"],
    prediction: Float[np.ndarray, " n"],
    *,
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Ranking:
    """τ-b with its interval; without a value where one of the two is constant.

    Args:
        target: of each row.
        prediction: of each row.
        resampling: of the interval.
        networks: of each row, where rows are several checkpoints of a network.

    Source: Kendall 1945; SciPy's `kendalltau`, the variant that published zoo results use.
    """
    how, n = resampling or Resampling(), target.size
    tied = tied_share(target)
    ceiling = None if tied is None else float(np.sqrt(1 - tied))
    missing = _no_value(target, prediction)
    if missing is not None:
        units = n if networks is None else count_networks(networks)
        tau = Estimate(value=None, level=how.level, n=units, reason=missing)
    elif n <= BOOTSTRAP_LIMIT:
        resampled = Resampled(target, prediction)
        value = _tau(target, prediction)
        tau = bootstrap(value, resampled, n=n, resampling=how, networks=networks)
    else:
        spread = influence(target, prediction)
        tau = _normal(_tau(target, prediction), spread, networks, level=how.level)
    return Ranking(tau=tau, tied=tied, ceiling=ceiling)


def kendall_difference(
    target: Float[np.ndarray, " n"],
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    *,
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Estimate:
    """τ-b of the first prediction less that of the second, on the same networks.

    The interval is paired: both are measured on the same drawn networks, so what makes networks
    hard for both cancels.
    """
    estimate = weighted_kendall(
        target, (first, second), (1.0, -1.0), resampling=resampling, networks=networks
    )
    return replace(estimate, method=f"paired {estimate.method}" if estimate.method else "")


def weighted_kendall(
    target: Float[np.ndarray, " n"],
    predictions: Sequence[Float[np.ndarray, " n"]],
    weights: Sequence[float],
    *,
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Estimate:
    """Σ weight · τ-b over predictions for the same networks, such as a mean or a difference.

    All are measured on the same drawn networks. Without a value where one of them ranks nothing.
    """
    how, n = resampling or Resampling(), target.size
    for prediction in predictions:
        if (missing := _no_value(target, prediction)) is not None:
            units = n if networks is None else count_networks(networks)
            return Estimate(value=None, level=how.level, n=units, reason=missing)
    value = sum(w * _tau(target, p) for w, p in zip(weights, predictions, strict=True))
    if n <= BOOTSTRAP_LIMIT:
        resampled = [Resampled(target, p) for p in predictions]

        def drawn(counts: Counts) -> Float[np.ndarray, " resamples"]:
            return sum(
                (w * r(counts) for w, r in zip(weights, resampled, strict=True)),
                start=np.zeros(len(counts)),
            )

        return bootstrap(value, drawn, n=n, resampling=how, networks=networks)
    spread = sum(
        (w * influence(target, p) for w, p in zip(weights, predictions, strict=True)),
        start=np.zeros(n),
    )
    error, units = _standard_error(spread, networks)
    half = _quantile(how.level) * error
    return Estimate(
        value=value,
        low=value - half,
        high=value + half,
        level=how.level,
        method=INFLUENCE,
        n=units,
    )


def tied_share(target: Float[np.ndarray, " n"]) -> float | None:
    """Share of the pairs that are tied; None where there is no pair."""
    n = target.size
    if n < 2:
        return None
    groups = np.unique(target, return_counts=True)[1].astype(float)
    return float((groups * (groups - 1)).sum() / (n * (n - 1)))


class Resampled:
    """τ-b of each resample of the networks, from counts of how often each was drawn."""

    def __init__(self, target: Float[np.ndarray, " n"], prediction: Float[np.ndarray, " n"]):
        signs = np.sign(target[:, None] - target[None, :])
        signs *= np.sign(prediction[:, None] - prediction[None, :])
        self._signs = signs.astype(np.float32)
        self._target, self._prediction = _Groups(target), _Groups(prediction)

    def __call__(self, counts: Counts) -> Float[np.ndarray, " resamples"]:
        """NaN where all drawn networks are equal in one of the two."""
        # Twice the number of pairs throughout.
        score = np.einsum("bi,bi->b", counts @ self._signs, counts, dtype=np.float64)
        untied = self._target.untied(counts) * self._prediction.untied(counts)
        return np.divide(score, np.sqrt(untied), out=np.full(len(counts), np.nan), where=untied > 0)


class _Groups:
    """Which networks have equal values."""

    def __init__(self, values: Float[np.ndarray, " n"]):
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))

    def untied(self, counts: Counts) -> Float[np.ndarray, " resamples"]:
        """Twice the pairs of different values in each resample."""
        sizes = np.add.reduceat(counts[:, self._order].astype(np.float64), self._starts, axis=1)
        return sizes.sum(axis=1) ** 2 - (sizes**2).sum(axis=1)


def influence(
    target: Float[np.ndarray, " n"], prediction: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """What each network adds to τ-b; its standard deviation over √n is τ's standard error."""
    others = target.size - 1
    score = concordance(target, prediction) / others
    left, right = _untied(target) / others, _untied(prediction) / others
    scale = np.sqrt(left.mean() * right.mean())
    tau = score.mean() / scale
    ties = left / left.mean() + right / right.mean()
    return 2 * score / scale - tau * ties


def concordance(
    target: Float[np.ndarray, " n"], prediction: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """For each network its concordant less its discordant pairs."""
    agree = _below(target, prediction) + _below(-target, -prediction)
    return (agree - _below(target, -prediction) - _below(-target, prediction)).astype(float)


def _below(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """For each i the number of j with x_j < x_i and y_j < y_i.

    Sorted by x, it is the number of smaller y before i: counted while blocks are merged, at each
    width what the right half of a block finds in its left half.
    """
    n = x.size
    # Equal x by falling y: then none of them stands before another with a smaller y.
    order = np.lexsort((-y, x))
    ranks = np.unique(y[order], return_inverse=True)[1].astype(np.int64)
    place, found, width = np.arange(n), np.zeros(n, dtype=np.int64), 1
    while width < n:
        block, left = place // (2 * width), place // width % 2 == 0
        # Right before left among equals, so that only smaller ones have been counted.
        merged = np.argsort((block * n + ranks) * 2 + left, kind="stable")
        seen = np.cumsum(left[merged])
        # All blocks before this one are full: `width` in each left half.
        found[merged] += np.where(left[merged], 0, seen - block[merged] * width)
        width *= 2
    out = np.empty(n, dtype=np.int64)
    out[order] = found
    return out


def _untied(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """For each network the number of others with another value."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (values.size - sizes[group]).astype(float)


def _normal(
    value: float, spread: Float[np.ndarray, " n"], networks: Networks | None, *, level: float
) -> Estimate:
    error, units = _standard_error(spread, networks)
    room = max(1 - value * value, np.finfo(float).tiny)
    half = _quantile(level) * error / room
    middle = np.arctanh(np.clip(value, -1 + 1e-15, 1 - 1e-15))
    low, high = np.tanh((middle - half, middle + half)).tolist()
    return Estimate(value=value, low=low, high=high, level=level, method=INFLUENCE, n=units)


def _standard_error(
    spread: Float[np.ndarray, " n"], networks: Networks | None
) -> tuple[float, int]:
    """From the influence of each row, and how many networks there are."""
    if networks is None:
        return float(spread.std() / np.sqrt(spread.size)), spread.size
    # Rows of one network move together: their influences add up.
    sums = np.bincount(networks, weights=spread)
    return float(sums.std() * np.sqrt(sums.size) / spread.size), sums.size


def _quantile(level: float) -> float:
    return float(norm.ppf((1 + level) / 2))


def _tau(target: Float[np.ndarray, " n"], prediction: Float[np.ndarray, " n"]) -> float:
    # SciPy's result is typed as a plain tuple of objects.
    result: Any = kendalltau(target, prediction)
    return float(result.statistic)


def _no_value(target: Float[np.ndarray, " n"], prediction: Float[np.ndarray, " n"]) -> str | None:
    if target.size < 2:
        return f"no ranking of {target.size} networks"
    if (target == target[0]).all():
        return NO_TARGET
    if bad := int(np.count_nonzero(~np.isfinite(prediction))):
        return f"no ranking: {bad} of {prediction.size} predictions are not finite"
    return NO_RANKING if (prediction == prediction[0]).all() else None
