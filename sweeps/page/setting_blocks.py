"""Settings on the page: an ablation's tables, or a list such as a search's trials."""

from collections.abc import Iterator
from dataclasses import replace
from statistics import mean, stdev

from sne.resampling import Resampling
from sweeps.ablation_report import OTHER_SEEDS, Ablated, read_tables, tabulate
from sweeps.cells import read_cell
from sweeps.factors import FULL
from sweeps.marks import entry_of, told
from sweeps.measures import Measure
from sweeps.page.block import INTERVAL, Block, Dot, cell_hint, dot_of
from sweeps.page.folder import Folder, Place
from sweeps.page.grid import Grid, Number, grid_of, number_of, signs_of
from sweeps.tables import Entry, Row, Table

PAIRED = (
    "A difference is paired: both models are measured on the same drawn networks; an interval "
    f"that holds 0 decides nothing. {OTHER_SEEDS}"
)


def ablation_blocks(folder: Folder, measure: Measure, how: Resampling) -> Iterator[Block]:
    """The tables of an ablation, with a picture of each.

    Raises:
        ResultsError: results are damaged, or lack the measure.
    """
    read = read_tables(folder.path, folder.asked, measure)
    full = next((a for rows in read.values() for a in rows if a.row == FULL), None)
    grids: list[Grid] = []
    dots: list[tuple[Dot, ...]] = []
    for at, (name, rows) in enumerate(read.items()):
        table = tabulate(name, rows, full, measure, resampling=how)
        numbers = [
            _ablated(folder, table, place, ablated, row, measure)
            for place, ablated, row in zip(_places(folder, name), rows, table.rows, strict=True)
        ]
        # The first note says what the block's lead says of all tables.
        table = replace(table, notes=table.notes[1:])
        grids.append(grid_of(table, numbers, id=f"table-{at}", caption=f"By {name}"))
        pairs = zip(rows, table.rows, strict=True)
        dots.append(tuple(dot_of(a.row, a.main, row.entries[0]) for a, row in pairs))
    better = "higher" if measure.higher_is_better else "lower"
    lead = f"{measure.label}; {better} is better. {INTERVAL} {PAIRED}"
    yield Block(title="By setting", lead=lead, grids=tuple(grids), dots=tuple(dots))


def list_blocks(folder: Folder, measure: Measure, how: Resampling) -> Iterator[Block]:
    """Tables of settings with their validation loss and, for each test zoo, the measure.

    Raises:
        ResultsError: results are damaged.
    """
    names = dict.fromkeys(place.table for place in folder.places)
    grids = tuple(
        _listed(folder, name, f"table-{at}", measure, how) for at, name in enumerate(names)
    )
    lead = (
        f"{measure.label} on the test split, which nothing was chosen by; epochs, and settings "
        f"where they are searched, are chosen by the validation loss. {INTERVAL}"
    )
    yield Block(title="By setting", lead=lead, grids=grids)


def _places(folder: Folder, table: str) -> list[Place]:
    return [place for place in folder.places if place.table == table]


def _ablated(
    folder: Folder, table: Table, place: Place, ablated: Ablated, row: Row, measure: Measure
) -> list[Number]:
    zoo, signs = folder.asked.test_zoos[0], signs_of(table.reasons)
    hints: list[tuple[str, ...]] = [() for _ in row.entries]
    if ablated.main is not None:
        hints[0] = cell_hint(folder, place, ablated.main, zoo=zoo, measure=measure)
    return [
        number_of(entry, fixed=fixed, href=f"#{place.id}", hint=hint, signs=signs)
        for entry, fixed, hint in zip(row.entries, table.fixed, hints, strict=True)
    ]


def _listed(folder: Folder, name: str, grid: str, measure: Measure, how: Resampling) -> Grid:
    places = _places(folder, name)
    zoos = [z for z in folder.test_zoos if any(folder.has(p, z, measure.name) for p in places)]
    rows: list[Row] = []
    hints: list[list[tuple[str, ...]]] = []
    for place in places:
        entries = [_validation(folder, place)]
        own: list[tuple[str, ...]] = [()]
        for zoo in zoos:
            if folder.has(place, zoo, measure.name):
                cell = read_cell(folder.path, place.trials, zoo, measure.name)
                entries.append(told(entry_of(cell, measure, how), cell, measure, how))
                own.append(cell_hint(folder, place, cell, zoo=zoo, measure=measure))
            else:
                entries.append(Entry(reason=_missing(folder, place)))
                own.append(())
        rows.append(Row(labels=(place.row,), entries=tuple(entries)))
        hints.append(own)
    table = Table(
        title=name,
        label_columns=("setting",),
        columns=("validation loss", *(f"{measure.label}, {folder.names[z]}" for z in zoos)),
        rows=tuple(rows),
        fixed=(False, *(measure.fixed for _ in zoos)),
    )
    signs = signs_of(table.reasons)
    numbers = [
        [
            number_of(entry, fixed=fixed, href=f"#{place.id}", hint=hint, signs=signs)
            for entry, fixed, hint in zip(row.entries, table.fixed, own, strict=True)
        ]
        for place, row, own in zip(places, rows, hints, strict=True)
    ]
    return grid_of(table, numbers, id=grid)


def _validation(folder: Folder, place: Place) -> Entry:
    """The mean over seeds of what settings are chosen by."""
    losses = [
        row["value"]
        for trial in place.trials
        for row in folder.rows.get(trial, ())
        if row["metric"] == "val_loss" and row["value"] is not None
    ]
    if not losses:
        return Entry(reason=next(filter(None, map(folder.missing, place.trials)), None))
    return Entry(value=mean(losses), spread=stdev(losses) if len(losses) > 1 else None)


def _missing(folder: Folder, place: Place) -> str:
    said = next(filter(None, map(folder.missing, place.trials)), None)
    return said or "not tested on this zoo"
