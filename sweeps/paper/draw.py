"""Figures of an artefact: ours with intervals beside the published numbers; errors over sizes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sne.figures import COLOURS, GREY, MARKERS, write_figure
from sweeps.paper.declared import Artefact
from sweeps.tables import Entry, Table

ROW_INCHES, WIDTH = 0.28, 7.0
PAPER = "paper"


def draw_beside(path: Path, table: Table, *, title: str, label: str) -> None:
    """Every figure of a table on one axis, with its interval; what the paper prints as crosses."""
    places = list(_places(table))
    figure = Figure(figsize=(WIDTH, 1.4 + ROW_INCHES * len(places)), layout="constrained")
    axes: Any = figure.subplots()
    known: list[float] = []
    for place, (_, ours, printed) in enumerate(places):
        known += [e.value for e in (ours, printed) if e is not None and e.value is not None]
        if ours.value is not None:
            axes.errorbar(
                [ours.value], [place], xerr=_arms(ours), fmt="o", capsize=3, color=COLOURS[0],
                label="ours", alpha=0.5 if ours.doubtful or ours.status != "ok" else 1.0,
            )  # fmt: skip
        if printed is not None and printed.value is not None:
            axes.plot([printed.value], [place], "x", color=COLOURS[1], label="paper")
    axes.set_yticks(range(len(places)), [name for name, _, _ in places], fontsize=8)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_xlabel(label)
    if known and min(known) > 0 and max(known) > 10 * min(known):
        axes.set_xscale("log")
    axes.set_title(f"{title}\n(pale: says little, see the table)", fontsize=9)
    _legend(axes)
    write_figure(path, figure)


def draw_sizes(
    path: Path, artefact: Artefact, sizes: Mapping[str, int], table: Table, *, label: str
) -> None:
    """One curve for each line over the number of training networks."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes: Any = figure.subplots()
    counts = [sizes[pair.label] for pair in artefact.pairs]
    for place, name in enumerate(table.columns):
        column = [row.entries[place] for row in table.rows]
        shown = [(n, e) for n, e in zip(counts, column, strict=True) if e.value is not None]
        if shown:
            axes.errorbar(
                [n for n, _ in shown],
                [e.value for _, e in shown],
                yerr=[[arms[side][0] for arms in (_arms(e) for _, e in shown)] for side in (0, 1)],
                marker=MARKERS[place % len(MARKERS)],
                capsize=3,
                color=COLOURS[place % len(COLOURS)],
                label=name,
            )
        else:
            axes.plot([], [], color=GREY, linestyle=":", label=f"{name}: missing")
    axes.set(xlabel=artefact.row_heading, ylabel=label)
    axes.set_xscale("log")
    shown = [e.value for row in table.rows for e in row.entries if e.value is not None]
    if shown and min(shown) > 0:
        axes.set_yscale("log")
    axes.set_xticks(counts, [f"{n:,}" for n in counts])
    axes.minorticks_off()
    axes.set_title(artefact.title, fontsize=10)
    axes.legend(frameon=False)
    write_figure(path, figure)


def _places(table: Table) -> Iterator[tuple[str, Entry, Entry | None]]:
    """Every figure with its name and what is published of it."""
    single = table.columns[0].startswith("ours")
    for row in table.rows:
        for place, name in enumerate(table.columns):
            ours = name == table.columns[0] if single else name not in (PAPER, "less the paper's")
            if not ours:
                continue
            behind = table.columns[place + 1 : place + 2] == (PAPER,)
            label = row.labels[0] if single else f"{row.labels[0]}  {name}"
            yield label, row.entries[place], row.entries[place + 1] if behind else None


def _arms(entry: Entry) -> Sequence[Sequence[float]]:
    """Of the interval, below and above; none where there is none."""
    if entry.value is None or entry.low is None or entry.high is None:
        return [[0.0], [0.0]]
    return [[max(0.0, entry.value - entry.low)], [max(0.0, entry.high - entry.value)]]


def _legend(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    if once:
        axes.legend(once.values(), once.keys(), frameon=False, fontsize=8)
