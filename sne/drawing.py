"""A run as figures: how its training went, and an evaluation as predicted against true values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sne.checkpoint import Run
from sne.evaluation import Evaluated
from sne.figures import draw_confusion, draw_curves, draw_scatter
from sne.fit import Row
from sne.resampling import Estimate

LOSS: Mapping[str, str] = {
    "share": "cross-entropy (nat)",
    "number": "squared error / variance of the target",
    "category": "cross-entropy (nat)",
}
"""What each kind of target is learnt by, as an axis names it."""


def draw_training(
    path: Path, run: Run, curves: Sequence[Row], *, best_epoch: int, constant: float
) -> None:
    """Draw a training's losses.

    Args:
        constant: loss of the best constant on the training networks.
    """
    draw_curves(
        path,
        curves,
        best_epoch=best_epoch,
        loss=LOSS[run.target.kind],
        constant=constant,
        title=f"{run.config.model} learns {run.target.axis} of {run.trained_on}",
    )


def draw_predictions(path: Path, run: Run, evaluated: Evaluated) -> None:
    """Draw an evaluation that has predictions."""
    target, table, measured = run.target, evaluated.predictions, evaluated.evaluation.measured
    assert measured is not None
    title = _title(run, evaluated)
    true, predicted = (table.column(name).to_numpy() for name in ("target", "prediction"))
    if target.kind == "category":
        index = {name: i for i, name in enumerate(target.classes)}
        draw_confusion(
            path,
            np.array([index.get(name, -1) for name in true]),
            np.array([index[name] for name in predicted]),
            label=target.axis,
            classes=target.classes,
            title=f"{title}\n{_estimate('accuracy', measured.errors['accuracy'])}",
        )
        return
    unit = f" ({evaluated.unit})" if evaluated.unit else ""
    draw_scatter(
        path,
        true,
        predicted,
        label=target.axis + unit,
        title=f"{title}\n{_estimate('τ-b', measured.rankings['tau'].tau)}",
        chance=evaluated.chance,
    )


def _title(run: Run, evaluated: Evaluated) -> str:
    zoo = evaluated.evaluation.zoo
    return f"{zoo.dataset} × {zoo.family}, {run.config.model} trained on {run.trained_on}"


def _estimate(name: str, estimate: Estimate) -> str:
    count = f"n = {estimate.n} networks"
    if estimate.value is None:
        return f"{count}, {estimate.reason}"
    text = f"{count}, {name} = {estimate.value:.3f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({estimate.level:.0%} interval {estimate.low:.3f} … {estimate.high:.3f})"
