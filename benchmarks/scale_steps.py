"""What is done once for each zoo, however many networks it has: one function for each step.

A zoo lies in a folder; the steps before a step have left there what it needs. Networks are narrow
SIRENs whose weights and measurements are random numbers: nothing here trains, and what a weight is
makes no difference to who lists, reads and counts it. Each step checks what it got.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks.jobs import SEED
from benchmarks.timing import require
from zoogen.architecture_file import write_architectures
from zoogen.archs import arch_family
from zoogen.continuation import write_plan
from zoogen.driver import shard_work, take_stock
from zoogen.entry import ShardEntry
from zoogen.execute import Receipt
from zoogen.grouping import ShardSpec
from zoogen.journal import Journal
from zoogen.manifest import MANIFEST_NAME, Manifest, read_manifest, write_manifest
from zoogen.overrides import override
from zoogen.plan import Plan
from zoogen.planning import make_plan
from zoogen.platforms import current_platform
from zoogen.recipes import RECIPES
from zoogen.shards import write_shard
from zoogen.store import Store, open_store
from zoogen.train.job import Snapshot

WIDTH = 12
"""Of the SIREN: 193 parameters."""
GROUP = 16
"""Members that an engine would train at once."""
ENTRIES = "entries.jsonl"
"""Beside the zoo: what its shards' receipts would say."""
Step: TypeAlias = Callable[[Path, int], "Done"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What one step took."""

    seconds: float
    cpu_seconds: float
    """Of the process, all threads: what another process on the machine hardly changes."""
    bytes: int | None = None
    """Of the file that it wrote, where that is the question."""
    shards: int | None = None


class Watch:
    """A stopwatch for both kinds of seconds, which runs from the start."""

    def __init__(self) -> None:
        self._start = self._stop = (time.perf_counter(), time.process_time())

    def stop(self) -> None:
        """What follows does not count."""
        self._stop = (time.perf_counter(), time.process_time())

    def done(self, *, bytes: int | None = None, shards: int | None = None) -> Done:
        """What was stopped, with what else there is to say."""
        seconds, cpu = (
            after - before for before, after in zip(self._start, self._stop, strict=True)
        )
        return Done(seconds=seconds, cpu_seconds=cpu, bytes=bytes, shards=shards)


def inr_plan(members: int) -> Plan:
    """SIRENs fitted to sine waves by the recipe `sine-f`, but narrow."""
    return make_plan(
        override(RECIPES["sine-f"], members=members),
        data={"name": "sine", "points": 128},
        architecture=arch_family("siren").describe(input_shape=(1,), classes=1, width=WIDTH),
        seed=SEED,
        platform=current_platform(engine="loop", threads=1, device="cpu"),
        group_size=GROUP,
    )


def cnn_plan(members: int) -> Plan:
    """The Small CNN Zoo by its published recipe: members of four kinds, and ten to a shard."""
    return make_plan(
        override(RECIPES["unterthiner2020"], members=members),
        data={"name": "mnist", "train_size": 60_000, "test_size": 10_000, "content_hash": "00"},
        architecture=arch_family("arch1").describe(input_shape=(1, 28, 28), classes=10),
        seed=SEED,
        platform=current_platform(engine="loop", threads=1, device="cpu"),
        group_size=GROUP,
    )


def plan_inrs(folder: Path, members: int) -> Done:
    """What the driver does before the first shard is begun."""
    return _plan(folder, inr_plan(members))


def plan_cnns(folder: Path, members: int) -> Done:
    """The same of classifiers, whose groups depend on what each member draws."""
    return _plan(folder, cnn_plan(members))


def list_cnns(folder: Path, members: int) -> Done:
    """The manifest of the classifiers, written and read again; entries are made up."""
    plan, store = cnn_plan(members), open_store(folder / "listed")
    entries = tuple(_made_up(spec) for spec in plan.shards())
    manifest = Manifest(plans=(plan,), shards=entries, summary={"networks": members})
    watch = Watch()
    manifest.write(store)
    found = read_manifest(store)
    watch.stop()
    require(found == manifest, "the manifest does not read back as it was written")
    size = _manifest_bytes(store, manifest)
    return watch.done(bytes=size, shards=len(entries))


def commit_receipts(folder: Path, members: int) -> Done:
    """The driver's part in a shard that a worker has written: the receipt on disk."""
    plan, store = inr_plan(members), open_store(folder / "receipts")
    receipts = [
        Receipt(
            shard=spec.number,
            status="made",
            entry=_made_up(spec),
            attempt=1,
            cpu_seconds=1.0,
            wall_seconds=1.0,
            worker="host:1",
        )
        for spec in plan.shards()
    ]
    journal = Journal(store)
    watch = Watch()
    for receipt in receipts:
        journal.commit(receipt)
    watch.stop()
    lines = sum(store.read(name).count(b"\n") for name in store.list("log"))
    require(lines == len(receipts), f"{lines} of {len(receipts)} receipts are in the log")
    return watch.done(shards=len(receipts))


def write_shards(folder: Path, members: int) -> Done:
    """All shards, one after the other; random numbers for weights."""
    plan, store = inr_plan(members), open_store(folder / "zoo")
    watch = Watch()
    write_plan(store, plan)
    architecture = arch_family("siren").describe(input_shape=(1,), classes=1, width=WIDTH)
    write_architectures(store, [architecture])
    entries = [
        write_shard(store, plan=plan, spec=spec, snapshots=_snapshots(plan, spec))
        for spec in plan.shards()
    ]
    watch.stop()
    lines = [json.dumps(entry.to_json()) for entry in entries]
    (folder / ENTRIES).write_text("\n".join(lines), encoding="utf-8")
    require(sum(entry.networks for entry in entries) == members, "networks are missing")
    return watch.done(bytes=sum(entry.bytes for entry in entries), shards=len(entries))


def resume(folder: Path, members: int) -> Done:
    """A run that was killed just before the manifest: every shard is read again."""
    watch = Watch()
    stock = take_stock(open_store(folder / "zoo"), [inr_plan(members)], None)
    watch.stop()
    require(stock.members_found == members and not stock.missing, "whole shards were not found")
    return watch.done()


def complete(folder: Path, members: int) -> Done:
    """The manifest from the receipts, with its summary of all networks."""
    lines = (folder / ENTRIES).read_text(encoding="utf-8").splitlines()
    entries = [ShardEntry.from_json(json.loads(line)) for line in lines]
    store = open_store(folder / "zoo")
    watch = Watch()
    manifest = write_manifest(store, plans=[inr_plan(members)], entries=entries)
    watch.stop()
    require(manifest.summary["networks"] == members, "the summary counts other networks")
    size = _manifest_bytes(store, manifest)
    return watch.done(bytes=size, shards=len(entries))


def open_it(folder: Path, members: int) -> Done:
    """`open_zoo`."""
    from zoogen.reader import open_zoo

    watch = Watch()
    zoo = open_zoo(folder / "zoo")
    watch.stop()
    require(len(zoo) == members, "the zoo has another number of networks")
    return watch.done()


def read_column(folder: Path, members: int) -> Done:
    """One measurement of every network."""
    from zoogen.reader import open_zoo

    networks = open_zoo(folder / "zoo").networks(status=None)
    watch = Watch()
    found = networks.column("mse")
    watch.stop()
    require(found.shape == (members,), "the column has another length")
    return watch.done()


def read_weights(folder: Path, members: int) -> Done:
    """The weights of every network, as one array."""
    from zoogen.reader import open_zoo

    networks = open_zoo(folder / "zoo").networks(status=None)
    watch = Watch()
    found = networks.weights()
    watch.stop()
    require(len(found) == members, "weights are missing")
    return watch.done(bytes=found.nbytes)


def read_row(folder: Path, members: int) -> Done:
    """The last network by its number."""
    from zoogen.reader import open_zoo

    zoo = open_zoo(folder / "zoo")
    watch = Watch()
    row = zoo.row(members - 1)
    watch.stop()
    require(row["member"] == members - 1, "another network was read")
    return watch.done()


def inform(folder: Path, members: int) -> Done:
    """`python -m zoogen.info`, from the files to its text."""
    from zoogen.look.content import read_content
    from zoogen.look.report import make_report
    from zoogen.look.tables import as_text

    watch = Watch()
    report = make_report(read_content(open_store(folder / "zoo")))
    text = as_text(report)
    watch.stop()
    require(report.members == members and bool(text), "the report counts other networks")
    return watch.done()


def check_files(folder: Path, members: int) -> Done:
    """What `zoogen.verify` reads before the first shard."""
    from zoogen.check.files import read_files

    watch = Watch()
    files = read_files(open_store(folder / "zoo"), partial=False)
    watch.stop()
    require(not files.faults, f"a fault: {next(iter(files.faults), '')}")
    return watch.done(shards=len(files.specs))


def check_all(folder: Path, members: int) -> Done:
    """All of `python -m zoogen.verify --sample 0`: every byte, row and draw."""
    from zoogen.check.checkup import Request, check_zoo

    request = Request(partial=False, sample=0, seed=0, data_dir=None, download=False)
    watch = Watch()
    outcome = check_zoo(open_store(folder / "zoo"), request, report=lambda *_: None)
    watch.stop()
    require(not outcome.faults, f"a fault: {next(iter(outcome.faults), '')}")
    require(outcome.networks == members, "other networks were checked")
    return watch.done()


STEPS: Mapping[str, tuple[str, Step]] = {
    "plan-cnns": ("plan classifiers (`unterthiner2020`)", plan_cnns),
    "list-cnns": ("write and read their manifest", list_cnns),
    "plan": ("plan INRs", plan_inrs),
    "receipts": ("commit the receipts", commit_receipts),
    "shards": ("write the shards", write_shards),
    "resume": ("go on: read all shards again", resume),
    "manifest": ("write the manifest, with its summary", complete),
    "open": ("`open_zoo`", open_it),
    "column": ("read one column", read_column),
    "weights": ("read all weights", read_weights),
    "row": ("read the last network by its number", read_row),
    "info": ("`zoogen.info`", inform),
    "verify-files": ("`zoogen.verify`, before the first shard", check_files),
    "verify": ("`zoogen.verify --sample 0`", check_all),
}
"""In the order in which they need each other."""


def _plan(folder: Path, plan: Plan) -> Done:
    watch = Watch()
    stock = take_stock(open_store(folder / "nothing"), [plan], None)
    ((_, missing),) = stock.missing
    work = shard_work(plan, missing).values()
    watch.stop()
    require(sum(each.members for each in work) == plan.stop, "members are missing")
    return watch.done(bytes=len(plan.text.encode()), shards=len(work))


def _manifest_bytes(store: Store, manifest: Manifest) -> int:
    """Of `manifest.json` and its parts."""
    names = [MANIFEST_NAME, *(part.name for part in manifest.parts)]
    return sum(len(store.read(name)) for name in names)


def _made_up(spec: ShardSpec) -> ShardEntry:
    """What a shard's line in a manifest looks like."""
    count = len(spec.members)
    return ShardEntry(
        name=spec.name,
        rows=9 * count,
        networks=count,
        status={"diverged": 1, "ok": count - 1} if count > 1 else {"ok": 1},
        bytes=180_000 * count,
        sha256=f"{spec.number:064x}",
    )


def _snapshots(plan: Plan, spec: ShardSpec) -> Iterator[Snapshot]:
    rng = np.random.default_rng([SEED, spec.number])
    weights = rng.standard_normal((len(spec.members), plan.parameters), dtype=np.float32)
    metrics: Any = rng.uniform(1e-5, 1e-3, len(spec.members)).tolist()
    for member, own, mse in zip(spec.members, weights, metrics, strict=True):
        yield Snapshot(
            member=member, epoch=plan.epochs, status="ok", weights=own, metrics={"mse": mse}
        )
