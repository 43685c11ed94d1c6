"""How good predictions are, and whether a model has learnt anything at all.

A model that is no better than the best constant, on the networks that it was trained on, is
reported as not trained enough: its figures say nothing about the method.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from sne.metrics import Measured, error_difference, measure, measure_classes
from sne.pool import Pool
from sne.predict import Predictions, in_units
from sne.resampling import Estimate, Networks, Resampling
from sne.tables import number_networks
from sne.targets import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """How much better than a constant a model fits its own training networks."""

    gain: Estimate
    """Loss of the best constant less the model's, paired by network; the training loss's unit."""

    @property
    def enough(self) -> bool:
        """Whether the gain's interval lies above 0."""
        return self.gain.low is not None and self.gain.low > 0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"enough": self.enough, "gain_over_constant": self.gain.to_json()}


def judge(
    target: Target,
    pool: Pool,
    predictions: Predictions,
    *,
    chance: float | None = None,
    resampling: Resampling | None = None,
) -> Measured:
    """Measure predictions of one zoo's networks.

    Args:
        target: what was predicted.
        pool: the networks.
        predictions: in the pool's order.
        chance: see `metrics.measure`.
        resampling: of the intervals.
    """
    values, networks = in_units(target, predictions.raw), networks_of(pool)
    if target.kind == "category":
        classes = pool.target.astype(np.int64)
        return measure_classes(classes, values, resampling=resampling, networks=networks)
    return measure(pool.target, values, chance=chance, resampling=resampling, networks=networks)


def judge_training(target: Target, pool: Pool, predictions: Predictions) -> Trained:
    """Compare the fit of the training networks with that of the best constant."""
    own = losses_of(target, pool.target, predictions.raw)
    constant = losses_of(target, pool.target, best_constant(target, pool.target))
    return Trained(gain=error_difference(constant, own, networks=networks_of(pool)))


def constant_loss(target: Target, pool: Pool) -> float:
    """Mean loss of the best constant, which a model has to leave behind."""
    return float(losses_of(target, pool.target, best_constant(target, pool.target)).mean())


def losses_of(
    target: Target, values: Float64[np.ndarray, " n"], raw: Float64[np.ndarray, "n o"]
) -> Float64[np.ndarray, " n"]:
    """The training loss of each network."""
    if target.kind == "category":
        chosen = values.astype(np.int64)[:, None]
        return -np.take_along_axis(in_units(target, raw), chosen, axis=1)[:, 0]
    if target.kind == "share":
        return np.logaddexp(0.0, raw[:, 0]) - values * raw[:, 0]
    return ((values - target.mean) / target.scale - raw[:, 0]) ** 2


def best_constant(target: Target, values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n o"]:
    """What a module that learnt nothing of its inputs would best give for each network."""
    if target.kind == "category":
        shares = np.bincount(values.astype(np.int64), minlength=target.outputs) / values.size
        # A class that no training network has cannot occur: classes are learnt from them.
        return np.broadcast_to(np.log(shares), (values.size, target.outputs)).copy()
    if target.kind == "share":
        mean = np.clip(values.mean(), 1e-12, 1 - 1e-12)
        return np.full((values.size, 1), np.log(mean / (1 - mean)))
    return np.zeros((values.size, 1))


def networks_of(pool: Pool) -> Networks | None:
    """For each row the number of its network; None where each row is a network of its own."""
    return number_networks(pool.rows)
