"""The page's pictures, each with what stands below it and the trials that it is drawn from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from markupsafe import Markup

from sweeps.measures import Measure
from sweeps.page.confusion import confusion
from sweeps.page.embedding import Embedding
from sweeps.page.folder import Folder, Place
from sweeps.page.grid import Grid
from sweeps.page.pictures import (
    Bar,
    Course,
    draw_courses,
    draw_places,
    draw_predictions,
    draw_times,
    draw_valued_places,
)
from sweeps.page.trials import Fact, anchor
from sweeps.results import read_curves, read_predictions
from sweeps.tables import number_text

MOST_COURSES = 6
"""Curves in one picture."""
MOST_SCATTERS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture on the page, or a table in its place."""

    drawn: Markup | Grid
    caption: str
    href: str = ""
    """Where the trials are that it is drawn from."""
    link: str = ""
    facts: tuple[Fact, ...] = ()
    """Numbers in the caption."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Pictures under one heading."""

    title: str
    pictures: tuple[Picture, ...]


def courses_of(folder: Folder, *, by_row: bool) -> tuple[Picture, ...]:
    """Validation losses by epoch: a picture for each table; of a matrix for each training zoo."""
    found: dict[str, list[Course]] = {}
    for place in folder.places:
        course = _course(folder, place, label=place.table if by_row else place.row)
        if course is not None:
            found.setdefault(place.row if by_row else place.table, []).append(course)
    return tuple(
        picture
        for number, (title, courses) in enumerate(found.items())
        for picture in _course_pictures(f"course-{number}", title, courses)
    )


def _course(folder: Folder, place: Place, *, label: str) -> Course | None:
    tables = [read_curves(folder.path, trial) for trial in place.trials if trial in folder.rows]
    kept: list[tuple[tuple[int, ...], tuple[float, ...]]] = []
    for table in tables:
        if table is None:
            continue
        pairs = [
            (epoch, loss)
            for epoch, loss in zip(
                table.column("epoch").to_pylist(),
                table.column("val_loss").to_pylist(),
                strict=True,
            )
            if loss is not None
        ]
        if pairs:
            epochs, losses = zip(*pairs, strict=True)
            kept.append((epochs, losses))
    if not kept:
        return None
    return Course(label=label, epochs=tuple(e for e, _ in kept), losses=tuple(v for _, v in kept))


def _course_pictures(name: str, title: str, courses: Sequence[Course]) -> Iterator[Picture]:
    shown = courses
    caption = title
    if len(courses) > MOST_COURSES:
        shown = sorted(courses, key=lambda c: min(min(v) for v in c.losses))[:MOST_COURSES]
        caption = f"{title}: the {MOST_COURSES} of {len(courses)} with the lowest loss"
    yield Picture(drawn=draw_courses(name, title, shown), caption=caption)


def scatters_of(folder: Folder, measure: Measure) -> tuple[tuple[Group, ...], int]:
    """Predicted against true for each place and test zoo, by the first seed.

    Of numbers a scatter plot, of categories a table of counts.

    Returns:
        The pictures by table, and how many were left out as there are too many.
    """
    groups: dict[str, list[Picture]] = {}
    drawn = left = 0
    for place in folder.places:
        for zoo in folder.test_zoos:
            picture = None
            if place.trials[0] in folder.rows:
                if drawn >= MOST_SCATTERS:
                    left += 1
                    continue
                picture = _scatter(folder, place, zoo, measure)
            if picture is not None:
                groups.setdefault(place.table, []).append(picture)
                drawn += 1
    return tuple(Group(title=t, pictures=tuple(p)) for t, p in groups.items()), left


