"""Figures for people: tables on a terminal by rich, plain text where it is piped; messages.

What is printed is what the JSON holds, so both say the same.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sne.checkpoint import Run
from sne.progress import duration_text

NAMES: Mapping[str, str] = {
    "tau": "Kendall's τ-b",
    "tau_above_chance": "τ-b above chance",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "r2": "R²",
    "accuracy": "accuracy",
    "cross_entropy": "cross-entropy (nat)",
}
HEADER = ("figure", "value", "interval", "n", "")
UNFINISHED = "NOT TRAINED TO ITS END: its weights are those of the best epoch so far"
Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One table with what stands above and below it."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    header: tuple[str, ...] = HEADER
    """Names of the columns, the second and the fourth of which hold numbers."""


def evaluation_section(figures: Json) -> Section:
    """The table of one evaluation, as `Evaluation.to_json` has it."""
    zoo = figures["zoo"]
    rows = tuple(_rows(figures))
    level = next((m["level"] for m in (figures["metrics"] or {}).values()), 0.95)
    checkpoints = figures.get("checkpoints", "last")
    chosen = f"split {figures['split']}"
    chosen += "" if checkpoints == "last" else f", checkpoints {checkpoints}"
    return Section(
        title=(
            f"{figures['target']} of {zoo['dataset']} × {zoo['family']}, {chosen}: {zoo['uri']}"
        ),
        rows=rows,
        notes=tuple(_notes(figures, level=level)),
    )


def run_notes(result: Json) -> list[str]:
    """Budget, and whether anything was learnt, as result.json has them."""
    notes: list[str] = []
    if "budget" in result and not result["budget"]:
        notes.append(UNFINISHED)
    if budget := result.get("budget"):
        took = duration_text(budget["seconds"])
        if budget["epochs"]:
            notes.append(
                f"budget: {budget['epochs']} epochs, {budget['steps']} steps, {took}; kept epoch "
                f"{budget['best_epoch']}"
            )
        else:
            notes.append(f"budget: fitted at once, {took}")
    trained = result.get("trained")
    if trained and not trained["enough"]:
        notes.append(
            f"NOT TRAINED ENOUGH: {untrained_text(trained)}; its figures say nothing of the method"
        )
    return notes


def caution(run: Run) -> str | None:
    """Why a run's predictions are not to be trusted; None if nothing is known against them."""
    notes = run_notes({"budget": {}, **run.result})
    return next((note for note in notes if note.startswith("NOT")), None)


def print_run(run: Run) -> None:
    """A training's outcome on stdout."""
    tests = run.result.get("tests", [])
    print_sections(
        [evaluation_section(test) for test in tests], [*run_notes(run.result), f"run: {run.path}"]
    )


def print_evaluation(figures: Json, notes: Sequence[str] = ()) -> None:
    """One evaluation on stdout, as `evaluation.figures_json` has it."""
    print_sections([evaluation_section(figures)], [*run_notes(figures), *notes, ""])


def log_to_stderr(name: str = "sne", *, level: int = logging.INFO) -> None:
    """Messages of a package's commands go to stderr as they are, from this level on."""
    log = logging.getLogger(name)
    log.setLevel(level)
    if not log.handlers:
        log.addHandler(_Stderr())
        log.propagate = False


class _Stderr(logging.Handler):
    """Writes to whatever `sys.stderr` is now: progress bars replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        print(self.format(record), file=sys.stderr, flush=True)


def _rows(figures: Json) -> Iterator[tuple[str, ...]]:
    for name, measured in (figures["metrics"] or {}).items():
        note = measured["reason"] or ""
        if measured.get("ceiling") is not None and measured["value"] is not None:
            note = f"ceiling {measured['ceiling']:.3f}: {measured['tied']:.1%} of pairs are tied"
        yield (
            NAMES.get(name, name),
            number_text(measured["value"]),
            interval_text(measured),
            str(measured["n"]),
            note,
        )
    invariance = figures["invariance"]
    if invariance and invariance["functional"] is not None:
        control = number_text(invariance["control"])
        yield (
            "invariance error",
            number_text(invariance["functional"]),
            "",
            str(invariance["n"]),
            f"{control} for permutations that change the function",
        )


def _notes(figures: Json, *, level: float) -> Iterator[str]:
    if figures["reason"]:
        yield f"n/a: {figures['reason']}"
        return
    yield f"intervals: {level:.0%}, bootstrap over networks"
    if figures["dropped"]:
        yield f"{figures['dropped']} networks were left out: a weight is not finite"
    if figures["unseen"]:
        kinds = ", ".join(figures["unseen"])
        yield f"never seen in training, scaled as their nearest role: {kinds}"
    invariance = figures["invariance"]
    if invariance and invariance["functional"] is not None:
        yield (
            "invariance error: how far predictions move when neurons are reordered, as a share of "
            "their variance (a model that sees no order has 0 in both)"
        )
    elif invariance and invariance["reason"]:
        yield f"no invariance error: {invariance['reason']}"


def print_sections(sections: Sequence[Section], notes: Sequence[str] = ()) -> None:
    """Tables and what stands below them all, on stdout."""
    if sys.stdout.isatty():
        _print_rich(sections, notes)
        return
    lines: list[str] = []
    for section in sections:
        lines += [section.title, *_plain(section), *section.notes, ""]
    print("\n".join([*lines, *notes]))


def _print_rich(sections: Sequence[Section], notes: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for section in sections:
        console.print(f"\n[bold]{section.title}")
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for place, name in enumerate(section.header):
            table.add_column(name, justify="right" if place in (1, 3) else "left", overflow="fold")
        for row in section.rows:
            table.add_row(*row)
        if section.rows:
            console.print(table)
        for note in section.notes:
            console.print(note, style="dim")
    for note in notes:
        console.print(note, style="bold red" if note.startswith("NOT") else "")


def _plain(section: Section) -> list[str]:
    if not section.rows:
        return []
    lines = [section.header, *section.rows]
    widths = [max(len(row[place]) for row in lines) for place in range(len(section.header))]
    return [
        "  ".join(
            cell.rjust(width) if place in (1, 3) else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in lines
    ]


def number_text(value: float | None) -> str:
    """Four significant digits; a dash where there is no number."""
    return "–" if value is None else f"{value:.4g}"


def interval_text(measured: Json) -> str:
    """Both ends; empty where there is no interval."""
    if measured["low"] is None:
        return ""
    return f"{number_text(measured['low'])} … {number_text(measured['high'])}"


def untrained_text(judged: Json) -> str:
    """Why a training was not enough, as `judge.Trained.to_json` has it."""
    gain = judged["gain_over_constant"]
    interval = interval_text(gain)
    known = number_text(gain["value"]) + (f", interval {interval}" if interval else "")
    return f"on its own training networks it is no better than a constant (gain {known})"
