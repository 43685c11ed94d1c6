"""What the page shows of a sweep's figures, whatever its kind: tables that belong together."""

from dataclasses import dataclass

from sweeps.cells import Cell
from sweeps.measures import Measure
from sweeps.page.folder import Folder, Json, Place
from sweeps.page.grid import Bare, Grid
from sweeps.results import NOT_APPLICABLE
from sweeps.tables import Entry, number_text

INTERVAL = (
    "Small print: the 95 % interval over test networks, which are drawn again with replacement "
    "1,000 times; ± is the standard deviation over seeds."
)
BEST = (
    "Bold with a dot: the best of its row, and every other whose paired difference to it (on the "
    "same drawn networks) has 0 in its 95 % interval."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """One setting's figure, for a picture."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    seeds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Tables that belong together."""

    title: str
    lead: str
    """What stands above them: what the numbers and their intervals are."""
    grids: tuple[Grid, ...]
    panels: bool = False
    """Small tables beside one another, of one colour scale."""
    ends: tuple[Bare, Bare] | None = None
    """Of the colours: the worst and the best value."""
    dots: tuple[tuple[Dot, ...], ...] = ()
    """Of each grid; empty where nothing is drawn."""


def dot_of(label: str, cell: Cell | None, entry: Entry) -> Dot:
    """A setting's figure for a picture."""
    seeds = () if cell is None else cell.values
    return Dot(
        label=label,
        value=entry.value,
        low=entry.low,
        high=entry.high,
        seeds=tuple(value for value in seeds if value is not None),
    )


def cell_hint(
    folder: Folder, place: Place, cell: Cell, *, zoo: str, measure: Measure
) -> tuple[str, ...]:
    """What is shown of a cell when it is pointed at."""
    tested = f"{place.title}, tested on {folder.names[zoo]}"
    if cell.status == NOT_APPLICABLE or cell.target is None:
        return (tested, cell.reason or "no figure")
    lines = [tested, measure.label]
    rows = [_row(folder, trial, zoo, measure.name) for trial in place.trials]
    first = next((row for row in rows if row is not None), None)
    if first is not None:
        lines.append(f"n = {first['n_networks']:,} networks, trained on {first['n_train']:,}")
        if first["tie_ceiling"] is not None:
            lines.append(f"ties leave at most {number_text(first['tie_ceiling'])}")
    for seed, value in zip(place.seeds, cell.values, strict=True):
        text = "–" if value is None else number_text(value, fixed=measure.fixed)
        lines.append(f"seed {seed}: {text}")
    return tuple(lines if cell.reason is None else [*lines, cell.reason])


def _row(folder: Folder, trial: str, zoo: str, metric: str) -> Json | None:
    rows = folder.rows.get(trial, ())
    return next(
        (
            row
            for row in rows
            if row["metric"] == metric
            and row["test_zoo"] is not None
            and row["test_zoo"]["hash"] == zoo
        ),
        None,
    )
