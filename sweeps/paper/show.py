"""From read figures to the table: ours with its interval, beside the published number, less it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sne.files import write_bytes
from sne.resampling import Resampling
from sweeps.cells import Cell
from sweeps.marks import average_row, mark_told
from sweeps.measures import MEASURES, Measure
from sweeps.paper.declared import Line, Pair
from sweeps.paper.draw import draw_beside, draw_sizes
from sweeps.paper.grid import Grid, read_grid, read_values, trials_of
from sweeps.paper.line_trials import LineTrial
from sweeps.paper.plan import Plan, budget_notes
from sweeps.paper.published import PARAMETERS, Published
from sweeps.tables import Entry, Row, Table, latex, markdown

LEVEL = "In brackets the 95 % interval over test networks, drawn again."
BOLD = "Bold: the best, and every other whose paired difference to it has 0 in its 95 % interval."
PAPER, LESS = "paper", "less the paper's"


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What a table is made from."""

    plan: Plan
    listed: Sequence[LineTrial]
    hashes: Mapping[str, str]
    """Of the zoos that are there, by key."""
    folder: Path
    """Of the results."""
    failed: Mapping[str, str]
    """Trials without a result, with the reason."""
    resampling: Resampling


def write_artefact(done: Done) -> str:
    """Write NAME.md, NAME.tex and NAME.png into the results folder.

    Returns:
        The table as Markdown.

    Raises:
        ResultsError: results are damaged.
    """
    artefact, folder = done.plan.artefact, done.folder
    table = tabulate(done)
    text = markdown(table)
    write_bytes(folder / f"{artefact.name}.md", text.encode())
    write_bytes(folder / f"{artefact.name}.tex", latex(table, intervals=True).encode())
    path = folder / f"{artefact.name}.png"
    if artefact.shape == "sizes":
        draw_sizes(path, artefact, _sizes(done), table, label=_label(artefact.metric))
    elif artefact.shape != "plane":  # its figure is of encodings: see sweeps.paper.plane
        draw_beside(path, table, title=artefact.title, label=_label(artefact.metric))
    return text


def tabulate(done: Done) -> Table:
    """The artefact's table."""
    shape, metric = done.plan.artefact.shape, done.plan.artefact.metric
    if metric == "invariance":
        return _values_table(done)
    grid = read_grid(done.folder, done.plan, done.listed, done.hashes, metric, failed=done.failed)
    if shape == "lines":
        return _lines_table(done, grid)
    return _averages_table(done, grid) if shape == "averages" else _pairs_table(done, grid)


def beside(entry: Entry, published: Published | None) -> tuple[Entry, Entry]:
    """What is published, and ours less that; each number keeps its own interval or spread."""
    if published is None:
        return Entry(), Entry()
    printed = Entry(value=published.value, spread=published.spread, reason=published.note)
    if entry.value is None:
        return printed, Entry()
    less = published.value
    return printed, Entry(
        value=entry.value - less,
        low=None if entry.low is None else entry.low - less,
        high=None if entry.high is None else entry.high - less,
        status=entry.status,
    )


def _label(metric: str) -> str:
    """What a figure is, as sentences and axes begin with it."""
    known = MEASURES[metric].label if metric in MEASURES else "invariance error"
    return known[0].upper() + known[1:]


def _measure(done: Done) -> Measure:
    return MEASURES[done.plan.artefact.metric]


def _ranked(done: Done, grid: Grid, pair: Pair, lines: Sequence[Line]) -> list[Entry]:
    """One pair's entries: the best marked, those that a constant could have too never."""
    cells = [grid.cells[pair.label, line.name] for line in lines]
    return list(mark_told(cells, _measure(done), resampling=done.resampling))


def _lines_table(done: Done, grid: Grid) -> Table:
    """A row for each line, all on one pair."""
    (pair,) = grid.pairs
    artefact = done.plan.artefact
    sizes = PARAMETERS.get(artefact.name, {})
    entries = _ranked(done, grid, pair, grid.lines)
    rows: list[Row] = []
    for line, entry in zip(grid.lines, entries, strict=True):
        published = artefact.published.get((line.name, ""))
        own = trials_of(done.listed, line, artefact.trained_on(line, pair))
        _, parameters = read_values(done.folder, own, done.hashes.get(pair.test.key, ""), "")
        rows.append(
            Row(
                labels=(
                    line.name,
                    _count(parameters),
                    *((_count(sizes.get(line.name)),) if sizes else ()),
                ),
                entries=(entry, *beside(entry, published)),
            )
        )
    printed = ("parameters", *(("paper's",) if sizes else ()))
    constant = _constant_note(grid)
    return Table(
        title=artefact.title,
        label_columns=(artefact.row_heading, *printed),
        columns=(f"ours, {_measure(done).label}", PAPER, LESS),
        rows=tuple(rows),
        fixed=(artefact.fixed,) * 3,
        notes=(*_notes(done), *constant),
    )


