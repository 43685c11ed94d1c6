"""What the page draws: settings with intervals, losses by epoch, predictions, encodings, times."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from sne.figures import padded_range
from sweeps.measures import Measure
from sweeps.page.block import Dot
from sweeps.page.palette import SERIES
from sweeps.page.svg import INK, RULE, svg

WIDTH = 380.0
"""Points: as wide as a phone, so that text keeps its size there."""
SQUARE = 250.0
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")
LABEL_LETTERS = 24
DECADE = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """Losses by epoch of one setting: of each seed."""

    label: str
    epochs: tuple[tuple[int, ...], ...]
    losses: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """The time that a trial took, in seconds since the first began."""

    lane: str
    first: float
    last: float
    series: int


def draw_settings(name: str, title: str, dots: Sequence[Dot], measure: Measure) -> Markup:
    """Each setting's figure with its interval; numbers in order are joined by a line."""
    ordered = all(_is_number(dot.label) for dot in dots)
    alternative = f"{measure.label} by {title}: " + "; ".join(
        f"{dot.label} {'–' if dot.value is None else f'{dot.value:.3g}'}" for dot in dots
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        (_curve if ordered else _forest)(axes, dots, measure, title)

    height = 240.0 if ordered else 60 + 34 * len(dots)
    return svg(name, alternative, draw, size=(WIDTH, height))


def _curve(axes: Any, dots: Sequence[Dot], measure: Measure, title: str) -> None:
    places = np.arange(len(dots))
    known = [(p, d) for p, d in zip(places, dots, strict=True) if d.value is not None]
    axes.plot([p for p, _ in known], [d.value for _, d in known], color=SERIES[0], linewidth=1.5)
    for place, dot in known:
        _whisker(axes, [place, place], [dot.low, dot.high], dot)
        axes.plot([place] * len(dot.seeds), dot.seeds, "_", color=SERIES[1], markersize=9)
        axes.plot([place], [dot.value], "o", color=SERIES[0], markersize=6)
    axes.set_xticks(places, [dot.label for dot in dots])
    axes.set(xlabel=title, ylabel=measure.label)
    axes.set_xlim(-0.4, len(dots) - 0.6)
    _scaled(axes.yaxis, dots, measure)
    axes.grid(axis="y")


def _forest(axes: Any, dots: Sequence[Dot], measure: Measure, title: str) -> None:
    places = np.arange(len(dots))[::-1]
    for place, dot in zip(places, dots, strict=True):
        if dot.value is not None:
            _whisker(axes, [dot.low, dot.high], [place, place], dot)
            axes.plot(dot.seeds, [place] * len(dot.seeds), "|", color=SERIES[1], markersize=9)
            axes.plot([dot.value], [place], "o", color=SERIES[0], markersize=6)
    axes.set_yticks(places, [textwrap.fill(dot.label, LABEL_LETTERS) for dot in dots])
    axes.set(xlabel=measure.label)
    axes.set_ylim(-0.6, len(dots) - 0.4)
    _scaled(axes.xaxis, dots, measure)
    axes.grid(axis="x")


def _whisker(axes: Any, x: Sequence[Any], y: Sequence[Any], dot: Dot) -> None:
    if dot.low is not None and dot.high is not None:
        axes.plot(x, y, color=SERIES[0], linewidth=2.5, alpha=0.55, solid_capstyle="butt")


def _logarithmic(axis: Any) -> None:
    """With plain numbers: matplotlib's powers are mathematics, which is switched off for names."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _scaled(axis: Any, dots: Sequence[Dot], measure: Measure) -> None:
    values = [v for d in dots for v in (d.value, d.low, d.high) if v is not None]
    error = bool(values) and not measure.higher_is_better and min(values) > 0
    if error and max(values) > DECADE * min(values):
        _logarithmic(axis)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("e-", "", 1).isdigit()


def draw_courses(name: str, title: str, courses: Sequence[Course]) -> Markup:
    """Validation losses by epoch: the mean over seeds, and the range of the seeds."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        drawn: list[float] = []
        for number, course in enumerate(courses):
            epochs, mean, low, high = _over_seeds(course)
            colour = SERIES[number % len(SERIES)]
            axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(
                epochs,
                mean,
                color=colour,
                linestyle=DASHES[number % len(DASHES)],
                marker="." if len(epochs) == 1 else None,
                label=_folded(course.label),
            )
            drawn += [*low, *high]
        axes.set(xlabel="epoch", ylabel="validation loss")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if drawn and min(drawn) > 0 and max(drawn) > DECADE / 2 * min(drawn):
            _logarithmic(axes.yaxis)
        axes.grid(axis="y")
        figure.legend(loc="outside lower center", ncols=1 if _long(courses) else 3)

    lines = [_folded(course.label).count("\n") + 1 for course in courses]
    rows = sum(lines) if _long(courses) else -(-len(courses) // 3)
    alternative = f"validation loss by epoch, {title}: " + ", ".join(c.label for c in courses)
    return svg(name, alternative, draw, size=(WIDTH, 230 + 16 * rows))


def _folded(label: str) -> str:
    return textwrap.fill(label, LABEL_LETTERS * 2)


def _long(courses: Sequence[Course]) -> bool:
    return max(len(course.label) for course in courses) > LABEL_LETTERS / 2


def _over_seeds(course: Course) -> tuple[list[int], list[float], list[float], list[float]]:
    """Epochs that all seeds have, with the mean, the lowest and the highest loss."""
    by_epoch: dict[int, list[float]] = {}
    for epochs, losses in zip(course.epochs, course.losses, strict=True):
        for epoch, loss in zip(epochs, losses, strict=True):
            by_epoch.setdefault(epoch, []).append(loss)
    whole = {e: v for e, v in sorted(by_epoch.items()) if len(v) == len(course.epochs)}
    values = list(whole.values())
    return (
        list(whole),
        [sum(v) / len(v) for v in values],
        [min(v) for v in values],
        [max(v) for v in values],
    )


def draw_predictions(
    name: str,
    title: str,
    target: Float[np.ndarray, " n"],
    prediction: Float[np.ndarray, " n"],
    *,
    label: str,
) -> Markup:
    """Predicted against true, one dot a network, both axes alike."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        ends = padded_range(np.concatenate([target, prediction]))
        axes.plot(ends, ends, color=INK, linewidth=0.8, zorder=0)
        alpha = 0.65 if target.size <= 1000 else 0.25
        axes.scatter(
            target, prediction, s=9, alpha=alpha, linewidths=0, color=SERIES[0], rasterized=True
        )
        axes.set(xlabel=f"true {label}", ylabel=f"predicted {label}", xlim=ends, ylim=ends)
        axes.set_aspect("equal")
        axes.locator_params(nbins=5)

    alternative = f"predicted against true {label}: {title}"
    return svg(name, alternative, draw, size=(SQUARE, SQUARE), margins=(46, 36))


def draw_places(
    name: str, title: str, places: Float[np.ndarray, "n 2"], groups: Sequence[str]
) -> Markup:
    """Points in a plane by group."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        names = np.array(groups)
        for number, group in enumerate(dict.fromkeys(groups)):
            own = places[names == group]
            axes.scatter(
                *own.T,
                s=12,
                alpha=0.75,
                linewidths=0,
                color=SERIES[number % len(SERIES)],
                marker=MARKERS[number % len(MARKERS)],
                label=f"{group} ({len(own)})",
                rasterized=True,
            )
        _bare_plane(axes)
        figure.legend(loc="outside lower center", ncols=1, markerscale=1.8)

    count = len(dict.fromkeys(groups))
    return svg(name, title, draw, size=(WIDTH, WIDTH * 0.8 + 16 * count))


def draw_valued_places(
    name: str,
    title: str,
    places: Float[np.ndarray, "n 2"],
    values: Float[np.ndarray, " n"],
    *,
    label: str,
) -> Markup:
    """The same points by value."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    # The ends of viridis would be lost on a dark or a light page.
    shades = ListedColormap(mpl.colormaps["viridis"](np.linspace(0.25, 0.85, 256)))

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        points = axes.scatter(*places.T, s=12, linewidths=0, c=values, cmap=shades, rasterized=True)
        _bare_plane(axes)
        bar = figure.colorbar(
            points, ax=axes, label=label, location="bottom", shrink=0.7, aspect=30
        )
        bar.outline.set_visible(False)

    return svg(name, title, draw, size=(WIDTH, WIDTH * 0.92))


def _bare_plane(axes: Any) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=RULE)


def draw_times(name: str, bars: Sequence[Bar], labels: Sequence[str], begun: datetime) -> Markup:
    """When each trial ran: a row of bars for each place where one can run at a time."""
    lanes = list(dict.fromkeys(bar.lane for bar in bars))
    whole = max(bar.last for bar in bars)
    unit, seconds = next(
        (pair for pair in (("h", 3600.0), ("min", 60.0)) if whole > 2 * pair[1]), ("s", 1.0)
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        seen: set[int] = set()
        for bar in bars:
            label = labels[bar.series] if bar.series not in seen else None
            seen.add(bar.series)
            axes.barh(
                lanes.index(bar.lane),
                (bar.last - bar.first) / seconds,
                left=bar.first / seconds,
                height=0.7,
                color=SERIES[bar.series % len(SERIES)],
                edgecolor=RULE,
                linewidth=0.8,
                label=label,
            )
        axes.set_yticks(range(len(lanes)), lanes)
        axes.invert_yaxis()
        axes.set(xlabel=f"{unit} since {begun:%Y-%m-%d %H:%M} UTC")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        figure.legend(loc="outside lower center", ncols=3)

    rows = -(-len(labels) // 3)
    alternative = f"{len(bars)} trials over {whole / seconds:.3g} {unit} in {len(lanes)} rows"
    return svg(name, alternative, draw, size=(WIDTH * 2, 64 + 26 * len(lanes) + 16 * rows))