def _scatter(folder: Folder, place: Place, zoo: str, measure: Measure) -> Picture | None:
    trial = place.trials[0]
    table = read_predictions(folder.path, trial)
    if table is None:
        return None
    own = table.filter([name == zoo for name in table.column("zoo").to_pylist()])
    if not own.num_rows:
        return None
    label = folder.rows[trial][0]["target"].replace("_", " ")
    title = f"{place.title}, tested on {folder.names[zoo]}"
    name = f"scatter-{trial}-{folder.test_zoos.index(zoo)}-{place.id}"
    target, prediction = (own.column(side).to_pylist() for side in ("target", "prediction"))
    if isinstance(target[0], str):
        drawn = confusion(name, title, target, prediction)
    else:
        pair = (np.array(values, dtype=float) for values in (target, prediction))
        drawn = draw_predictions(name, title, *pair, label=label)
    return Picture(
        drawn=drawn,
        caption=place.row + (f" → {folder.names[zoo]}" if len(folder.test_zoos) > 1 else ""),
        href=f"#{anchor(trial)}",
        link=f"seed {place.seeds[0]}",
        facts=tuple(_caption_facts(folder, trial, zoo, measure)),
    )


def _caption_facts(folder: Folder, trial: str, zoo: str, measure: Measure) -> Iterator[Fact]:
    for row in folder.rows[trial]:
        tested = row["test_zoo"]
        if tested is None or tested["hash"] != zoo or row["metric"] != measure.name:
            continue
        if row["value"] is not None:
            text = number_text(row["value"], fixed=measure.fixed)
            yield Fact(name=measure.label, text=text, value=row["value"])
        yield Fact(name="n", text=f"{row['n_networks']:,}", value=row["n_networks"])


def embedding_pictures(embedding: Embedding, label: str) -> tuple[Picture, ...]:
    """Networks in the plane by zoo and, where numbers are predicted, by prediction."""
    href = f"#{anchor(embedding.trial)}"
    title = f"t-SNE of {len(embedding.groups)} encodings by {embedding.model}, by zoo"
    found = [
        Picture(
            drawn=draw_places("places", title, embedding.places, embedding.groups),
            caption="By zoo",
            href=href,
            link=embedding.trial,
        )
    ]
    if embedding.numbers:
        drawn = draw_valued_places(
            "valued", title, embedding.places, embedding.predictions, label=f"predicted {label}"
        )
        found.append(Picture(drawn=drawn, caption="By prediction", href=href, link=embedding.trial))
    return tuple(found)


def times_of(folder: Folder) -> Picture | None:
    """When each trial ran, in as many rows for each machine as trials ran at a time."""
    spans = sorted(_spans(folder), key=lambda span: span[1:3])
    if len(spans) < 2:
        return None
    first = min(begun for _, begun, _, _ in spans)
    labels = list(dict.fromkeys(table for _, _, _, table in spans))
    ends: dict[str, list[datetime]] = {}
    bars: list[Bar] = []
    for host, begun, ended, table in spans:
        lanes = ends.setdefault(host, [])
        free = next((n for n, end in enumerate(lanes) if end <= begun), len(lanes))
        lanes[free : free + 1] = [ended]
        bars.append(
            Bar(
                lane=f"{host} · {free + 1}",
                first=(begun - first).total_seconds(),
                last=(ended - first).total_seconds(),
                series=labels.index(table),
            )
        )
    if max(bar.last for bar in bars) <= 0:
        return None
    return Picture(
        drawn=draw_times("times", sorted(bars, key=lambda bar: bar.lane), labels, first),
        caption="A bar is one trial from its begin to its end, tests included; a row is one that "
        "ran at a time on a machine.",
    )


def _spans(folder: Folder) -> Iterator[tuple[str, datetime, datetime, str]]:
    tables: Mapping[str, str] = {
        trial: place.table for place in reversed(folder.places) for trial in place.trials
    }
    for trial, where in folder.where.items():
        known: Any = (where.get("host"), where.get("started"), where.get("finished"))
        if all(known):
            begun, ended = (datetime.fromisoformat(text) for text in known[1:])
            yield known[0], begun, ended, tables[trial]