def _pairs_table(done: Done, grid: Grid) -> Table:
    """A row for each pair, three columns for each line that the paper has."""
    artefact = done.plan.artefact
    rows: list[Row] = []
    for pair in grid.pairs:
        entries = _ranked(done, grid, pair, grid.lines)
        cells = grid.row(pair)
        n = max((0 if cell.target is None else len(cell.target) for cell in cells), default=0)
        first = _learnt(done, pair) if artefact.shape == "sizes" else pair.label
        rows.append(Row(labels=(first, str(n or "–")), entries=_beside_all(done, pair, entries)))
    return _wide(done, tuple(rows), heading=(artefact.row_heading, "n"))


def _averages_table(done: Done, grid: Grid) -> Table:
    """A row for each training zoo: means over its test zoos."""
    measure, rows = _measure(done), list[Row]()
    groups: dict[str, list[Pair]] = {}
    for pair in grid.pairs:
        groups.setdefault(pair.label.partition("→")[0], []).append(pair)
    for name, pairs in groups.items():
        columns = [grid.column(line, pairs) for line in grid.lines]
        averages = average_row(columns, measure, resampling=done.resampling)
        entries = [_average(*pair) for pair in zip(averages, columns, strict=True)]
        row = Pair(label=name, train=pairs[0].train, test=pairs[0].test)
        rows.append(Row(labels=(name,), entries=_beside_all(done, row, entries)))
    return _wide(done, tuple(rows), heading=(done.plan.artefact.row_heading,))


def _average(entry: Entry, cells: Sequence[Cell]) -> Entry:
    """An average that a constant could have too is marked; one that lacks all says what of."""
    reasons = {cell.reason for cell in cells}
    if entry.value is None:
        return replace(entry, reason=reasons.pop() if len(reasons) == 1 else entry.reason)
    if entry.low is None or entry.low <= 0:
        return replace(entry, doubtful=True, marked=False)
    return entry


def _beside_all(done: Done, pair: Pair, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    artefact, found = done.plan.artefact, list[Entry]()
    for line, entry in zip(artefact.lines_at(done.plan.scale.name), entries, strict=True):
        found.append(entry)
        if _is_printed(done, line):
            found += beside(entry, artefact.published.get((pair.label, line.name)))
    return tuple(found)


def _wide(done: Done, rows: tuple[Row, ...], *, heading: tuple[str, ...]) -> Table:
    artefact, columns = done.plan.artefact, list[str]()
    for line in artefact.lines_at(done.plan.scale.name):
        columns.append(line.name)
        if _is_printed(done, line):
            columns += [PAPER, LESS]
    return Table(
        title=artefact.title,
        label_columns=heading,
        columns=tuple(columns),
        rows=rows,
        fixed=(artefact.fixed,) * len(columns),
        notes=_notes(done),
    )


def _values_table(done: Done) -> Table:
    """A row for each line: invariance errors, which have no predictions behind them."""
    artefact, rows = done.plan.artefact, list[Row]()
    (pair,) = artefact.pairs
    for line in artefact.lines_at(done.plan.scale.name):
        lacking = done.plan.lacking(line)
        own = trials_of(done.listed, line, artefact.trained_on(line, pair))
        zoo = done.hashes.get(pair.test.key, "")
        entry, control = (
            Entry(reason=f"missing in this version: {lacking}")
            if lacking is not None
            else read_values(done.folder, own, zoo, metric)[0]
            for metric in ("invariance", "invariance_control")
        )
        published = artefact.published.get((line.name, ""))
        rows.append(Row(labels=(line.name,), entries=(entry, *beside(entry, published), control)))
    return Table(
        title=artefact.title,
        label_columns=(artefact.row_heading,),
        columns=("ours, reordered", PAPER, LESS, "ours, another function"),
        rows=tuple(rows),
        fixed=(artefact.fixed,) * 4,
        notes=(*artefact.notes, *budget_notes(done.plan)),
    )


def _notes(done: Done) -> tuple[str, ...]:
    artefact, measure = done.plan.artefact, _measure(done)
    better = "higher" if measure.higher_is_better else "lower"
    seeds = len(done.plan.scale.seeds_of(artefact))
    means = f" Means over {seeds} seeds, ± their standard deviation." if seeds > 1 else ""
    return (
        f"{_label(measure.name)}; {better} is better. {LEVEL}{means}",
        BOLD,
        *artefact.notes,
        *budget_notes(done.plan),
    )


def _constant_note(grid: Grid) -> Iterator[str]:
    target = next((c.target for c in grid.cells.values() if c.target is not None), None)
    if target is not None:
        yield f"The best constant on these test networks has {float(target.var()):.3g}."


def _is_printed(done: Done, line: Line) -> bool:
    return any(name == line.name for _, name in done.plan.artefact.published)


def _learnt(done: Done, pair: Pair) -> str:
    return f"{_sizes(done)[pair.label]:,} ({pair.label})"


def _sizes(done: Done) -> dict[str, int]:
    """Training networks of each pair."""
    zoos = done.plan.zoos
    return {
        pair.label: sum(zoos[n.key].members * zoos[n.key].shares[0] // 10 for n in pair.train)
        for pair in done.plan.artefact.pairs
    }


def _count(parameters: int | None) -> str:
    return f"{parameters:,}" if parameters else "–"
