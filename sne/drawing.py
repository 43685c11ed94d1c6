"""An evaluation as a figure: predicted against true values, or who was taken for whom."""

from pathlib import Path

import numpy as np

from sne.evaluation import Evaluated
from sne.figures import draw_confusion, draw_scatter
from sne.targets import Target


def draw_predictions(path: Path, target: Target, evaluated: Evaluated) -> None:
    """Draw an evaluation that has predictions."""
    evaluation, table = evaluated.evaluation, evaluated.predictions
    title = f"{evaluation.zoo.dataset} × {evaluation.zoo.family}, {evaluation.n} networks"
    true, predicted = (table.column(name).to_numpy() for name in ("target", "prediction"))
    if target.kind == "category":
        index = {name: i for i, name in enumerate(target.classes)}
        draw_confusion(
            path,
            np.array([index.get(name, -1) for name in true]),
            np.array([index[name] for name in predicted]),
            classes=target.classes,
            title=title,
        )
        return
    tau = evaluation.measured.rankings["tau"].tau.value if evaluation.measured else None
    if tau is not None:
        title += f", τ = {tau:.3f}"
    draw_scatter(path, true, predicted, label=target.label, title=title, chance=evaluated.chance)
