"""Figures of a run as PNG: loss curves, predicted against true values, places in a plane.

Colours are Okabe and Ito's, which colour-blind people tell apart; matplotlib is imported when
something is drawn.
"""

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sne.files import write_bytes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LOSSES: Mapping[str, tuple[str, str]] = {
    "train_loss": ("training", COLOURS[0]),
    "train_task": ("training, task alone", COLOURS[5]),
    "train_invariance": ("invariance penalty, without λ", COLOURS[4]),
    "val_loss": ("validation", COLOURS[1]),
}
"""Columns of the curves: with what they are called, and their colour."""
GREY = "0.45"
DPI = 130
FEW_ROWS = 20
"""Epochs up to which each is marked by a dot."""
DECADE = 10.0
"""Losses that differ by more are drawn on a logarithmic axis."""
WIDE, SQUARE, PAIR = (6.4, 4.8), (5.6, 5.8), (11.2, 5.6)
TITLE_POINTS, LETTERS_PER_INCH = 10, 12


def draw_curves(
    path: Path,
    curves: Sequence[Mapping[str, Any]],
    *,
    best_epoch: int,
    loss: str,
    constant: float,
    title: str,
) -> None:
    """Losses over epochs, with the epoch whose weights were kept.

    Args:
        loss: what the loss is, with its unit.
        constant: the loss of the best constant, which a model has to leave behind.
    """

    def draw(axes: Any) -> None:
        epochs = [row["epoch"] for row in curves]
        drawn = [constant]
        for name, (label, colour) in LOSSES.items():
            values = [row.get(name) for row in curves]
            known = [value for value in values if value is not None]
            if known:
                numbers = [np.nan if value is None else value for value in values]
                marker = "." if len(curves) <= FEW_ROWS else None
                axes.plot(epochs, numbers, label=label, color=colour, marker=marker)
                drawn += known
        axes.axhline(constant, color=GREY, linestyle="--", linewidth=1, label="best constant")
        axes.axvline(
            best_epoch, color=GREY, linestyle=":", linewidth=1, label=f"kept: epoch {best_epoch}"
        )
        axes.set(xlabel="epoch", ylabel=loss, title=_folded(title, WIDE[0]))
        axes.xaxis.get_major_locator().set_params(integer=True)
        if min(drawn) > 0 and max(drawn) > DECADE * min(drawn):
            axes.set_yscale("log")
        axes.legend(frameon=False)

    _figure(path, draw, size=WIDE)


def draw_scatter(
    path: Path,
    target: Float[np.ndarray, " n"],
    prediction: Float[np.ndarray, " n"],
    *,
    label: str,
    title: str,
    chance: float | None = None,
) -> None:
    """Predicted against true, one dot a network, both axes alike."""

    def draw(axes: Any) -> None:
        ends = padded_range(np.concatenate([target, prediction]))
        axes.plot(ends, ends, color=GREY, linewidth=1, zorder=0, label="predicted = true")
        if chance is not None:
            axes.axvline(
                chance, color=GREY, linestyle=":", linewidth=1, zorder=0, label=f"chance {chance:g}"
            )
        alpha = 0.6 if target.size <= 1000 else 0.2
        axes.scatter(target, prediction, s=14, alpha=alpha, linewidths=0, color=COLOURS[0])
        axes.set(xlabel=f"true {label}", ylabel=f"predicted {label}", xlim=ends, ylim=ends)
        axes.set_title(_folded(title, SQUARE[0]), fontsize=TITLE_POINTS)
        axes.set_aspect("equal")
        axes.legend(loc="upper left", fontsize="small")

    _figure(path, draw, size=SQUARE)


def draw_confusion(
    path: Path,
    target: Int[np.ndarray, " n"],
    prediction: Int[np.ndarray, " n"],
    *,
    label: str,
    classes: Sequence[str],
    title: str,
) -> None:
    """How many networks of each class (rows) were predicted as which (columns)."""

    def draw(axes: Any) -> None:
        counts = np.zeros((len(classes), len(classes)), dtype=int)
        known = target >= 0
        np.add.at(counts, (target[known], prediction[known]), 1)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, classes)
        for row, column in np.ndindex(counts.shape):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
        axes.set(xlabel=f"predicted {label}", ylabel=f"true {label}")
        axes.set_title(_folded(title, SQUARE[0]), fontsize=TITLE_POINTS)

    _figure(path, draw, size=SQUARE)


def draw_groups(
    path: Path,
    places: Float[np.ndarray, "n 2"],
    groups: Sequence[str],
    *,
    title: str,
    values: Float[np.ndarray, " n"] | None = None,
    label: str = "",
) -> None:
    """Points in a plane, coloured by group; beside them the same points coloured by value.

    Args:
        values: of each point, named by `label`; None: no second picture.
    """

    def draw(figure: Any) -> None:
        panels = np.atleast_1d(figure.subplots(1, 1 if values is None else 2))
        names = np.array(groups)
        for number, name in enumerate(dict.fromkeys(groups)):
            own = places[names == name]
            panels[0].scatter(
                *own.T,
                s=14,
                alpha=0.7,
                linewidths=0,
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                label=f"{name} ({len(own)})",
            )
        if values is not None:
            points = panels[1].scatter(*places.T, s=14, linewidths=0, c=values, cmap="viridis")
            figure.colorbar(points, ax=panels[1], label=label)
        for axes in panels:
            axes.set(xticks=[], yticks=[])
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        figure.suptitle(_folded(title, PAIR[0]), fontsize=TITLE_POINTS)

    _save(path, draw, size=SQUARE if values is None else PAIR)


def _folded(title: str, inches: float) -> str:
    """The title with line breaks where it would not fit."""
    width = round(inches * LETTERS_PER_INCH)
    return "\n".join(textwrap.fill(line, width) for line in title.splitlines())


def padded_range(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """The range of finite values with a margin."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _figure(path: Path, draw: Callable[[Any], None], *, size: tuple[float, float]) -> None:
    """A figure of one pair of axes."""
    _save(path, lambda figure: draw(figure.subplots()), size=size)


def _save(path: Path, draw: Callable[[Any], None], *, size: tuple[float, float]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    write_figure(path, figure)


def write_figure(path: Path, figure: Any) -> None:
    """Keep a matplotlib figure as PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_bytes(path, buffer.getvalue())
