"""A matrix on the page: a heat map for each model, and the models side by side.

Tables whose trials are tested on some of the zoos only, as those of a paper, are shown alike: what
was not tested has no figure, and averages, which would need all of them, are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sne.resampling import Resampling
from sweeps.cells import Cell, read_cell
from sweeps.matrix_report import Matrix, tabulate
from sweeps.measures import Measure
from sweeps.page.block import BEST, INTERVAL, Block, cell_hint
from sweeps.page.folder import Folder, Place
from sweeps.page.grid import Grid, Label, Line, Number, grid_of, number_of, shading, signs_of
from sweeps.results import OK
from sweeps.tables import Entry, Row

MEAN = "mean"
UNTESTED = "not trained or not tested so: it was not asked for"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Known:
    """What a cell is looked up in."""

    folder: Folder
    matrix: Matrix
    measure: Measure
    places: Mapping[tuple[str, str], Place]
    zoos: Mapping[str, str]
    """Hashes of the tested ones, by name."""

    def href(self, model: str, train: str) -> str:
        """Where the trials of a cell are; of an average over all pairs, where all are."""
        place = self.places.get((model, train))
        return "#trials" if place is None else f"#{place.id}"

    def hint(self, model: str, train: str, test: str) -> tuple[str, ...]:
        """What is known of a cell besides; of an average nothing."""
        if test not in self.zoos or (model, train) not in self.places:
            return ()
        place, cell = self.places[model, train], self.matrix.cells[model, train, test]
        return cell_hint(self.folder, place, cell, zoo=self.zoos[test], measure=self.measure)


def matrix_blocks(folder: Folder, measure: Measure, how: Resampling) -> Iterator[Block]:
    """The figures of a matrix.

    Raises:
        ResultsError: results are damaged, or lack the measure.
    """
    matrix = _read(folder, measure)
    # A matrix's own table has no such sign, the paper's tables have.
    tell = folder.asked.kind != "matrix"
    table, panels = tabulate(matrix, measure, tell=tell, resampling=how)
    # What the leads of the blocks say is left out of the notes.
    table = replace(table, notes=(), rows=tuple(_tested(table.rows)))
    shade, ends = shading([e.value for _, rows in panels for row in rows for e in row], measure)
    known = _Known(
        folder=folder,
        matrix=matrix,
        measure=measure,
        places={(place.table, place.row): place for place in folder.places},
        zoos=dict(zip(matrix.test, folder.test_zoos, strict=True)),
    )
    signs = signs_of(table.reasons)

    def number(model: str, row: Row, entry: Entry) -> Number:
        train, test = row.labels[:2]
        return number_of(
            entry,
            fixed=measure.fixed,
            href=known.href(model, train),
            hint=known.hint(model, train, test),
            signs=signs,
            shade=shade,
        )

    numbers = [
        [number(model, row, e) for model, e in zip(matrix.models, row.entries, strict=True)]
        for row in table.rows
    ]
    whole = grid_of(table, numbers, id="matrix", caption="Models side by side")
    yield Block(
        title="Heat map",
        lead=_lead(matrix, measure),
        grids=tuple(_panel(name, matrix, whole, at) for at, name in enumerate(matrix.models)),
        panels=True,
        ends=ends,
    )
    yield Block(title="Side by side", lead=BEST, grids=(whole,))


def _read(folder: Folder, measure: Measure) -> Matrix:
    """The matrix's cells; those without results, or that were not tested, with the reason."""
    places = {(place.table, place.row): place for place in folder.places}
    models, trains = (tuple(dict.fromkeys(pair[at] for pair in places)) for at in (0, 1))
    return Matrix(
        models=models,
        train=trains,
        test=tuple(folder.names[zoo] for zoo in folder.test_zoos),
        cells={
            (model, train, folder.names[zoo]): _cell(
                folder, places.get((model, train)), zoo, measure
            )
            for model in models
            for train in trains
            for zoo in folder.test_zoos
        },
    )


def _cell(folder: Folder, place: Place | None, zoo: str, measure: Measure) -> Cell:
    if place is None:
        return Cell(trials=(), values=(), status=OK, reason=UNTESTED)
    if folder.has(place, zoo, measure.name):
        return read_cell(folder.path, place.trials, zoo, measure.name)
    said = next(filter(None, map(folder.missing, place.trials)), UNTESTED)
    none = tuple(None for _ in place.trials)
    return Cell(trials=place.trials, values=none, status=OK, reason=said)


def _tested(rows: Sequence[Row]) -> Iterator[Row]:
    """Rows with something tested; averages, where everything was."""
    partial = any(entry.reason == UNTESTED for row in rows for entry in row.entries)
    for row in rows:
        average = row.labels[1] == MEAN
        if not (average and partial) and any(e.reason != UNTESTED for e in row.entries):
            yield row


def _lead(matrix: Matrix, measure: Measure) -> str:
    better = "higher" if measure.higher_is_better else "lower"
    seeds = max(len(cell.trials) for cell in matrix.cells.values())
    means = f" Means over {seeds} seeds." if seeds > 1 else ""
    return (
        f"{measure.label}; {better} is better. A row is what was trained on, a column what was "
        f"tested on.{means} {INTERVAL}"
    )


def _panel(model: str, matrix: Matrix, whole: Grid, at: int) -> Grid:
    """One model's part of the table: training zoos by test zoos."""
    found: dict[tuple[str, ...], Number] = {
        tuple(label.text for label in line.labels[:2]): line.numbers[at] for line in whole.lines
    }
    averaged = any(MEAN in labels for labels in found)
    tests = (*matrix.test, MEAN) if averaged else matrix.test
    return Grid(
        id=f"heat-{at}",
        caption=model,
        label_columns=("trained on",),
        columns=tests,
        notes=whole.notes,
        reasons=whole.reasons,
        lines=tuple(
            Line(
                labels=(Label(text=train),),
                numbers=tuple(found.get((train, test), Number()) for test in tests),
            )
            for train in matrix.train
        ),
    )
