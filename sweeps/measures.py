"""Figures of several trials together, such as a mean over seeds or the difference of two models.

Each figure is a weighted sum over trials on the same networks, so its interval is paired: every
trial is measured on the same drawn networks, and what makes networks hard for all cancels. A mean
over seeds has weights 1/S, the difference of two means 1/S and −1/T.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from sne.kendall import BOOTSTRAP_LIMIT, INFLUENCE, Resampled, influence, kendall
from sne.metrics import mean
from sne.resampling import Counts, Estimate, Networks, Resampling, bootstrap, count_networks
from sweeps.errors import PlanError

Values: TypeAlias = Any
"""One value of each network: numbers, or names of classes."""
Combine: TypeAlias = Callable[..., Estimate]
"""(target, predictions of each trial, weight of each trial, resampling, networks)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One figure that tables are made of."""

    name: str
    """Of the figure in results."""
    label: str
    higher_is_better: bool
    combine: Combine
    fixed: bool = False
    """Shown with three decimals, as it lies between −1 and 1."""

    def mean(self, target: Values, predictions: Sequence[Values], **how: Any) -> Estimate:
        """Over trials, which differ by seed."""
        return self.combine(target, predictions, [1 / len(predictions)] * len(predictions), **how)

    def difference(
        self, target: Values, first: Sequence[Values], second: Sequence[Values], **how: Any
    ) -> Estimate:
        """The first's mean less the second's."""
        weights = [1 / len(first)] * len(first) + [-1 / len(second)] * len(second)
        estimate = self.combine(target, [*first, *second], weights, **how)
        return replace(estimate, method=f"paired {estimate.method}" if estimate.method else "")


def combined_tau(
    target: Float[np.ndarray, " n"],
    predictions: Sequence[Float[np.ndarray, " n"]],
    weights: Sequence[float],
    *,
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Estimate:
    """Σ weight · τ-b; without a value where one of the trials ranks nothing."""
    how, n = resampling or Resampling(), target.size
    # The values alone are wanted here: one resample is as few as there can be.
    single = replace(how, resamples=1)
    taus = [kendall(target, p, resampling=single, networks=networks).tau for p in predictions]
    for tau in taus:
        if tau.value is None:
            return tau
    value = sum(w * (t.value or 0.0) for w, t in zip(weights, taus, strict=True))
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
    half = float(norm.ppf((1 + how.level) / 2)) * _standard_error(spread, networks)
    return Estimate(
        value=value,
        low=value - half,
        high=value + half,
        level=how.level,
        method=INFLUENCE,
        n=n if networks is None else count_networks(networks),
    )


def combined_error(
    target: Values,
    predictions: Sequence[Values],
    weights: Sequence[float],
    *,
    error: Callable[[Values, Values], Float[np.ndarray, " n"]],
    resampling: Resampling | None = None,
    networks: Networks | None = None,
) -> Estimate:
    """Σ weight · mean error."""
    total = sum(
        (w * error(target, p) for w, p in zip(weights, predictions, strict=True)),
        start=np.zeros(len(target)),
    )
    return mean(total, resampling=resampling, networks=networks)


def _squared(target: Values, prediction: Values) -> Float[np.ndarray, " n"]:
    return (prediction - target) ** 2


def _absolute(target: Values, prediction: Values) -> Float[np.ndarray, " n"]:
    return np.abs(prediction - target)


def _right(target: Values, prediction: Values) -> Float[np.ndarray, " n"]:
    return (prediction == target).astype(float)


def _standard_error(spread: Float[np.ndarray, " n"], networks: Networks | None) -> float:
    if networks is None:
        return float(spread.std() / np.sqrt(spread.size))
    # Rows of one network move together: their influences add up.
    sums = np.bincount(networks, weights=spread)
    return float(sums.std() * np.sqrt(sums.size) / spread.size)


MEASURES: Mapping[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            name="tau",
            label="Kendall's τ-b",
            higher_is_better=True,
            combine=combined_tau,
            fixed=True,
        ),
        Measure(
            name="mse",
            label="mean squared error",
            higher_is_better=False,
            combine=partial(combined_error, error=_squared),
        ),
        Measure(
            name="mae",
            label="mean absolute error",
            higher_is_better=False,
            combine=partial(combined_error, error=_absolute),
        ),
        Measure(
            name="accuracy",
            label="accuracy",
            higher_is_better=True,
            combine=partial(combined_error, error=_right),
            fixed=True,
        ),
    )
}


def measure_named(name: str) -> Measure:
    """The measure of that name.

    Raises:
        PlanError: there is none; the sentence lists those there are.
    """
    if name not in MEASURES:
        raise PlanError(f"no metric {name!r} for tables; there are: {', '.join(MEASURES)}")
    return MEASURES[name]
