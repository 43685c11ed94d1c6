"""Tables of the page as values: each number with its interval, its reason, and where it leads."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sweeps.measures import Measure
from sweeps.page.palette import STEPS
from sweeps.results import NOT_APPLICABLE, UNTRAINED
from sweeps.tables import DOUBTFUL_NOTE, UNTRAINED_NOTE, Entry, Row, Table, note_sign, number_text

DECADE = 10.0
"""Errors that differ by more are shaded by their logarithm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bare:
    """A number as it is, and as it is shown."""

    value: float
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """One cell."""

    text: str = "–"
    """What stands there: the number, or n/a, or a dash."""
    main: Bare | None = None
    low: Bare | None = None
    high: Bare | None = None
    spread: Bare | None = None
    """Standard deviation over seeds."""
    untrained: bool = False
    doubtful: bool = False
    """A constant could have it too."""
    marked: bool = False
    """Among the best of its row."""
    note: str | None = None
    """Letter of the footnote that says why there is no number, or one that says nothing."""
    href: str = ""
    """Where its trials are on the page."""
    hint: tuple[str, ...] = ()
    """Lines that are shown beside it when it is pointed at."""
    shade: int | None = None
    """Colour of the heat map, from 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What a row is called, in one of its columns."""

    text: str
    href: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One row."""

    labels: tuple[Label, ...]
    numbers: tuple[Number, ...]
    fixed: bool = False
    """An average, which stays below when rows are sorted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A table."""

    id: str
    caption: str
    label_columns: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    reasons: tuple[tuple[str, str], ...] = ()
    """Footnotes: letter and sentence."""


def bare(value: float | None, *, fixed: bool) -> Bare | None:
    """A number as tables show it; None stays None."""
    if value is None or not math.isfinite(value):
        return None
    return Bare(value=value, text=number_text(value, fixed=fixed))


def number_of(
    entry: Entry,
    *,
    fixed: bool,
    href: str = "",
    hint: Sequence[str] = (),
    signs: Mapping[str, str] | None = None,
    shade: Callable[[float], int] | None = None,
) -> Number:
    """A table's entry for the page.

    Args:
        entry: as Markdown and LaTeX show it.
        fixed: three decimals, as `number_text` has it.
        href: where its trials are.
        hint: what is known besides.
        signs: letters of the footnotes by their sentence.
        shade: the colour of a value.
    """
    main = None if entry.status == NOT_APPLICABLE else bare(entry.value, fixed=fixed)
    missing = "n/a" if entry.status == NOT_APPLICABLE else "–"
    return Number(
        text=missing if main is None else main.text,
        main=main,
        low=bare(entry.low, fixed=fixed) if main else None,
        high=bare(entry.high, fixed=fixed) if main else None,
        spread=bare(entry.spread, fixed=fixed) if main else None,
        untrained=entry.status == UNTRAINED,
        doubtful=entry.doubtful,
        marked=entry.marked,
        note=(signs or {}).get(entry.reason or ""),
        href=href,
        hint=tuple(hint),
        shade=None if main is None or shade is None else shade(main.value),
    )


def signs_of(reasons: Sequence[str]) -> dict[str, str]:
    """The letter of each footnote by its sentence."""
    return {reason: note_sign(number) for number, reason in enumerate(reasons)}


def grid_of(table: Table, numbers: Sequence[Sequence[Number]], **rest: object) -> Grid:
    """A table whose cells are made already; `rest` replaces fields of the grid."""
    entries = [entry for row in table.rows for entry in row.entries]
    told = {
        UNTRAINED_NOTE: any(entry.status == UNTRAINED for entry in entries),
        DOUBTFUL_NOTE: any(entry.doubtful for entry in entries),
    }
    known = {
        "caption": table.title,
        "label_columns": table.label_columns,
        "columns": table.columns,
        "lines": tuple(_lines(table.rows, numbers)),
        "notes": (*table.notes, *(note for note, shown in told.items() if shown)),
        "reasons": tuple((sign, text) for text, sign in signs_of(table.reasons).items()),
    }
    return Grid(**{**known, **rest})  # pyright: ignore[reportArgumentType]


def shading(
    values: Sequence[float | None], measure: Measure
) -> tuple[Callable[[float], int], tuple[Bare, Bare] | None]:
    """The colour of each value, and the ends of the scale: the worst and the best value.

    Args:
        values: all that are shaded alike; None: there is no number.
        measure: says what is better. Errors over more than a decade are shaded by their logarithm.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return (lambda value: 0), None
    low, high = min(known), max(known)
    wide = not measure.higher_is_better and low > 0 and high > DECADE * low

    def place(value: float) -> float:
        return math.log10(value) if wide else value

    span = place(high) - place(low)

    def shade(value: float) -> int:
        share = (place(value) - place(low)) / span if span else 0.5
        better = share if measure.higher_is_better else 1 - share
        return round(min(1.0, max(0.0, better)) * (STEPS - 1))

    worst, best = (low, high) if measure.higher_is_better else (high, low)
    ends = [bare(value, fixed=measure.fixed) for value in (worst, best)]
    assert ends[0] is not None  # both are finite
    assert ends[1] is not None
    return shade, (ends[0], ends[1])


def _lines(rows: Sequence[Row], numbers: Sequence[Sequence[Number]]) -> Iterator[Line]:
    averages = False
    for row, own in zip(rows, numbers, strict=True):
        averages = averages or row.above
        yield Line(
            labels=tuple(Label(text=text) for text in row.labels),
            numbers=tuple(own),
            fixed=averages,
        )
