"""Figures of a run as PNG: loss curves, predicted against true values, places in a plane."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from sne.files import write_bytes

LOSSES: Mapping[str, str] = {
    "train_loss": "training",
    "train_task": "training, task alone",
    "train_invariance": "invariance",
    "val_loss": "validation",
}
DPI = 130


def draw_curves(path: Path, curves: Sequence[Mapping[str, Any]], *, best_epoch: int) -> None:
    """Losses over epochs, with the epoch whose weights were kept."""

    def draw(axes: Any) -> None:
        epochs = [row["epoch"] for row in curves]
        for name, label in LOSSES.items():
            values = [row.get(name) for row in curves]
            if any(value is not None for value in values):
                numbers = [np.nan if value is None else value for value in values]
                axes.plot(epochs, numbers, label=label, marker="." if len(curves) < 20 else None)
        axes.axvline(best_epoch, color="0.6", linestyle=":", label="kept")
        axes.set(xlabel="epoch", ylabel="loss")
        if all(row[n] > 0 for row in curves for n in LOSSES if row.get(n) is not None):
            axes.set_yscale("log")
        axes.legend(frameon=False)

    _figure(path, draw)


def draw_scatter(
    path: Path,
    target: Float[np.ndarray, " n"],
    prediction: Float[np.ndarray, " n"],
    *,
    label: str,
    title: str,
    chance: float | None = None,
) -> None:
    """Predicted against true, one dot a network."""

    def draw(axes: Any) -> None:
        both = np.concatenate([target, prediction])
        both = both[np.isfinite(both)]
        ends = (both.min(), both.max()) if both.size else (0.0, 1.0)
        axes.plot(ends, ends, color="0.7", linewidth=1, zorder=0)
        axes.scatter(target, prediction, s=12, alpha=0.6, linewidths=0)
        if chance is not None:
            axes.axvline(chance, color="0.6", linestyle=":", label="chance")
            axes.legend(frameon=False)
        axes.set(xlabel=f"true {label}", ylabel=f"predicted {label}", title=title)

    _figure(path, draw)


def draw_confusion(
    path: Path,
    target: Int[np.ndarray, " n"],
    prediction: Int[np.ndarray, " n"],
    *,
    classes: Sequence[str],
    title: str,
) -> None:
    """How many networks of each class (rows) were predicted as which (columns)."""

    def draw(axes: Any) -> None:
        counts = np.zeros((len(classes), len(classes)), dtype=int)
        known = target >= 0
        np.add.at(counts, (target[known], prediction[known]), 1)
        axes.imshow(counts, cmap="Blues")
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes, rotation=45, ha="right")
        axes.set_yticks(ticks, classes)
        for row, column in np.ndindex(counts.shape):
            axes.text(column, row, str(counts[row, column]), ha="center", va="center")
        axes.set(xlabel="predicted", ylabel="true", title=title)

    _figure(path, draw)


def draw_groups(
    path: Path, places: Float[np.ndarray, "n 2"], groups: Sequence[str], *, title: str
) -> None:
    """Points in a plane, coloured by group."""

    def draw(axes: Any) -> None:
        names = np.array(groups)
        for name in dict.fromkeys(groups):
            own = places[names == name]
            axes.scatter(own[:, 0], own[:, 1], s=12, alpha=0.7, linewidths=0, label=name)
        axes.set(xticks=[], yticks=[], title=title)
        axes.legend(frameon=False)

    _figure(path, draw)


def _figure(path: Path, draw: Callable[[Any], None]) -> None:
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    draw(figure.subplots())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_bytes(path, buffer.getvalue())
