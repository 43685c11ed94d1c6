"""What a run says before it starts and after it has ended, in lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoogen.driver import Outcome
from zoogen.plan import Plan
from zoogen.progress import duration_text
from zoogen.summary import judged_by

LONG_S = 3600.0
"""A run that is estimated longer than this says how to get a shorter one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What some plans will cost, by estimate."""

    members: int
    shards: int
    rows: int
    bytes: int
    core_seconds: float
    wall_seconds: float


def forecast(plans: Sequence[Plan], *, workers: int, pace: float = 1.0) -> Forecast:
    """Add up members, shards, bytes and time; a run is never shorter than its longest shard.

    Args:
        plans: what will be made.
        workers: processes that train at the same time.
        pace: seconds that members take here for each second of the recipe's estimate.
    """
    shards = rows = size = 0
    seconds = longest = 0.0
    for plan in plans:
        for _, costs in plan.costs(plan.shards()):
            shards += 1
            rows += len(costs) * len(plan.checkpoints)
            size += sum(c.bytes for c in costs)
            own = sum(c.core_seconds for c in costs) * pace
            seconds, longest = seconds + own, max(longest, own)
    return Forecast(
        members=sum(p.stop - p.first for p in plans),
        shards=shards,
        rows=rows,
        bytes=size,
        core_seconds=seconds,
        wall_seconds=max(seconds / workers, longest),
    )


def plan_lines(
    plans: Sequence[Plan], *, workers: int, pace: float | None, hint: str | None
) -> Iterator[str]:
    """The plan for people: what will be made, where it will belong, what it will take."""
    plan, cost = plans[-1], forecast(plans, workers=workers, pace=pace or 1.0)
    unit = "epoch" if plan.kind == "images" else "step"
    yield (
        f"{plan.dataset} × {plan.family} by recipe {plan.recipe['name']}, seed {plan.seed}: "
        f"{counted(cost.members, 'member')}, {counted(plan.epochs, unit)}, "
        f"kept after {' '.join(str(c) for c in plan.checkpoints)}"
    )
    yield split_line(plan)
    yield (
        f"{counted(cost.shards, 'shard')}, {counted(cost.rows, 'row')}, "
        f"{size_text(cost.bytes)}; "
        f"platform: {plan.platform.engine} on {plan.platform.device}"
    )
    basis = "by the recipe" if pace is None else "by a short measured run"
    line = (
        f"estimated {basis}: {core_time_text(cost.core_seconds)}, "
        f"{duration_text(cost.wall_seconds)} with {counted(workers, 'worker')}"
    )
    yield f"{line}; {hint}" if hint and cost.wall_seconds > LONG_S else line


def split_line(plan: Plan) -> str:
    """The shares, and a warning where there is nothing to train an encoder on."""
    train, val, test = plan.shares
    line = f"splits: {train * 10} % train, {val * 10} % val, {test * 10} % test, by network"
    return line if train else f"{line} (a zoo for tests: nothing to train an encoder on)"


def outcome_lines(where: str, outcome: Outcome, *, seconds: float) -> Iterator[str]:
    """A complete zoo for people."""
    manifest = outcome.manifest
    summary: Mapping[str, Any] = manifest.summary
    size = sum(entry.bytes for entry in manifest.shards)
    yield (
        f"{where}: complete, {counted(summary['networks'], 'network')} in "
        f"{counted(summary['rows'], 'row')}, {counted(len(manifest.shards), 'shard')}, "
        f"{size_text(size)}"
    )
    yield "status: " + ", ".join(f"{n:,} {name}" for name, n in summary["status"]["all"].items())
    quantiles = summary["final"]["quantiles"].get("all", {})
    if quantiles:
        yield f"{judged_by(manifest.plans[0])} of last checkpoints: " + ", ".join(
            f"{name} {quantiles[q]:.3g}" for q, name in _SHOWN.items()
        )
    if outcome.shards_made:
        cpu = duration_text(outcome.cpu_seconds)
        yield f"time: {duration_text(seconds)}, workers used {cpu} of CPU"
    else:
        yield "nothing had to be made"


_SHOWN = {"0": "lowest", "0.1": "10 %", "0.5": "median", "0.9": "90 %", "1": "highest"}


def counted(number: int, noun: str) -> str:
    """A number and its noun: 1 shard, 2,000 shards."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def core_time_text(seconds: float) -> str:
    """Time of one core: in core-hours where that says something."""
    return f"{seconds / 3600:,.1f} core-hours" if seconds >= 360 else f"{seconds:,.0f} core-seconds"


def size_text(count: int) -> str:
    """Bytes in the unit that keeps the number readable."""
    if count < 1000:
        return f"{count} bytes"
    size = float(count)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.3g} {unit}"
    return f"{size / 1000:.3g} TB"
