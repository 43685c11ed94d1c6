"""The figures of an artefact, read: one cell for each row and line, beside what is published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from sweeps.cells import Cell, empty_cell, read_or_failed
from sweeps.paper.declared import Line, Pair
from sweeps.paper.line_trials import LineTrial
from sweeps.paper.plan import Plan
from sweeps.paper.possible import pair_lacking
from sweeps.paper.stock import lacks_of
from sweeps.results import NOT_APPLICABLE, UNTRAINED, finished, read_results
from sweeps.tables import Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Cells by row and line."""

    pairs: tuple[Pair, ...]
    lines: tuple[Line, ...]
    cells: Mapping[tuple[str, str], Cell]
    """By the pair's label and the line's name."""

    def row(self, pair: Pair) -> list[Cell]:
        """One pair's cells."""
        return [self.cells[pair.label, line.name] for line in self.lines]

    def column(self, line: Line, pairs: Sequence[Pair]) -> list[Cell]:
        """One line's cells."""
        return [self.cells[pair.label, line.name] for pair in pairs]


def read_grid(
    folder: Path,
    plan: Plan,
    listed: Sequence[LineTrial],
    hashes: Mapping[str, str],
    metric: str,
    *,
    failed: Mapping[str, str],
) -> Grid:
    """All cells of an artefact.

    Args:
        folder: of the results.
        plan: what was planned.
        listed: its trials.
        hashes: of the zoos that are there, by key.
        metric: name of the figure.
        failed: trials without a result, with the reason.
    """
    artefact, lacks = plan.artefact, lacks_of(plan.zoos)
    lines = artefact.lines_at(plan.scale.name)
    cells: dict[tuple[str, str], Cell] = {}
    for pair in artefact.pairs:
        for line in lines:
            lacking = pair_lacking(artefact, line, pair, lacks)
            if lacking is not None:
                cells[pair.label, line.name] = empty_cell(f"missing in this version: {lacking}")
                continue
            own = trials_of(listed, line, artefact.trained_on(line, pair))
            cells[pair.label, line.name] = read_or_failed(
                folder, own, hashes[pair.test.key], metric, failed=failed
            )
    return Grid(pairs=artefact.pairs, lines=lines, cells=cells)


def trials_of(listed: Sequence[LineTrial], line: Line, train: Sequence[object]) -> list[str]:
    """Hashes of a line's trials on these zoos, one for each seed."""
    return [
        one.trial.hash for one in listed if one.line.name == line.name and one.train == tuple(train)
    ]


def read_values(
    folder: Path, trials: Sequence[str], zoo: str, metric: str
) -> tuple[Entry, int | None]:
    """A figure without predictions behind it, such as the invariance error; and the parameters.

    Returns:
        The mean over seeds with their deviation, and the model's number of parameters.
    """
    there = finished(folder)
    if not trials or any(trial not in there for trial in trials):
        return Entry(reason="no result"), None
    rows = read_results(folder, list(trials)).to_pylist()
    parameters = rows[0]["parameters"]
    own = [r for r in rows if r["test_zoo"] is not None and r["test_zoo"]["hash"] == zoo]
    if refused := [r["reason"] for r in own if r["status"] == NOT_APPLICABLE]:
        return Entry(status=NOT_APPLICABLE, reason=refused[0]), None
    found = [r for r in own if r["metric"] == metric]
    values = [r["value"] for r in found if r["value"] is not None]
    if len(values) < len(trials):
        reason = next((r["reason"] for r in found if r["value"] is None), "no such figure")
        return Entry(reason=reason), parameters
    doubtful = [r["reason"] for r in found if r["status"] == UNTRAINED]
    return Entry(
        value=fmean(values),
        spread=stdev(values) if len(values) > 1 else None,
        status=UNTRAINED if doubtful else "ok",
        reason=doubtful[0] if doubtful else None,
    ), parameters
