"""What a prediction is judged by: ranking and errors with intervals, each over networks.

`measure` is for numbers, `measure_classes` for categories; both give named estimates. Differences
of two models are paired: `kendall_difference` and `error_difference`, on the same networks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sne.kendall import Ranking, kendall
from sne.resampling import Counts, Estimate, Networks, Resampling, bootstrap


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """All figures of one prediction."""

    rankings: Mapping[str, Ranking]
    """`tau`, and `tau_above_chance` where the zoo has a chance level; empty for categories."""
    errors: Mapping[str, Estimate]
    """`mse`, `mae`, `r2`; for categories `accuracy` and `cross_entropy`."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        ranked = {name: ranking.to_json() for name, ranking in self.rankings.items()}
        return {**ranked, **{name: error.to_json() for name, error in self.errors.items()}}


def measure(
    target: Float[np.ndarray, " n"],
    prediction: Float[np.ndarray, " n"],
    *,
    chance: float | None = None,
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Measured:
    """Judge predicted numbers.

    Args:
        target: of each row.
        prediction: in the target's unit.
        chance: what a network that learnt nothing scores, the share of the commonest class; τ is
            then also given among the networks above it. None: the target has no such level.
        resampling: of the intervals.
        networks: of each row, where rows are several checkpoints of a network.
    """
    how = resampling or Resampling()
    rankings = {"tau": kendall(target, prediction, resampling=how, networks=networks)}
    if chance is not None:
        above = target > chance
        rankings["tau_above_chance"] = kendall(
            target[above],
            prediction[above],
            resampling=how,
            networks=None if networks is None else _renumbered(networks[above]),
        )
    residual = prediction - target
    errors = {
        "mse": mean(residual**2, resampling=how, networks=networks),
        "mae": mean(np.abs(residual), resampling=how, networks=networks),
        "r2": explained(target, residual**2, resampling=how, networks=networks),
    }
    return Measured(rankings=rankings, errors=errors)


def measure_classes(
    target: Int[np.ndarray, " n"],
    log_probability: Float[np.ndarray, "n classes"],
    *,
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Measured:
    """Judge predicted categories; a class that training never saw counts as missed.

    Args:
        target: index of each network's class, -1 for one that training never saw.
        log_probability: natural logarithms.
        resampling: of the intervals.
    """
    how, known = resampling or Resampling(), target >= 0
    right = (log_probability.argmax(axis=1) == target).astype(float)
    loss = -np.take_along_axis(log_probability, np.maximum(target, 0)[:, None], axis=1)[:, 0]
    errors = {
        "accuracy": mean(right, resampling=how, networks=networks),
        "cross_entropy": mean(
            loss[known].astype(float),
            resampling=how,
            networks=None if networks is None else _renumbered(networks[known]),
        ),
    }
    return Measured(rankings={}, errors=errors)


def mean(
    values: Float[np.ndarray, " n"],
    *,
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Estimate:
    """The mean over rows, with an interval over networks."""
    how = resampling or Resampling()
    if not np.isfinite(values).all():
        reason = f"{int(np.count_nonzero(~np.isfinite(values)))} networks have no finite value"
        return Estimate(value=None, level=how.level, n=values.size, reason=reason)

    def drawn(counts: Counts) -> Float[np.ndarray, " resamples"]:
        weights = counts.astype(np.float64)
        return weights @ values / weights.sum(axis=1)

    value = float(values.mean()) if values.size else None
    return bootstrap(value, drawn, n=values.size, resampling=how, networks=networks)


def explained(
    target: Float[np.ndarray, " n"],
    squared_error: Float[np.ndarray, " n"],
    *,
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Estimate:
    """R²: 1 − mean squared error / variance of the target among the same networks.

    0 is what the mean of these very networks would reach, so a mean learnt elsewhere is below.
    """
    how, n = resampling or Resampling(), target.size
    if n < 2 or (target == target[0]).all():
        reason = "the target does not vary"
        return Estimate(value=None, level=how.level, n=n, reason=reason)
    centred = target - target.mean()

    def drawn(counts: Counts) -> Float[np.ndarray, " resamples"]:
        weights = counts.astype(np.float64)
        weights /= weights.sum(axis=1, keepdims=True)
        variance = weights @ centred**2 - (weights @ centred) ** 2
        error = weights @ squared_error
        # An equal target in all drawn networks leaves a variance of rounding errors.
        varies = variance > 1e-12 * target.var()
        ratio = np.divide(error, variance, out=np.full(len(counts), np.nan), where=varies)
        return 1 - ratio

    value = float(1 - squared_error.mean() / target.var())
    finite = value if np.isfinite(value) else None
    return bootstrap(finite, drawn, n=n, resampling=how, networks=networks)


def error_difference(
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    *,
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Estimate:
    """Mean error of the first model less that of the second, paired by network.

    Args:
        first: any error of each network, for instance its squared residual.
        second: the same error of the other model, in the same order of networks.
        resampling: of the interval.
        networks: of each row, where rows are several checkpoints of a network.
    """
    estimate = mean(first - second, resampling=resampling, networks=networks)
    return replace(estimate, method=f"paired {estimate.method}" if estimate.method else "")


def _renumbered(networks: Networks) -> Networks:
    """From 0 without gaps."""
    return np.unique(networks, return_inverse=True)[1].astype(np.int64)
