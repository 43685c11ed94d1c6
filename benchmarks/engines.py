"""The table behind the choice of an engine: images or steps a second of every engine that fits.

    python -m benchmarks.engines

prints it in the form in which `zoogen.train.choose` holds it. Training alone is timed, with
dropout, at the engines' interface; all engines must agree before they are timed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks import jobs
from benchmarks.cnn import DROPOUT, require_close
from benchmarks.jobs import Team
from benchmarks.table import Row
from benchmarks.theme import Measure, Unmeasurable, main
from benchmarks.timing import Contender, race
from zoogen.machine import prepare_training
from zoogen.members import Member
from zoogen.train import ENGINES, load_engine
from zoogen.train.choose import choose
from zoogen.train.init import initial_weights
from zoogen.train.job import ImageJob, Job

REFERENCE = "loop"
TOGETHER: Mapping[str, Sequence[int]] = {"cpu": (16, 64), "cuda": (32, 128)}
"""Members that `vmap` is given at once, by device; other engines take one after another."""
ROUNDS = 2
DEVICES = ("cpu", "cuda")
CASES = [(a, b) for a in ("arch1", "arch2") for b in (512, 64, 8)] + [
    ("siren", 128),
    ("siren", 2000),
    *((arch, 64) for arch in ("schuerholt_small", "schuerholt_large", "mlp")),
    *((arch, 64) for arch in ("vit", "resnet", "wildpark")),
]
"""Family, and batch or sample points."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One engine with M members at once; `str` gives its label."""

    engine: str
    members: int

    def __str__(self) -> str:
        return f"{self.engine} ×{self.members}"


def rates(device: str, family: str, batch: int) -> Iterator[Row]:
    """One line of the table: every engine that takes the job."""
    if device == "cuda" and not torch.cuda.is_available():
        raise Unmeasurable("not measured: there is no GPU here")
    prepare_training(threads=1, device=device)
    job = _job(family, batch)
    choice = choose(job, device=device, wanted=None)
    ruled = Entry(engine=choice.engine, members=choice.group_size)
    tried = [
        Entry(engine=name, members=members)
        for name in ENGINES
        if _takes(name, job, device)
        for members in (TOGETHER[device] if name == "vmap" else (1,))
    ]
    entries = tuple(dict.fromkeys((ruled, *tried)))
    contenders = [_contender(entry, job, device) for entry in entries]
    check = partial(_check_agreement, entries, family, batch, device)
    found = race(contenders, check=check, rounds=ROUNDS)
    ranked = sorted(found.values(), key=lambda s: -s.rate)
    unit = "images/s" if isinstance(job, ImageJob) else "steps/s"
    yield Row(
        name=f"engines/{device}-{family}-{batch}",
        what=f"{device}, {family}, {'batch' if unit == 'images/s' else 'points'} {batch}: "
        f"the rule's {ruled} / the fastest",
        reached=found[str(ruled)].rate / ranked[0].rate,
        samples=tuple(ranked),
        note=", ".join(f"{s.label}: {s.rate:,.0f} {unit}" for s in ranked),
    )


def _takes(name: str, job: Job, device: str) -> bool:
    on_device = device == "cpu" or name != "native"
    return on_device and load_engine(name).refusal(job) is None


def _job(family: str, batch: int) -> Job:
    if family == "siren":
        return jobs.siren_job(points=batch, steps=200 if batch > 1000 else 800)
    return jobs.cnn_job(family, batch=batch, images=max(4 * batch, 512), epochs=1)


def _members(family: str, count: int) -> list[Member]:
    if family == "siren":
        return jobs.siren_members(count)
    return jobs.cnn_members(count, dropout=DROPOUT)


def _contender(entry: Entry, job: Job, device: str) -> Contender:
    """At least 16 networks for the quick ones, so that a round can be timed."""
    team = Team(engine=load_engine(entry.engine), members=entry.members, device=device)
    members = _members(
        job.architecture.family, max(entry.members, 16 if entry.engine == "native" else 1)
    )
    each = len(job.data.train_labels) if isinstance(job, ImageJob) else job.steps
    return Contender(
        label=str(entry), run=partial(team.train, job, members), work=each * len(members)
    )


def _check_agreement(entries: Sequence[Entry], family: str, batch: int, device: str) -> None:
    """All engines take the same two networks to the same weights."""
    if family == "siren":
        job: Job = jobs.siren_job(points=batch, steps=30)
    else:
        images = max(2 * batch, 64)
        job = jobs.cnn_job(family, batch=batch, images=images, epochs=1, checkpoints=(1,))
    members = _members(family, 2)
    ends = {
        name: Team(engine=load_engine(name), members=2, device=device).train(job, members)
        for name in {entry.engine for entry in entries} | {REFERENCE}
    }
    for name, snapshots in ends.items():
        pairs = zip(members, snapshots, ends[REFERENCE], strict=True)
        for member, ours, reference in pairs:
            start = initial_weights(job.architecture, member)
            require_close(ours.weights, reference.weights, start, f"{REFERENCE} ({family}, {name})")


def choice_table(rows: Sequence[Row]) -> str:
    """Device, family, batch → engine, M, as `zoogen.train.choose` holds it; the fastest first."""
    lines = [
        "| device | family | batch or points | fastest: engine ×M | all |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        place = " | ".join(row.name.removeprefix("engines/").split("-"))
        fastest = row.samples[0].label if row.samples else "not measured"
        lines.append(f"| {place} | {fastest} | {row.note} |")
    return "\n".join(lines)


ROWS: Mapping[str, Measure] = {
    f"{device}-{family}-{batch}": partial(rates, device, family, batch)
    for device in DEVICES
    for family, batch in CASES
}

if __name__ == "__main__":
    main("engines", ROWS, long={}, summary=choice_table)
