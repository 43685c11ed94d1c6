"""From the results of all methods to their table: a row for each, sizes and budgets beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sne.files import write_bytes
from sne.progress import duration_text
from sne.resampling import Resampling
from sne.targets import SHARES
from sweeps.asked import Asked, asked_figures
from sweeps.cells import Cell, read_or_failed
from sweeps.marks import mark_told
from sweeps.measures import MEASURES, Measure
from sweeps.results import NOT_APPLICABLE, zoo_names, zoos_of
from sweeps.tables import Row, Table, latex, markdown, number_text

NAME = "methods"
Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One zoo's figures of models that were trained on one zoo."""

    train: str
    """Name of the zoo."""
    test: str
    """Hash of the zoo."""
    heading: str
    measure: Measure
    cells: tuple[Cell, ...]
    """Of each model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """Results, as the table needs them."""

    models: tuple[str, ...]
    train: tuple[str, ...]
    """Names of zoos."""
    columns: tuple[Column, ...]
    rows: Mapping[str, Sequence[Json]]
    """Figures of each trial that is done."""
    places: Mapping[tuple[str, str], Sequence[str]]
    """Trials by zoo and model."""


def write_methods(
    folder: Path,
    asked: Asked,
    *,
    failed: Mapping[str, str] | None = None,
    resampling: Resampling | None = None,
) -> str:
    """Write methods.md and methods.tex into a results folder.

    Args:
        folder: of the results.
        asked: tables are training zoos, rows begin with models.
        failed: trials without a result, with the reason.
        resampling: of the intervals.

    Returns:
        The table as Markdown.

    Raises:
        ResultsError: there are no results at all, or damaged ones.
    """
    table = tabulate(
        read_methods(folder, asked, failed=failed or {}), asked, resampling or Resampling()
    )
    text = markdown(table)
    write_bytes(folder / f"{NAME}.md", text.encode())
    write_bytes(folder / f"{NAME}.tex", latex(table, intervals=True).encode())
    return text


def read_methods(folder: Path, asked: Asked, *, failed: Mapping[str, str]) -> Read:
    """All figures, with the predictions behind them."""
    figures = asked_figures(folder, asked)
    rows: dict[str, list[Json]] = {}
    for row in figures.to_pylist():
        rows.setdefault(row["trial"], []).append(row)
    places = {
        (table, row.removesuffix(f", {table}")): own for (table, row), own in asked.places.items()
    }
    train = tuple(dict.fromkeys(zoo for zoo, _ in places))
    models = tuple(dict.fromkeys(model for _, model in places))
    names = zoo_names(zoos_of(figures))
    columns: list[Column] = []
    for zoo in train:
        own = {model: places[zoo, model] for model in models}
        done = [row for trials in own.values() for trial in trials for row in rows.get(trial, ())]
        tested = {row["test_zoo"]["hash"] for row in done if row["test_zoo"] is not None}
        for test in (hash_ for hash_ in asked.test_zoos if hash_ in tested):
            measure = MEASURES["tau" if done[0]["target"] in SHARES else "mse"]
            carried = "" if names[test] == zoo else f" → {names[test]}"
            columns.append(
                Column(
                    train=zoo,
                    test=test,
                    heading=f"{measure.label}, {zoo}{carried}",
                    measure=measure,
                    cells=tuple(
                        read_or_failed(folder, own[model], test, measure.name, failed=failed)
                        for model in models
                    ),
                )
            )
    return Read(models=models, train=train, columns=tuple(columns), rows=rows, places=places)


def tabulate(read: Read, asked: Asked, how: Resampling) -> Table:
    """A row for each model; the best of each column are marked."""
    marked = [mark_told(c.cells, c.measure, resampling=how) for c in read.columns]
    rows = tuple(
        Row(
            labels=(model, *(text for zoo in read.train for text in _bought(read, zoo, model))),
            entries=tuple(entries[at] for entries in marked),
        )
        for at, model in enumerate(read.models)
    )
    bought = tuple(
        heading for zoo in read.train for heading in (f"parameters, {zoo}", "epochs: best, all")
    )
    return Table(
        title="All methods, each trained for equally many seconds",
        label_columns=("model", *bought),
        columns=tuple(column.heading for column in read.columns),
        rows=rows,
        fixed=tuple(column.measure.fixed for column in read.columns),
        notes=tuple(_notes(read, asked)),
    )


def _bought(read: Read, zoo: str, model: str) -> tuple[str, str]:
    """Parameters, and epochs of the first seed: the one that was kept, and all."""
    known = [read.rows[trial][0] for trial in read.places[zoo, model] if trial in read.rows]
    if not known or known[0]["status"] == NOT_APPLICABLE:
        return "–", "–"
    if not known[0]["steps"]:
        return "–", "fitted at once"
    best = ", ".join(str(row["best_epoch"]) for row in known)
    return f"{known[0]['parameters']:,}", f"{best}; {known[0]['epochs']}"


def _notes(read: Read, asked: Asked) -> Iterator[str]:
    seeds = max(len(column.cells[0].trials) for column in read.columns)
    means = f" Means over {seeds} seeds, ± their standard deviation." if seeds > 1 else ""
    yield (
        "In brackets the 95 % interval over test networks, drawn again. Lower errors and higher τ "
        f"are better.{means}"
    )
    yield (
        "Bold: the best of a column, and every other whose paired difference to it has 0 in its "
        "95 % interval."
    )
    yield from asked.notes
    seconds = [rows[0]["seconds"] for rows in read.rows.values() if rows[0]["steps"]]
    if seconds:
        least, middle, most = (duration_text(f(seconds)) for f in (min, median, max))
        yield f"The trainings took {least} to {most}, the middle one {middle}."
    for column in read.columns:
        yield from _floor(read, column)


def _floor(read: Read, column: Column) -> Iterator[str]:
    """What a column's figures are to be seen against."""
    target = next((c.target for c in column.cells if c.target is not None), None)
    if target is None:
        return
    if column.measure.name == "mse":
        yield f"{column.heading}: {len(target)} networks; the best constant has {target.var():.3g}."
        return
    ceilings = [
        row["tie_ceiling"]
        for rows in read.rows.values()
        for row in rows
        if row["tie_ceiling"] is not None
        and row["metric"] == column.measure.name
        and row["test_zoo"] is not None
        and row["test_zoo"]["hash"] == column.test
    ]
    if ceilings:
        ceiling = number_text(ceilings[0])
        yield (
            f"{column.heading}: {len(target)} networks; equal accuracies leave at most {ceiling}."
        )
