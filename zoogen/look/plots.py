"""A zoo's distributions as one figure: which panels it has, and how they are put on a page.

The panels themselves are in `zoogen.look.panels`. Drawn without a display, by matplotlib's Agg.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from zoogen.errors import PlanError
from zoogen.look import panels
from zoogen.look.content import Content
from zoogen.look.report import Report
from zoogen.recipe import SINE

Panel: TypeAlias = Callable[[Any, panels.Sight], None]
FORMATS = (".png", ".pdf", ".svg")
COLUMNS = 3
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "font.size": 10,
    "savefig.dpi": 130,
}


def draw(content: Content, report: Report, path: Path) -> None:
    """Draw the figure into a file, replacing one of that name.

    Raises:
        PlanError: the file's ending is none of `FORMATS`, or it cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise PlanError(f"--plot wants a file ending in {', '.join(FORMATS)}, got {path.name!r}")
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sight = panels.Sight(content=content, report=report)
    chosen = panels_for(sight)
    rows = -(-len(chosen) // COLUMNS)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2 * COLUMNS, 4.3 * rows + 0.7), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for ax, panel in zip(axes, chosen, strict=False):
            panel(ax, sight)
        for ax in axes[len(chosen) :]:
            ax.remove()
        figure.suptitle(_title(report), x=0.01, ha="left", fontsize=13, fontweight="bold")
        try:
            figure.savefig(path)
        except OSError as error:
            raise PlanError(f"cannot write {path}: {error.strerror or error}") from error


def panels_for(sight: panels.Sight) -> tuple[Panel, ...]:
    """The panels that this zoo has something to show in."""
    plan = sight.report.plan
    if plan.kind == "images":
        return (
            panels.accuracy_histogram,
            panels.accuracy_against_rate,
            panels.accuracy_against_next,
            panels.accuracy_curve,
            panels.loss_curve,
            panels.importance_bars,
        )
    against = (panels.mse_against_frequency, panels.steps_against_frequency)
    return (
        panels.mse_histogram,
        *(against if plan.dataset == SINE else (panels.mse_against_steps,)),
        panels.mse_shares,
        panels.steps_histogram,
        panels.importance_bars,
    )


def _title(report: Report) -> str:
    plan = report.plan
    found, wanted = report.members, report.members_planned
    count = f"{found:,}" if found == wanted else f"{found:,} of {wanted:,}"
    return f"{plan.dataset} × {plan.family}, recipe {plan.recipe['name']}: {count} networks"
