"""From the results of a matrix to its table, its heat map, and the files that hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sne.files import write_bytes
from sne.resampling import Resampling
from sweeps.asked import Asked, asked_figures
from sweeps.cells import Cell, read_or_failed
from sweeps.heatmap import draw_heatmap
from sweeps.marks import average_row, mark_row, mark_told
from sweeps.measures import Measure
from sweeps.results import zoo_names, zoos_of
from sweeps.tables import Entry, Row, Table, latex, markdown

NAME = "matrix"


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """What is tabulated, in order."""

    models: tuple[str, ...]
    train: tuple[str, ...]
    """Names of the zoos."""
    test: tuple[str, ...]
    cells: Mapping[tuple[str, str, str], Cell]
    """By model, training zoo, test zoo."""


def write_matrix(
    folder: Path,
    asked: Asked,
    measure: Measure,
    *,
    failed: Mapping[str, str] | None = None,
    resampling: Resampling | None = None,
) -> str:
    """Write matrix.md, matrix.tex and matrix.png into a results folder.

    Args:
        folder: of the results.
        asked: what the matrix is of.
        measure: what it shows.
        failed: trials without a result, with the reason.
        resampling: of the intervals.

    Returns:
        The table as Markdown.

    Raises:
        ResultsError: there are no results at all, or damaged ones.
    """
    matrix = read_matrix(folder, asked, measure, failed=failed or {})
    table, panels = tabulate(matrix, measure, resampling=resampling)
    text = markdown(table)
    write_bytes(folder / f"{NAME}.md", text.encode())
    write_bytes(folder / f"{NAME}.tex", latex(table).encode())
    draw_heatmap(
        folder / f"{NAME}.png",
        panels,
        train=matrix.train,
        test=matrix.test,
        title=measure.label,
    )
    return text


def read_matrix(
    folder: Path, asked: Asked, measure: Measure, *, failed: Mapping[str, str]
) -> Matrix:
    """The matrix's cells, read."""
    names = zoo_names(zoos_of(asked_figures(folder, asked)))
    tested = [zoo for zoo in asked.test_zoos if zoo in names]
    return Matrix(
        models=tuple(dict.fromkeys(entry.table for entry in asked.entries)),
        train=tuple(dict.fromkeys(entry.row for entry in asked.entries)),
        test=tuple(names[zoo] for zoo in tested),
        cells={
            (model, train, names[zoo]): read_or_failed(
                folder, own, zoo, measure.name, failed=failed
            )
            for (model, train), own in asked.places.items()
            for zoo in tested
        },
    )


def tabulate(
    matrix: Matrix, measure: Measure, *, tell: bool = False, resampling: Resampling | None = None
) -> tuple[Table, list[tuple[str, list[list[Entry]]]]]:
    """The table, and the same entries by model for the heat map.

    Args:
        matrix: what is tabulated.
        measure: of the cells.
        tell: whether what a constant could have too is told of (`marks.mark_told`).
        resampling: of the intervals.
    """
    how, mark = resampling or Resampling(), mark_told if tell else mark_row
    rows: list[Row] = []
    panels: dict[str, list[list[Entry]]] = {model: [] for model in matrix.models}
    for train in matrix.train:
        for model in matrix.models:
            panels[model].append([])
        for test in matrix.test:
            cells = [matrix.cells[model, train, test] for model in matrix.models]
            entries = mark(cells, measure, resampling=how)
            labels = (train, test, str(_networks(cells)))
            rows.append(Row(labels=labels, entries=entries))
            for model, entry in zip(matrix.models, entries, strict=True):
                panels[model][-1].append(entry)
    return _table(matrix, measure, [*rows, *_averages(matrix, measure, how)]), [*panels.items()]


def _averages(matrix: Matrix, measure: Measure, how: Resampling) -> list[Row]:
    """Means over test zoos (Table 5), and over all pairs (Table 8's last row)."""

    def columns(train: Sequence[str]) -> list[list[Cell]]:
        return [
            [matrix.cells[model, zoo, test] for zoo in train for test in matrix.test]
            for model in matrix.models
        ]

    if len(matrix.test) < 2:
        return []
    found = [
        Row(
            labels=(zoo, "mean", ""),
            entries=average_row(columns([zoo]), measure, resampling=how),
            above=number == 0,
        )
        for number, zoo in enumerate(matrix.train)
    ]
    if len(matrix.train) > 1:
        entries = average_row(columns(matrix.train), measure, resampling=how)
        found.append(Row(labels=("all pairs", "mean", ""), entries=entries, above=True))
    return found


def _table(matrix: Matrix, measure: Measure, rows: Sequence[Row]) -> Table:
    seeds = max(len(cell.trials) for cell in matrix.cells.values())
    notes = [
        f"{measure.label}; {'higher' if measure.higher_is_better else 'lower'} is better. In "
        "brackets the 95 % interval over test networks, drawn again."
    ]
    if seeds > 1:
        notes.append(f"Means over {seeds} seeds; ± is their standard deviation.")
    notes.append(
        "Bold: the best, and every other whose paired difference to it has 0 in its 95 % interval."
    )
    return Table(
        title=f"{measure.label}: trained on, tested on",
        label_columns=("trained on", "tested on", "n"),
        columns=matrix.models,
        rows=tuple(rows),
        fixed=(measure.fixed,) * len(matrix.models),
        notes=tuple(notes),
    )


def _networks(cells: Sequence[Cell]) -> int:
    return max((0 if cell.target is None else len(cell.target) for cell in cells), default=0)
