"""The matrix as a picture: for each model training zoos by test zoos, the figure in each field."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sne.figures import write_figure
from sweeps.results import NOT_APPLICABLE, UNTRAINED
from sweeps.tables import Entry, number_text

FIELD_INCHES = 1.1
LABEL_INCHES = 1.6
DARK = 0.6
"""Share of the colour range from which text is white."""


def draw_heatmap(
    path: Path,
    panels: Sequence[tuple[str, Sequence[Sequence[Entry]]]],
    *,
    train: Sequence[str],
    test: Sequence[str],
    title: str,
) -> None:
    """One panel for each model: rows are training zoos, columns test zoos.

    Args:
        path: of the PNG.
        panels: model and its entries by row.
        train: names of the rows.
        test: names of the columns.
        title: of the colours.
    """
    width = LABEL_INCHES + len(panels) * (len(test) * FIELD_INCHES + 0.3) + 0.8
    height = LABEL_INCHES + len(train) * FIELD_INCHES * 0.7 + 0.6
    figure = Figure(figsize=(width, height), layout="constrained")
    grid: Any = figure.subplots(1, len(panels), squeeze=False)
    known = [e.value for _, rows in panels for row in rows for e in row if e.value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    image = None
    for place, (name, rows) in enumerate(panels):
        axes = grid[0, place]
        image = _panel(axes, rows, low=low, high=high)
        axes.set_title(name)
        axes.set_xticks(range(len(test)), test, rotation=30, ha="right", fontsize=8)
        axes.set_yticks(range(len(train)), train if place == 0 else [""] * len(train), fontsize=8)
        axes.set_xlabel("tested on")
    grid[0, 0].set_ylabel("trained on")
    if image is not None:
        figure.colorbar(image, ax=list(grid[0]), label=title, shrink=0.8)
    write_figure(path, figure)


def _panel(axes: Any, rows: Sequence[Sequence[Entry]], *, low: float, high: float) -> Any:
    values = np.array(
        [[np.nan if e.value is None else e.value for e in row] for row in rows], dtype=float
    )
    image = axes.imshow(values, cmap="viridis_r", vmin=low, vmax=high, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        entry = rows[row][column]
        dark = np.isfinite(value) and high > low and (value - low) / (high - low) > DARK
        axes.text(
            column,
            row,
            _text(entry),
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold" if entry.marked else "normal",
            color="white" if dark else "black",
        )
    return image


def _text(entry: Entry) -> str:
    if entry.value is None:
        return "n/a" if entry.status == NOT_APPLICABLE else "–"
    return number_text(entry.value) + ("†" if entry.status == UNTRAINED else "")
