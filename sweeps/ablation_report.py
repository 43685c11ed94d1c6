"""From the results of an ablation to its tables and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sne.figures import write_figure
from sne.files import write_bytes
from sne.resampling import Estimate, Resampling
from sne.targets import Target
from sweeps.asked import Asked
from sweeps.cells import Cell, read_cell
from sweeps.factors import FULL
from sweeps.marks import entry_of
from sweeps.measures import MEASURES, Measure
from sweeps.results import finished, read_curves
from sweeps.tables import Entry, Row, Table, latex, markdown

NAME = "ablation"
LEGEND_ROWS = 12
OTHER_SEEDS = (
    "Intervals are of these trained models; where ± is as large as a difference, other seeds may "
    "turn it round."
)
MISSING = "no result yet, or it failed: the same command again does it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablated:
    """One row of a table: a setting's cells by measure, over its seeds."""

    row: str
    trials: tuple[str, ...]
    main: Cell | None
    """None: a trial of it has no result."""
    tau: Cell | None


def write_ablation(
    folder: Path, asked: Asked, target: Target, *, resampling: Resampling | None = None
) -> str:
    """Write ablation.md, ablation.tex and a figure for each table into a results folder.

    Returns:
        The tables as Markdown.

    Raises:
        ResultsError: results are damaged.
    """
    how, measure = resampling or Resampling(), main_measure(target)
    read = read_tables(folder, asked, measure)
    full = next((a for rows in read.values() for a in rows if a.row == FULL), None)
    tables = [tabulate(name, rows, full, measure, resampling=how) for name, rows in read.items()]
    text = "\n".join([*(markdown(table) for table in tables), *asked.notes])
    write_bytes(folder / f"{NAME}.md", text.encode())
    write_bytes(folder / f"{NAME}.tex", "\n".join(latex(table) for table in tables).encode())
    for table, (name, rows) in zip(tables, read.items(), strict=True):
        draw(folder / f"{NAME}-{file_name(name)}.png", table, rows, measure, folder)
    return text


def file_name(table: str) -> str:
    """A table's name as part of a file's."""
    return table.replace("λ", "lambda").replace(" ", "-")


def main_measure(target: Target) -> Measure:
    """What a target's ablation is judged by: the squared error of numbers, as the paper's."""
    return MEASURES[{"number": "mse", "share": "tau", "category": "accuracy"}[target.kind]]


def read_tables(folder: Path, asked: Asked, measure: Measure) -> dict[str, list[Ablated]]:
    """The rows of each table, in order."""
    there = finished(folder)
    found: dict[str, list[Ablated]] = {}
    for (table, row), own in asked.places.items():
        done = all(trial in there for trial in own)
        cells = {
            name: read_cell(folder, own, asked.test_zoos[0], name) if done else None
            for name in dict.fromkeys((measure.name, "tau"))
            if name != "tau" or measure.name != "accuracy"
        }
        ablated = Ablated(
            row=row, trials=tuple(own), main=cells[measure.name], tau=cells.get("tau")
        )
        found.setdefault(table, []).append(ablated)
    return found


def tabulate(
    name: str,
    rows: Sequence[Ablated],
    full: Ablated | None,
    measure: Measure,
    *,
    resampling: Resampling,
) -> Table:
    """One table: each setting's figure, its paired difference to the full model, τ."""
    columns = {measure.label: measure.fixed, "less the full model's": measure.fixed}
    with_tau = measure.name != "tau" and any(a.tau is not None for a in rows)
    lines = []
    for ablated in rows:
        entries = [_figure(ablated.main, measure, resampling)]
        entries.append(_difference(ablated, full, measure, resampling))
        if with_tau:
            entries.append(_figure(ablated.tau, MEASURES["tau"], resampling))
        lines.append(Row(labels=(ablated.row,), entries=tuple(entries)))
    if with_tau:
        columns[MEASURES["tau"].label] = True
    return Table(
        title=f"SNE by {name}",
        label_columns=(name,),
        columns=tuple(columns),
        rows=tuple(lines),
        fixed=tuple(columns.values()),
        notes=(_legend(rows, measure), *_floor(rows, measure)),
    )


def draw(path: Path, table: Table, rows: Sequence[Ablated], measure: Measure, folder: Path) -> None:
    """Each setting's figure with its interval, beside the validation losses by epoch."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, row in enumerate(table.rows):
        entry = row.entries[0]
        if entry.value is not None and entry.low is not None and entry.high is not None:
            errors = [[max(0.0, entry.value - entry.low)], [max(0.0, entry.high - entry.value)]]
            left.errorbar(
                [place], [entry.value], yerr=errors, fmt="o", capsize=3, color=f"C{place}"
            )
        main = rows[place].main
        for value in () if main is None else main.values:
            if value is not None:
                left.plot([place], [value], ".", color="0.5", markersize=4)
        for number, losses in enumerate(_losses(folder, rows[place].trials)):
            label = row.labels[0] if number == 0 else None
            right.plot(losses[0], losses[1], color=f"C{place}", alpha=0.8, label=label)
    labels = [row.labels[0] for row in table.rows]
    left.set_xticks(range(len(labels)), labels, rotation=25, ha="right", fontsize=8)
    left.set(ylabel=measure.label)
    if not measure.higher_is_better:
        left.set_yscale("log")
    right.set(xlabel="epoch", ylabel="validation loss", yscale="log")
    if len(labels) <= LEGEND_ROWS:
        right.legend(frameon=False, fontsize=7)
    write_figure(path, figure)


def _legend(rows: Sequence[Ablated], measure: Measure) -> str:
    seeds = max(len(ablated.trials) for ablated in rows)
    better = "Higher" if measure.higher_is_better else "Lower"
    means = f"; means over {seeds} seeds, ± their standard deviation" if seeds > 1 else ""
    seeded = f" {OTHER_SEEDS}" if seeds > 1 else ""
    return f"{better} is better{means}; in brackets the 95 % interval over test networks.{seeded}"


def _figure(cell: Cell | None, measure: Measure, how: Resampling) -> Entry:
    return Entry(reason=MISSING) if cell is None else entry_of(cell, measure, how)


def _difference(ablated: Ablated, full: Ablated | None, measure: Measure, how: Resampling) -> Entry:
    cell = ablated.main
    if full is None or full.main is None or cell is None:
        return Entry()
    if ablated.trials == full.trials or not (cell.predictions and full.main.predictions):
        return Entry()
    found: Estimate = cell.difference(full.main, measure, how)
    return Entry(value=found.value, low=found.low, high=found.high, status=cell.status)


def _floor(rows: Sequence[Ablated], measure: Measure) -> tuple[str, ...]:
    """What a constant prediction would reach, where an error is shown."""
    known: Mapping[str, Any] = {"mse": np.var, "mae": lambda x: np.abs(x - np.median(x)).mean()}
    target = next((a.main.target for a in rows if a.main and a.main.target is not None), None)
    if target is None or measure.name not in known:
        return ()
    return (f"The best constant on these test networks has {known[measure.name](target):.3g}.",)


def _losses(folder: Path, trials: Sequence[str]) -> list[tuple[list[int], list[float]]]:
    found = []
    for trial in trials:
        curves = read_curves(folder, trial)
        if curves is not None:
            found.append(
                (curves.column("epoch").to_pylist(), curves.column("val_loss").to_pylist())
            )
    return found
