"""The whole check of a zoo: files, then shard after shard, then a sample evaluated anew."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from zoogen.check.faults import Fault
from zoogen.check.files import Files, read_files, summary_faults
from zoogen.check.shard import check_shard, read_table
from zoogen.errors import DataError, PlanError
from zoogen.grouping import ShardSpec
from zoogen.members import SPLIT_BLOCK
from zoogen.plan import Plan
from zoogen.schema import WEIGHTS
from zoogen.store import Store

Report: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being counted, how many are done and how many there are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to check, besides everything that is in the zoo."""

    partial: bool
    """The zoo may be unfinished."""
    sample: int
    """Networks to evaluate anew."""
    seed: int
    """Another seed chooses other networks."""
    data_dir: Path | None
    download: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outcome:
    """What the check found."""

    faults: tuple[Fault, ...]
    networks: int
    rows: int
    shards: int
    shards_planned: int
    bytes: int
    evaluation: str
    """What was evaluated anew and how well it agreed, or why nothing was."""


@dataclass(kw_only=True, slots=True)
class _Tally:
    """What is remembered of the shards: some bytes for each network."""

    faults: list[Fault] = field(default_factory=list[Fault])
    where: dict[int, tuple[Plan, ShardSpec]] = field(
        default_factory=dict[int, tuple[Plan, ShardSpec]]
    )
    """Shard of each network with a measurement."""
    split: dict[int, str] = field(default_factory=dict[int, str])
    weights: dict[bytes, int] = field(default_factory=dict[bytes, int])
    """Hash of a network's last weights → its member."""
    rows: int = 0
    shards: int = 0
    bytes: int = 0


def check_zoo(store: Store, request: Request, *, report: Report) -> Outcome:
    """Check everything.

    Args:
        store: of the zoo.
        request: what to check.
        report: for a progress bar.

    Raises:
        ShardError: there is no zoo.
    """
    files = read_files(store, partial=request.partial)
    tally = _Tally(faults=list(files.faults))
    listed = {e.name: e for e in files.manifest.shards} if files.manifest else {}
    for number, (plan, spec) in enumerate(files.specs):
        found = check_shard(
            store,
            plan=plan,
            spec=spec,
            listed=listed.get(spec.name),
            partial=request.partial,
            lengths={name: a.parameters for name, a in files.architectures.items()},
        )
        tally.faults += found.faults
        tally.bytes += found.bytes
        if found.table is not None:
            tally.faults += _across_shards(tally, plan, spec, found.table)
        report("shards checked", number + 1, len(files.specs))
    tally.faults += _share_faults(files.plans, tally.split)
    if files.manifest and not tally.faults:
        tally.faults += summary_faults(store, files.manifest)
    evaluation, faults = _evaluate(store, files, tally, request, report=report)
    return Outcome(
        faults=(*tally.faults, *faults),
        networks=len(tally.split),
        rows=tally.rows,
        shards=tally.shards,
        shards_planned=len(files.specs),
        bytes=tally.bytes,
        evaluation=evaluation,
    )


def _across_shards(tally: _Tally, plan: Plan, spec: ShardSpec, table: Any) -> Iterator[Fault]:
    """Networks that another shard holds too, or whose weights another network has."""
    tally.rows += table.num_rows
    tally.shards += 1
    light = table.select(["member", "epoch", "split", "status"]).to_pylist()
    last: dict[int, int] = {}
    for place, row in enumerate(light):
        before = last.get(row["member"])
        if before is None or light[before]["epoch"] <= row["epoch"]:
            last[row["member"]] = place
    measured = {row["member"] for row in light if row["status"] != "diverged"}
    weights = table.column(WEIGHTS).combine_chunks()
    for member, place in last.items():
        if member in tally.split:
            yield Fault(
                path=spec.name,
                problem="duplicate network",
                wanted="one shard that holds it",
                got="another shard holds it too",
                members=(member,),
            )
            continue
        tally.split[member] = light[place]["split"]
        if member in measured:
            tally.where[member] = (plan, spec)
        # Whether a source published a network twice is no matter of its conversion.
        if light[place]["status"] == "diverged" or plan.origin is not None:
            continue
        digest = hashlib.blake2b(weights[place].values.to_numpy(), digest_size=8).digest()
        twin = tally.weights.setdefault(digest, member)
        if twin != member:
            yield Fault(
                path=spec.name,
                problem=f"column {WEIGHTS}",
                wanted="weights of its own",
                got=f"those of member {twin}",
                members=(member,),
            )


