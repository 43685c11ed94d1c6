"""Predicted against true categories: how many networks of each were predicted as which."""

from collections import Counter
from collections.abc import Sequence

from sweeps.page.grid import Bare, Grid, Label, Line, Number
from sweeps.page.palette import STEPS


def confusion(name: str, title: str, target: Sequence[str], prediction: Sequence[str]) -> Grid:
    """A table of counts: rows are true categories, columns predicted ones.

    Args:
        name: id of the table.
        title: of the table.
        target: category of each network.
        prediction: what it was predicted to be.
    """
    counts = Counter(zip(target, prediction, strict=True))
    of = Counter(target)
    classes = sorted({*target, *prediction})
    return Grid(
        id=name,
        caption=title,
        label_columns=("true",),
        columns=tuple(classes),
        lines=tuple(
            Line(
                labels=(Label(text=own),),
                numbers=tuple(_count(counts[own, other], of[own]) for other in classes),
            )
            for own in classes
        ),
        notes=("Colours are shares of a row.",),
    )


def _count(count: int, of: int) -> Number:
    text = f"{count:,}"
    share = count / of if of else 0.0
    return Number(text=text, main=Bare(value=count, text=text), shade=round(share * (STEPS - 1)))
