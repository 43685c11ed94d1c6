"""Tables as values, and as Markdown and LaTeX: figures with intervals, marks, reasons for n/a."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sweeps.results import NOT_APPLICABLE, OK, UNTRAINED, Status

NOTE_SIGNS = "abcdefghijklmnopqrstuvwxyz"
UNTRAINED_NOTE = (
    "† not trained enough: no better than a constant on its own training networks; its figures say "
    "nothing of the method, and it is never marked"
)

DOUBTFUL_NOTE = (
    "‡ not told from a constant on these test networks: its interval holds what a constant "
    "reaches; trained too little, or on too few networks, to say something of the method"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One cell."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    """Standard deviation over seeds; None for one seed."""
    status: Status = OK
    reason: str | None = None
    marked: bool = False
    """Among the best of its row."""
    doubtful: bool = False
    """Its interval holds what a constant reaches; such are told of where a table asks for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line."""

    labels: tuple[str, ...]
    entries: tuple[Entry, ...]
    above: bool = False
    """A rule stands above it: averages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table with what stands around it."""

    title: str
    label_columns: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    fixed: tuple[bool, ...]
    """For each column: three decimals, else three significant digits, for errors of any size."""
    notes: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why cells have no figure, or one that says nothing; each once, in order."""
        entries = (entry for row in self.rows for entry in row.entries)
        return tuple(dict.fromkeys(e.reason for e in entries if e.reason is not None))


def markdown(table: Table) -> str:
    """The table for pages and terminals; the best are bold, reasons are footnotes."""
    header = (*table.label_columns, *table.columns)
    rule = [*("---" for _ in table.label_columns), *("---:" for _ in table.columns)]
    lines = [f"**{table.title}**", "", _line(header), _line(rule)]
    for row in table.rows:
        cells = [
            _markdown_cell(table, *pair) for pair in zip(row.entries, table.fixed, strict=True)
        ]
        lines.append(_line([*row.labels, *cells]))
    return "\n".join([*lines, *(f"\n{note}" for note in _notes(table)), ""])


def latex(table: Table, *, intervals: bool = False) -> str:
    """The table as a `tabular` with `booktabs`' rules; the best are bold, reasons stand below.

    Args:
        intervals: stand behind the figures, as in `markdown`.
    """
    header = (*table.label_columns, *table.columns)
    form = "l" * len(table.label_columns) + "r" * len(table.columns)
    lines = [
        f"% {table.title}",
        f"\\begin{{tabular}}{{{form}}}",
        "\\toprule",
        _latex_line([_escaped(name) for name in header]),
        "\\midrule",
    ]
    for row in table.rows:
        if row.above:
            lines.append("\\midrule")
        cells = [
            _latex_cell(table, *pair, interval=intervals)
            for pair in zip(row.entries, table.fixed, strict=True)
        ]
        lines.append(_latex_line([*(_escaped(label) for label in row.labels), *cells]))
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"% {note}" for note in _notes(table)]
    return "\n".join([*lines, ""])


def number_text(value: float, *, fixed: bool = True) -> str:
    """A number as tables show it: fixed 0.807, −0.012; otherwise 12.3, 0.0123, 4.20e-05."""
    size = abs(value)
    if fixed or size == 0:
        text = f"{size:.3f}"
    elif 1e-3 <= size < 1e4:
        decimals = max(0, 2 - math.floor(math.log10(size)))
        text = f"{size:.{decimals}f}"
    else:
        text = f"{size:.2e}"
    return f"−{text}" if value < 0 and float(text) else text


def _markdown_cell(table: Table, entry: Entry, fixed: bool) -> str:
    sign = f" [{_sign(table, entry)}]" if entry.reason else ""
    if entry.status == NOT_APPLICABLE:
        return f"n/a{sign}"
    if entry.value is None:
        return f"–{sign}"
    number = number_text(entry.value, fixed=fixed)
    text = f"**{number}**" if entry.marked else number
    if entry.low is not None and entry.high is not None:
        low, high = (number_text(end, fixed=fixed) for end in (entry.low, entry.high))
        text += f" ({low} … {high})"
    if entry.spread is not None:
        text += f" ±{number_text(entry.spread, fixed=fixed)}"
    return text + _signs(entry) + sign


def _latex_cell(table: Table, entry: Entry, fixed: bool, *, interval: bool) -> str:
    if entry.status == NOT_APPLICABLE:
        return f"n/a$^{{{_sign(table, entry)}}}$" if entry.reason else "n/a"
    if entry.value is None:
        return f"--$^{{{_sign(table, entry)}}}$" if entry.reason else "--"
    number = number_text(entry.value, fixed=fixed).replace("−", "-")
    text = f"$\\mathbf{{{number}}}$" if entry.marked else f"${number}$"
    if interval and entry.low is not None and entry.high is not None:
        low, high = (number_text(end, fixed=fixed) for end in (entry.low, entry.high))
        text += f" {{\\scriptsize $[{low}, {high}]$}}".replace("−", "-")
    if entry.spread is not None:
        spread = number_text(entry.spread, fixed=fixed)
        text += f" {{\\scriptsize $\\pm {spread}$}}"
    return text + "".join(_LATEX_SIGNS[sign] for sign in _signs(entry))


def _signs(entry: Entry) -> str:
    """Of a figure that says little."""
    return ("†" if entry.status == UNTRAINED else "") + ("‡" if entry.doubtful else "")


_LATEX_SIGNS = {"†": "$^\\dagger$", "‡": "$^\\ddagger$"}


def _notes(table: Table) -> Iterator[str]:
    yield from table.notes
    entries = [entry for row in table.rows for entry in row.entries]
    if any(entry.status == UNTRAINED for entry in entries):
        yield UNTRAINED_NOTE
    if any(entry.doubtful for entry in entries):
        yield DOUBTFUL_NOTE
    for number, reason in enumerate(table.reasons):
        yield f"[{note_sign(number)}] {reason}"


def _sign(table: Table, entry: Entry) -> str:
    assert entry.reason is not None  # asked for entries with a reason only
    return note_sign(table.reasons.index(entry.reason))


def note_sign(number: int) -> str:
    """What marks a table's footnotes: a, b, …, z, aa, ab and so on."""
    rest, last = divmod(number, len(NOTE_SIGNS))
    return (note_sign(rest - 1) if rest else "") + NOTE_SIGNS[last]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _latex_line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


_ESCAPES = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "×": "$\\times$",
    "→": "$\\to$",
    "τ": "$\\tau$",
    "λ": "$\\lambda$",
    "‖": "$\\|$",
    "²": "$^2$",
    "−": "$-$",
    "–": "--",
    "…": "\\dots{}",
}


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in text)