def _share_faults(plans: Sequence[Plan], split: Mapping[int, str]) -> Iterator[Fault]:
    """In each whole block of 10 consecutive members the shares are exact."""
    if not plans or (plans[0].origin is not None and plans[0].origin.split == "source"):
        return
    wanted = dict(zip(("train", "val", "test"), plans[0].shares, strict=True))
    for start in range(0, plans[-1].stop - SPLIT_BLOCK + 1, SPLIT_BLOCK):
        found = [split[i] for i in range(start, start + SPLIT_BLOCK) if i in split]
        got = {name: found.count(name) for name in wanted}
        if len(found) == SPLIT_BLOCK and got != wanted:
            yield Fault(
                path="shards",
                problem="shares of the splits",
                wanted=str(wanted),
                got=str(got),
                members=tuple(range(start, start + SPLIT_BLOCK)),
            )


def _evaluate(
    store: Store, files: Files, tally: _Tally, request: Request, *, report: Report
) -> tuple[str, tuple[Fault, ...]]:
    """What was evaluated anew, in words, and the faults found."""
    skipped = _why_not(files, tally, request)
    if skipped:
        return f"nothing evaluated anew: {skipped}", ()
    from zoogen.material import job_of_plan

    plan = files.plans[0]
    try:
        job = job_of_plan(plan, data_dir=request.data_dir, download=request.download)
    except (DataError, PlanError) as error:
        return f"nothing evaluated anew: {error}", ()
    from zoogen.check.reevaluate import Evaluation

    rng = np.random.default_rng([request.seed, plan.seed])
    chosen = rng.permutation(sorted(tally.where))[: request.sample].tolist()
    evaluation = Evaluation(plan, job, files.architectures)
    for done, member in enumerate(sorted(chosen)):
        report("networks evaluated anew", done, len(chosen))
        spec = tally.where[member][1]
        evaluation.compare(spec.name, _some_rows(store, spec, member, rng))
    found = evaluation.agreement
    apart = f"losses within {found.relative:.1g} of the stored ones"
    if plan.kind == "images":
        apart = f"accuracies within {found.images} images and {apart}"
    return (
        f"{found.networks} networks ({found.rows} checkpoints) evaluated anew on {plan.dataset}: "
        f"{apart}",
        tuple(found.faults),
    )


def _why_not(files: Files, tally: _Tally, request: Request) -> str | None:
    if request.sample == 0:
        return "--sample 0"
    if not tally.where:
        return "no shard can be read that holds a measured network"
    if files.plans[0].origin is not None:
        return "the networks were converted, not trained here"
    wanted = {plan.architecture for plan in files.plans} - {None}
    if not files.architectures or wanted - set(files.architectures):
        return "the architecture cannot be read"
    return None


def _some_rows(
    store: Store, spec: ShardSpec, member: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """A network's last measured checkpoint, and an earlier one by chance if there is one."""
    table = read_table(store.read(spec.name))
    own = np.flatnonzero(table.column("member").to_numpy() == member)
    status = table.column("status").to_pylist()
    measured = [int(place) for place in own if status[place] != "diverged"]
    earlier, last = measured[:-1], measured[-1]
    places = [*([int(rng.choice(earlier))] if earlier else []), last]
    light = table.drop_columns([WEIGHTS]).take(places).to_pylist()
    weights = table.column(WEIGHTS).combine_chunks()
    return [
        {**row, WEIGHTS: weights[place].values.to_numpy()}
        for row, place in zip(light, places, strict=True)
    ]
