"""Make one shard in a plain process: train its groups, write it, say how it went. Knows no Ray.

A `ShardMaker` lives as long as its process and builds the job (images, architecture, engine) with
its first shard. What goes wrong with a shard becomes its receipt, so that one member that raises
does not take the others' work with it; a shard that kills its process is counted from outside,
by a file in log/ for each attempt that was begun.
"""

import os
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from zoogen.errors import LockError, PlanError, ZooError
from zoogen.exhausted import out_of_memory
from zoogen.grouping import ShardSpec
from zoogen.lock import still_mine
from zoogen.machine import prepare_training
from zoogen.material import job_of_plan
from zoogen.plan import Plan
from zoogen.platforms import Platform, current_platform, differences
from zoogen.shards import ShardEntry, verify_shard, write_shard
from zoogen.store import Store, open_store
from zoogen.train.job import Engine, Job, Progress, Snapshot

MAX_ATTEMPTS = 3
"""A shard that killed its worker so often is not tried again."""
ATTEMPTS = "log/attempts"

ReceiptStatus: TypeAlias = Literal["made", "failed"]
ShardReport: TypeAlias = Callable[[int, int], None]
"""Called with (shard number, member-epochs that this attempt has trained so far)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Context:
    """Everything a worker needs; small and picklable."""

    plan: Plan
    out: str
    engine: str
    """Key of `zoogen.train.ENGINES`."""
    device: str
    """`cpu` or `cuda`."""
    threads: int
    data_dir: Path | None
    download: bool
    mixed_platforms: bool
    run: str | None
    """The run that holds the zoo's lock; None without a lock."""
    label: str
    """Names this run in log/."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """How one shard went."""

    shard: int
    status: ReceiptStatus
    entry: ShardEntry | None
    attempt: int
    cpu_seconds: float
    wall_seconds: float
    worker: str
    """Host and process."""
    error: str | None = None
    """One sentence for the user."""
    trace: str | None = None
    """The traceback of an error that nobody foresaw; for log/."""
    platform_differs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Receipt":
        """The inverse of `to_json`, also after a round trip through JSON text."""
        entry = value["entry"]
        return cls(
            **{
                **value,
                "entry": None if entry is None else ShardEntry.from_json(entry),
                "platform_differs": tuple(value["platform_differs"]),
            }
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Bench:
    """What a process trains with."""

    job: Job
    engine: Engine
    platform: Platform
    differs: tuple[str, ...]


class ShardMaker:
    """One worker: makes shard after shard with one job."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = open_store(context.out)
        self._bench: _Bench | None = None

    def make(self, spec: ShardSpec, report: ShardReport) -> Receipt:
        """Train and write one shard; what fails is in the receipt."""
        started, cpu = time.monotonic(), time.process_time()
        attempt = 0
        entry, error, trace = None, None, None
        try:
            attempt = begin_attempt(self._store, self._context.label, spec)
            if attempt > 1:  # the process may have died between the shard and its receipt
                entry = verify_shard(self._store, plan=self._context.plan, spec=spec)
            entry = entry or self._make(spec, report)
        except (ZooError, OSError) as known:
            error = f"{spec.name}: {known}"
        except Exception as unknown:  # the edge of a shard: recorded, and the run fails
            error = f"{spec.name} ({name_members(spec)}): {_sentence(unknown)}"
            trace = traceback.format_exc()
        return Receipt(
            shard=spec.number,
            status="failed" if entry is None else "made",
            entry=entry,
            attempt=attempt,
            cpu_seconds=round(time.process_time() - cpu, 3),
            wall_seconds=round(time.monotonic() - started, 3),
            worker=f"{socket.gethostname()}:{os.getpid()}",
            error=error,
            trace=trace,
            platform_differs=self._bench.differs if self._bench else (),
        )

    def _make(self, spec: ShardSpec, report: ShardReport) -> ShardEntry:
        bench = self._bench = self._bench or _set_up(self._context)
        report(spec.number, 0)
        snapshots = list(self._train(bench, spec, report))
        if not still_mine(self._store, self._context.run):
            raise LockError("another run has taken over this zoo; this one stops")
        return write_shard(
            self._store,
            plan=self._context.plan,
            spec=spec,
            snapshots=snapshots,
            platform=bench.platform,
        )

    def _train(self, bench: _Bench, spec: ShardSpec, report: ShardReport) -> Iterator[Snapshot]:
        done = 0

        def forward(progress: Progress) -> None:
            nonlocal done
            done += progress.member_epochs
            report(spec.number, done)

        for group in spec.groups:
            members = list(self._context.plan.draw(group))
            yield from bench.engine.train(
                bench.job, members, device=self._context.device, report=forward
            )


