"""Everything that stands on the page, in order, as values: what the template is filled with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from sne.progress import duration_text
from sne.resampling import Resampling
from sne.targets import SHARES
from sweeps.factors import FULL
from sweeps.measures import MEASURES, Measure
from sweeps.page.block import Block
from sweeps.page.embedding import lay_out_networks
from sweeps.page.folder import Folder, Place, read_folder
from sweeps.page.gallery import (
    Group,
    Picture,
    courses_of,
    embedding_pictures,
    scatters_of,
    times_of,
)
from sweeps.page.grid import Bare, bare
from sweeps.page.matrix_blocks import matrix_blocks
from sweeps.page.pictures import draw_settings
from sweeps.page.setting_blocks import ablation_blocks, list_blocks
from sweeps.page.trials import Fact, Trial, anchor, total_seconds, trials_of
from sweeps.results import NOT_APPLICABLE

BLOCKS = {"matrix": matrix_blocks, "ablation": ablation_blocks, "list": list_blocks}


@dataclass(frozen=True, kw_only=True, slots=True)
class Seed:
    """One trial of a place: its figure on each test zoo."""

    seed: int
    trial: str
    href: str
    state: str
    values: tuple[Bare | None, ...]
    texts: tuple[str, ...]
    """What stands where there is no number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seeds:
    """A place with its trials, of which a table shows the mean."""

    id: str
    table: str
    row: str
    lines: tuple[Seed, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The page."""

    kind: str
    title: str
    command: str
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    measure: str
    blocks: tuple[tuple[Block, tuple[Markup | None, ...]], ...]
    """With a picture for each of its tables."""
    scatters: tuple[Group, ...]
    scatters_left: int
    """So many were not drawn."""
    courses: tuple[Picture, ...]
    embedding: tuple[Picture, ...]
    embedding_missing: str
    """Why there is none."""
    times: Picture | None
    test_zoos: tuple[str, ...]
    """Their names: columns of what follows."""
    places: tuple[Seeds, ...]
    trials: tuple[Trial, ...]

    @property
    def failed(self) -> tuple[Trial, ...]:
        """Trials whose last attempt failed."""
        return tuple(trial for trial in self.trials if trial.state == "failed")

    @property
    def missing(self) -> int:
        """Trials that were not begun, or not ended."""
        return sum(trial.state == "missing" for trial in self.trials)


def make_page(
    path: Path,
    *,
    measure: Measure | None = None,
    with_embedding: bool = True,
    device: str = "auto",
    resampling: Resampling | None = None,
) -> Page:
    """Read a results folder and put its page together.

    Args:
        path: of the folder.
        measure: what tables show; None: what the sweep's own do.
        with_embedding: encode networks for t-SNE, if the runs are there.
        device: to encode them on.
        resampling: of the intervals.

    Raises:
        ResultsError: it is no sweep's folder, or empty, damaged, or lacks the measure.
    """
    folder, how = read_folder(path), resampling or Resampling()
    kind, measure = kind_of(folder), measure or usual_measure(folder)
    blocks = tuple(BLOCKS[kind](folder, measure, how))
    trials = trials_of(folder)
    scatters, left = scatters_of(folder, measure)
    labels = sorted({_target(folder, trial) for trial in folder.rows})
    laid_out = lay_out_networks(folder, device=device) if with_embedding else "Left out."
    return Page(
        kind=folder.asked.kind,
        title=f"{folder.asked.kind.capitalize()}: {' and '.join(labels)}, by {measure.label}",
        command=folder.asked.command,
        notes=folder.asked.notes,
        facts=tuple(_facts(folder, trials)),
        measure=measure.label,
        blocks=tuple((block, tuple(_drawn(block, measure))) for block in blocks),
        scatters=scatters,
        scatters_left=left,
        courses=courses_of(folder, by_row=kind == "matrix"),
        embedding=()
        if isinstance(laid_out, str)
        else embedding_pictures(laid_out, _target(folder, laid_out.trial)),
        embedding_missing=laid_out if isinstance(laid_out, str) else "",
        times=times_of(folder),
        test_zoos=tuple(folder.names[zoo] for zoo in folder.test_zoos),
        places=tuple(_seeds(folder, place, measure, trials) for place in folder.places),
        trials=trials,
    )


def _target(folder: Folder, trial: str) -> str:
    """What a trial predicts, in words."""
    return folder.rows[trial][0]["target"].replace("_", " ")


def kind_of(folder: Folder) -> str:
    """How its figures are laid out: matrix, ablation or list.

    A matrix has models as tables, or other tables that have training zoos (rows) in common.
    """
    if any(place.row == FULL for place in folder.places):
        return "ablation"
    models = {trial: rows[0]["model"] for trial, rows in folder.rows.items()}
    by_model = all(models.get(e.trial, e.table) == e.table for e in folder.asked.entries)
    shared = len({place.row for place in folder.places}) < len(folder.places)
    return "matrix" if by_model or shared else "list"


def usual_measure(folder: Folder) -> Measure:
    """What the sweep's own tables show, as far as its results tell."""
    rows = [row for own in folder.rows.values() for row in own]
    if any(row["metric"] == "accuracy" for row in rows):
        return MEASURES["accuracy"]
    numbers = any(row["target"] not in SHARES for row in rows)
    return MEASURES["mse" if numbers and kind_of(folder) != "matrix" else "tau"]


def _facts(folder: Folder, trials: Sequence[Trial]) -> Iterator[Fact]:
    """What stands at the top."""
    unfinished = sum(trial.state in ("failed", "missing") for trial in trials)
    done = len(trials) - unfinished
    rest = f", {unfinished} without a result" if unfinished else ""
    yield Fact(name="trials", text=f"{done} done{rest}", value=done)
    models = {trial.model for trial in trials if trial.model}
    yield Fact(name="models", text=str(len(models)), value=len(models))
    trained = {zoo["hash"] for rows in folder.rows.values() for zoo in rows[0]["train_zoos"]}
    yield Fact(name="zoos trained on", text=str(len(trained)), value=len(trained))
    yield Fact(name="zoos tested on", text=str(len(folder.test_zoos)), value=len(folder.test_zoos))
    seconds = total_seconds(trials)
    yield Fact(name="training, summed", text=duration_text(seconds), value=seconds)
    machines = {trial.ran.host for trial in trials if trial.ran}
    yield Fact(name="machines", text=str(len(machines)), value=len(machines))


def _drawn(block: Block, measure: Measure) -> Iterator[Markup | None]:
    for at, grid in enumerate(block.grids):
        dots = block.dots[at] if block.dots else ()
        drawable = any(dot.value is not None for dot in dots)
        name = grid.caption.removeprefix("By ")
        yield draw_settings(f"settings-{at}", name, dots, measure) if drawable else None


def _seeds(folder: Folder, place: Place, measure: Measure, trials: Sequence[Trial]) -> Seeds:
    states = {trial.hash: trial.state for trial in trials}
    lines: list[Seed] = []
    for seed, trial in zip(place.seeds, place.trials, strict=True):
        found = [_value(folder, trial, zoo, measure) for zoo in folder.test_zoos]
        lines.append(
            Seed(
                seed=seed,
                trial=trial,
                href=f"#{anchor(trial)}",
                state=states[trial],
                values=tuple(value for value, _ in found),
                texts=tuple(text for _, text in found),
            )
        )
    return Seeds(id=place.id, table=place.table, row=place.row, lines=tuple(lines))


def _value(folder: Folder, trial: str, zoo: str, measure: Measure) -> tuple[Bare | None, str]:
    for row in folder.rows.get(trial, ()):
        if row["test_zoo"] is None or row["test_zoo"]["hash"] != zoo:
            continue
        if row["status"] == NOT_APPLICABLE:
            return None, NOT_APPLICABLE
        if row["metric"] == measure.name:
            return bare(row["value"], fixed=measure.fixed), "–"
    return None, "–"
