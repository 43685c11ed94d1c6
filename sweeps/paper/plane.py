"""Figure 2: for each model the encodings of all zoos' test networks in one plane, by t-SNE."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from sne.checkpoint import load_run
from sne.embed import embed
from sne.figures import COLOURS, GREY, MARKERS, write_figure
from sne.files import write_table
from sne.networks import read_networks
from sne.zoo import open_zoo
from sweeps.paper.grid import trials_of
from sweeps.paper.show import Done
from sweeps.perform import RUNS
from sweeps.results import finished

PERPLEXITY = 30.0
PANEL = 3.2


def draw_plane(done: Done) -> None:
    """Write figure2.png, and figure2.parquet with every place, into the results folder.

    Raises:
        DataError: too few networks.
    """
    artefact = done.plan.artefact
    tables: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for line in artefact.lines_at(done.plan.scale.name):
        lacking = done.plan.lacking(line)
        own = trials_of(done.listed, line, artefact.trained_on(line, artefact.pairs[0]))
        if lacking is not None:
            reasons[line.name] = f"missing in this version: {lacking}"
        elif own[0] not in finished(done.folder) or not (done.folder / RUNS / own[0]).exists():
            reasons[line.name] = "no result"
        else:
            zoos = [done.plan.zoos[pair.test.key].folder for pair in artefact.pairs]
            tables[line.name] = _places(done.folder / RUNS / own[0], zoos)
    _draw(done.folder / f"{artefact.name}.png", tables, reasons, title=artefact.title)
    if tables:
        named = [
            table.append_column("line", pa.array([name] * table.num_rows))
            for name, table in tables.items()
        ]
        write_table(done.folder / f"{artefact.name}.parquet", pa.concat_tables(named))


def _places(run_folder: Path, zoos: Sequence[str]) -> Any:
    """Who, where; encodings, whose sizes differ by model, left out."""
    run = load_run(run_folder)
    which = run.config.data.which
    networks = [read_networks(open_zoo(zoo), split="test", which=which) for zoo in zoos]
    table = embed(run, networks, perplexity=PERPLEXITY, seed=0)
    return table.select(["group", "prediction", "x", "y"])


def _draw(path: Path, tables: Mapping[str, Any], reasons: Mapping[str, str], *, title: str) -> None:
    names = [*tables, *reasons]
    figure = Figure(figsize=(PANEL * len(names), PANEL + 0.9), layout="constrained")
    panels: Any = np.atleast_1d(figure.subplots(1, len(names)))
    shown: dict[str, Any] = {}
    for axes, name in zip(panels, names, strict=True):
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=10)
        if name in reasons:
            axes.text(0.5, 0.5, reasons[name].replace(": ", ":\n"), ha="center", va="center",
                      color=GREY, fontsize=8, transform=axes.transAxes)  # fmt: skip
            continue
        groups = np.array(tables[name].column("group").to_pylist())
        x, y = (tables[name].column(c).to_numpy() for c in ("x", "y"))
        for number, group in enumerate(dict.fromkeys(groups.tolist())):
            own = groups == group
            shown[group] = axes.scatter(
                x[own], y[own], s=10, alpha=0.7, linewidths=0,
                color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
            )  # fmt: skip
    if shown:
        figure.legend(
            shown.values(), shown.keys(), loc="outside lower center", ncols=4, frameon=False
        )
    figure.suptitle(title, fontsize=10)
    write_figure(path, figure)