def make_shard(
    context: Context, spec: ShardSpec, report: ShardReport = lambda shard, done: None
) -> Receipt:
    """Make one shard in this process; for a debugger, and for tests."""
    return ShardMaker(context).make(spec, report)


def begin_attempt(store: Store, label: str, spec: ShardSpec) -> int:
    """Leave a file that says that the shard was begun; returns which attempt of the run it is.

    Raises:
        ZooError: it was begun `MAX_ATTEMPTS` times and never ended: it kills its process.
    """
    prefix = f"{ATTEMPTS}/part-{spec.number:05d}-{label}-"
    before = sum(1 for name in store.list(ATTEMPTS) if name.startswith(prefix))
    if before >= MAX_ATTEMPTS:
        raise ZooError(
            f"its worker died {before} times while making it ({name_members(spec)}); usually "
            "memory ran out: use fewer --workers, or --local to see it happen in this process"
        )
    store.put(f"{prefix}{before + 1}", f"{socket.gethostname()}:{os.getpid()}\n".encode())
    return before + 1


def end_attempts(store: Store, label: str, receipt: Receipt) -> None:
    """Forget the attempts of a shard whose receipt has come."""
    for attempt in range(1, receipt.attempt + 1):
        store.delete(f"{ATTEMPTS}/part-{receipt.shard:05d}-{label}-{attempt}")


def name_members(spec: ShardSpec) -> str:
    """The members of a shard for a message: all of a short list, the ends of a long one."""
    members = [str(index) for index in spec.members]
    if len(members) > 12:
        members = [*members[:8], "…", *members[-2:]]
    return f"{len(spec.members)} members: {', '.join(members)}"


def _set_up(context: Context) -> _Bench:
    """Raises: PlanError, DataError; whatever keeps this process from the plan."""
    prepare_training(threads=context.threads, device=context.device)
    from zoogen.train import load_engine

    engine = load_engine(context.engine)
    platform = platform_of(context.engine, threads=context.threads, device=context.device)
    differs = differences(context.plan.platform, platform)
    if differs and not context.mixed_platforms:
        raise PlanError(platform_refusal(differs))
    job = job_of_plan(context.plan, data_dir=context.data_dir, download=context.download)
    reason = engine.refusal(job)
    if reason is not None:
        raise PlanError(f"--engine {context.engine} cannot train this zoo: {reason}")
    return _Bench(job=job, engine=engine, platform=platform, differs=differs)


def platform_of(engine: str, *, threads: int, device: str) -> Platform:
    """The platform of this process when it trains with this engine.

    Raises:
        PlanError: the engine is compiled, and there is no compiler here.
    """
    name = engine
    if engine == "native":
        from zoogen.native_code.build import compiler_version

        name = f"{engine} ({compiler_version()})"
    return current_platform(engine=name, threads=threads, device=device)


def engine_of(plan: Plan) -> str:
    """Key of the engine that the plan was made for."""
    return plan.platform.engine.split()[0]


def platform_refusal(differs: tuple[str, ...]) -> str:
    """Why a process may not go on with a zoo of another platform, and what can be done."""
    return (
        f"{socket.gethostname()} computes on another platform than the plan says "
        f"({'; '.join(differs)}), so the same bytes cannot be promised: continue on a machine "
        "like the first, or add --mixed-platforms"
    )


def _sentence(error: BaseException) -> str:
    if out_of_memory(error):
        return "no memory left: use fewer --workers"
    return f"{type(error).__name__}: {error}"
