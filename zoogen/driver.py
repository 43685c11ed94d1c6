"""One run of a zoo: what is there already, what is missing, who makes it, and when it is complete.

The driver holds the zoo's lock and alone writes plan, log and manifest; workers write shards.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count, islice

from zoogen.architecture_file import write_architectures
from zoogen.continuation import extension, read_plans, write_plan
from zoogen.crew import Crew, MakeShards
from zoogen.description import Architecture
from zoogen.errors import PlanError, RunError, ShardError
from zoogen.execute import Receipt, engine_of, platform_refusal
from zoogen.grouping import ShardSpec
from zoogen.journal import Journal
from zoogen.lock import Lock
from zoogen.manifest import Manifest, read_manifest, write_manifest
from zoogen.material import Material, make_job
from zoogen.members import Member, draw_member
from zoogen.plan import Plan
from zoogen.planning import make_plan
from zoogen.platforms import differences
from zoogen.progress import ShardWork, Tally, shown
from zoogen.request import PROBE, Request
from zoogen.shards import ShardEntry, verify_shard
from zoogen.store import Store
from zoogen.train.choose import choose
from zoogen.train.schedule import kind
from zoogen.varied import all_architectures

MAX_FAILURES = 3
"""Failed shards after which the others are not tried: then it is not one member's fault."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outcome:
    """A complete zoo, and what this run had to do for it."""

    manifest: Manifest
    shards_made: int
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stock:
    """What a zoo has and what it lacks."""

    found: tuple[ShardEntry, ...]
    members_found: int
    missing: tuple[tuple[Plan, Sequence[ShardSpec]], ...]
    """By plan; plans without missing shards are left out."""


def draft_plan(request: Request, material: Material, crew: Crew, *, planned: str | None) -> Plan:
    """The plan of a whole zoo, from member 0, as this request and this crew would make it.

    Args:
        request: recipe, seed, engine.
        material: data and architecture.
        crew: whose platform it is made for.
        planned: the engine of a zoo that is there already; a new one chooses by rule.

    Raises:
        PlanError: no such engine, or it cannot train these networks.
    """

    def sample(number: int) -> list[Member]:
        drawn = (
            draw_member(
                request.recipe, zoo_seed=request.seed, index=index, dataset=request.dataset,
                arch=request.arch,
            )
            for index in count()
        )  # fmt: skip
        first = next(drawn)
        alike = (member for member in drawn if kind(member) == kind(first))
        return [first, *islice(alike, number - 1)]

    named = request.engine or planned
    if named is None and request.probe:
        log.info("measuring the engines; the choice goes into the plan")
        named = PROBE
    job = make_job(request.recipe, material)
    choice = choose(job, device=crew.device, wanted=named, sample=sample)
    return make_plan(
        request.recipe,
        data=material.identity,
        architecture=material.planned,
        seed=request.seed,
        platform=crew.platform(choice.engine),
        group_size=choice.group_size,
    )


def settle_plans(store: Store, wanted: Plan, *, grows: bool) -> tuple[Plan, ...]:
    """The plans of the zoo after this run: those that are there, and what `wanted` adds.

    Args:
        store: of the zoo.
        wanted: from member 0.
        grows: the number of members was asked for; otherwise the zoo's own stands.

    Raises:
        PlanError: the zoo was planned differently; the message shows each difference.
    """
    plans = read_plans(store)
    if not plans:
        return (wanted,)
    if not grows:
        wanted = replace(wanted, stop=plans[-1].stop)
    more = extension(plans, wanted)
    return plans if more is None else (*plans, more)


def complete_zoo(
    store: Store, plans: Sequence[Plan], *, architecture: Architecture, crew: Crew, lock: Lock
) -> Outcome:
    """Make what the plans lack, then write the manifest. The caller holds the lock.

    Raises:
        PlanError: what is missing was planned for another platform.
        RunError: shards could not be made; all others are kept.
    """
    finished = read_manifest(store)
    store.sweep()
    varied = plans[0].architecture is None
    write_architectures(store, all_architectures(plans) if varied else [architecture])
    for plan in plans:
        write_plan(store, plan)
    stock = take_stock(store, plans, finished)
    _refuse_other_platform(stock, crew)
    run = _Run(store=store, crew=crew, lock=lock)
    if stock.missing:
        run.make(stock)
    elif finished is not None and list(finished.plans) == list(plans):
        return Outcome(manifest=finished, shards_made=0, cpu_seconds=0.0)
    entries = [*stock.found, *run.entries]
    manifest = write_manifest(store, plans=plans, entries=entries)
    return Outcome(manifest=manifest, shards_made=len(run.entries), cpu_seconds=run.cpu_seconds)


