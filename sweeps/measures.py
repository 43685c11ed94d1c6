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

from sne.kendall import weighted_kendall
from sne.metrics import mean
from sne.resampling import Estimate, Networks, Resampling
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


MEASURES: Mapping[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            name="tau",
            label="Kendall's τ-b",
            higher_is_better=True,
            combine=weighted_kendall,
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