def take_stock(store: Store, plans: Sequence[Plan], finished: Manifest | None) -> Stock:
    """Find whole shards: those a manifest lists by their presence, all others by reading them."""
    present = set(store.list("shards"))
    listed = {e.name: e for e in finished.shards} if finished else {}
    found: list[ShardEntry] = []
    members = 0
    missing: list[tuple[Plan, list[ShardSpec]]] = []
    for plan in plans:
        lacking: list[ShardSpec] = []
        for spec in plan.shards():
            entry = None
            if spec.name in present:
                entry = listed.get(spec.name) or verify_shard(store, plan=plan, spec=spec)
            if entry is None:
                lacking.append(spec)
            else:
                found.append(entry)
                members += len(spec.members)
        if lacking:
            missing.append((plan, lacking))
    return Stock(found=tuple(found), members_found=members, missing=tuple(missing))


def shard_work(plan: Plan, specs: Iterable[ShardSpec]) -> dict[int, ShardWork]:
    """What each shard is worth, by its number and the plan's estimate."""
    return {
        spec.number: ShardWork(
            members=len(costs),
            member_epochs=len(costs) * plan.epochs,
            core_seconds=sum(cost.core_seconds for cost in costs),
        )
        for spec, costs in plan.costs(specs)
    }


def _refuse_other_platform(stock: Stock, crew: Crew) -> None:
    """Say at once what each worker would say; a worker's own check is the one that counts."""
    for plan, _ in stock.missing:
        differs = differences(plan.platform, crew.platform(crew.engine or engine_of(plan)))
        if differs and not crew.mixed_platforms:
            raise PlanError(platform_refusal(differs))


class _Run:
    """What grows while a run goes on."""

    def __init__(self, *, store: Store, crew: Crew, lock: Lock) -> None:
        self._store, self._crew, self._lock = store, crew, lock
        self._journal = Journal(store)
        self._failed: list[str] = []
        self.entries: list[ShardEntry] = []
        self.cpu_seconds = 0.0

    def make(self, stock: Stock) -> None:
        """Make what is missing.

        Raises:
            RunError: something could not be made.
        """
        work: dict[int, ShardWork] = {}
        for plan, specs in stock.missing:
            work |= shard_work(plan, specs)
        tally = Tally(work, members_before=stock.members_found)
        if stock.members_found:
            log.info("%d members are there already", stock.members_found)
        self._journal.begin({"shards": len(work)})
        try:
            with self._crew.session() as make, shown(tally):
                for plan, specs in stock.missing:
                    self._make_plan(plan, specs, make, tally)
        except ShardError as error:
            raise RunError(f"{error}; what was made is kept") from error
        if self._failed:
            raise RunError(
                f"{len(self._failed)} of {len(work)} shards failed ({', '.join(self._failed)}), "
                f"{len(self.entries)} were made and are kept; the same command tries the rest again"
            )

    def _make_plan(
        self, plan: Plan, specs: Sequence[ShardSpec], make: MakeShards, tally: Tally
    ) -> None:
        context = self._crew.context(
            plan, out=self._store.uri, run=self._lock.run, label=self._journal.label
        )
        with closing(make(context, specs, tally.update)) as receipts:
            for receipt in receipts:
                self._journal.commit(receipt)
                self._take(receipt)
                tally.finish(receipt.shard)
                if len(self._failed) >= MAX_FAILURES:
                    return

    def _take(self, receipt: Receipt) -> None:
        self.cpu_seconds += receipt.cpu_seconds
        if receipt.entry is None:
            self._failed.append(f"part-{receipt.shard:05d}")
            log.error("%s", receipt.error)
            return
        if receipt.attempt > 1:
            log.warning("%s took %d attempts: its worker died", receipt.entry.name, receipt.attempt)
        if not self._store.exists(receipt.entry.name):
            raise ShardError(
                f"{receipt.worker} wrote {receipt.entry.name}, but it is not in {self._store.uri} "
                "as seen from here: --out must be a folder that all machines share, or s3://"
            )
        if receipt.platform_differs:
            log.warning(
                "%s was made on another platform: %s",
                receipt.entry.name,
                "; ".join(receipt.platform_differs),
            )
        self.entries.append(receipt.entry)
