"""How long a zoo takes with more workers than are at hand: shard times from a real zoo's receipts.

`python -m benchmarks.cluster_simulation --zoo ZOO [--members 100000] [--put 0.05] [--commit 0.01]`

A worker takes the next shard when it is free, trains it and puts it; the driver commits receipts
one after the other. Shards are handed out in windows, and a window's workers are started anew
(`zoogen.pipeline`). What is lost to each of these is told in shares of all workers' time. Nothing
is started; a zoo's log is read.
"""

import heapq
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tyro

from benchmarks import processes
from zoogen.announce import counted
from zoogen.execute import Receipt
from zoogen.manifest import MANIFEST_NAME

WINDOW = 4096
"""`zoogen.pipeline.WINDOW`, which cannot be imported without Ray; a test compares them."""
GOOD = 0.9
"""Efficiency up to which more workers are called worth their price."""
MOST = 4096
"""Workers up to which a bend is looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """What a run's time depends on, besides its shards."""

    workers: int
    start_s: float = 0.0
    """Until a worker trains: its process, libraries and images; again for each window."""
    put_s: float = 0.0
    """For a worker to write a shard."""
    commit_s: float = 0.0
    """For the driver to commit a receipt, one after the other."""
    window: int = WINDOW
    """Shards that are handed out before all of them must be back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """How a simulated run went; all but `seconds` in seconds of workers, which add up to it."""

    workers: int
    seconds: float
    work: float
    """Training."""
    start: float
    put: float
    tail: float
    """Waiting for the last shards of a window."""
    commit: float
    """Waiting for the driver, after the last shard of a window."""

    @property
    def efficiency(self) -> float:
        """Share of the workers' time that is training."""
        return self.work / (self.workers * self.seconds)

    @property
    def losses(self) -> Mapping[str, float]:
        """Shares of the workers' time that are not training."""
        whole = self.workers * self.seconds
        lost = {"start": self.start, "put": self.put, "tail": self.tail, "commits": self.commit}
        return {name: seconds / whole for name, seconds in lost.items()}

    @property
    def limit(self) -> str:
        """What most is lost to."""
        return max(self.losses, key=lambda name: self.losses[name])


def simulate(shards: Sequence[float], cluster: Cluster) -> Forecast:
    """One run, event by event.

    Args:
        shards: seconds of training of each, in the order in which they are handed out.
        cluster: who makes them.
    """
    now = start = put = tail = commit = 0.0
    for at in range(0, len(shards), cluster.window):
        window = shards[at : at + cluster.window]
        active = min(cluster.workers, len(window))
        # As in a run: no more workers are started than there are shards.
        free = [now + cluster.start_s] * active
        back = list[float]()
        for seconds in window:
            done = heapq.heappop(free) + seconds + cluster.put_s
            heapq.heappush(free, done)
            back.append(done)
        committed = now
        for done in sorted(back):
            committed = max(committed, done) + cluster.commit_s
        last = max(back)
        start += active * cluster.start_s
        put += len(window) * cluster.put_s
        tail += sum(last - at for at in free) + (cluster.workers - active) * (last - now)
        commit += cluster.workers * (committed - last)
        now = committed
    return Forecast(
        workers=cluster.workers,
        seconds=now,
        work=sum(shards),
        start=start,
        put=put,
        tail=tail,
        commit=commit,
    )


def later(receipts: Sequence[Receipt]) -> list[Receipt]:
    """Receipts without each worker's first, which contains its start, and without failures."""
    seen = set[str]()
    kept = list[Receipt]()
    for receipt in receipts:
        if receipt.worker in seen and receipt.entry is not None:
            kept.append(receipt)
        seen.add(receipt.worker)
    return kept


def as_it_was_made(zoo: Path, receipts: Sequence[Receipt]) -> str | None:
    """The zoo's own run, simulated from its receipts, beside what it took; None for several."""
    runs = list((zoo / "log").glob("run-*.json"))
    manifest = zoo / MANIFEST_NAME
    if len(runs) != 1 or not manifest.exists():
        return None
    noted = json.loads(runs[0].read_text(encoding="utf-8"))["begun_utc"]
    begun = datetime.strptime(noted, "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    took = manifest.stat().st_mtime - begun.timestamp()
    workers = len({receipt.worker for receipt in receipts})
    in_order = sorted(receipts, key=lambda receipt: receipt.shard)
    walls = [receipt.wall_seconds for receipt in in_order]
    found = simulate(walls, Cluster(workers=workers))
    rest = took - found.seconds
    return (
        f"made by {counted(workers, 'worker')}: {found.seconds:.1f} s by its shards' times, "
        f"{took:.1f} s by the clock, of which {rest:.1f} s before the first shard or after the last"
    )


def bend(shards: Sequence[float], cluster: Cluster) -> tuple[Forecast | None, Forecast | None]:
    """The largest power of two of workers that is worth its price, and the next, which is not."""
    before: Forecast | None = None
    count = 1
    while count <= MOST:
        found = simulate(shards, replace(cluster, workers=count))
        if found.efficiency < GOOD:
            return before, found
        before, count = found, 2 * count
    return before, None


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is simulated."""

    zoo: Path
    """A zoo with the receipts of its shards in log/."""
    members: int = 100_000
    """Networks of the zoo to simulate, in shards as large as those of the receipts."""
    workers: tuple[int, ...] = (1, 2, 8, 64, 512)
    start: float = 10.0
    """Seconds until a worker trains (`python -m benchmarks.startup` measures them)."""
    put: float = 0.05
    """Seconds to write a shard."""
    commit: float = 0.01
    """Seconds to commit a receipt (`python -m benchmarks.scale --only receipts`)."""
    window: int = WINDOW
    """Shards handed out before all of them must be back."""
    seed: int = 0
    """Of the draws among the receipts' times."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the receipts, simulate, print the table."""
    options = tyro.cli(
        Options,
        prog="python -m benchmarks.cluster_simulation",
        description=__doc__,
        args=arguments,
    )
    print("\n".join(report(options)))


def report(options: Options) -> Iterator[str]:
    """The lines of the command."""
    receipts = processes.receipts(options.zoo)
    kept = later(receipts)
    if not kept:
        raise SystemExit(f"{options.zoo}/log has no receipt of a worker's second shard")
    measured = [receipt.cpu_seconds for receipt in kept]
    networks = [receipt.entry.networks for receipt in kept if receipt.entry]
    if (made := as_it_was_made(options.zoo, receipts)) is not None:
        yield made
    count = max(1, round(options.members / statistics.mean(networks)))
    shards = np.random.default_rng(options.seed).choice(measured, count).tolist()
    cluster = Cluster(
        workers=1,
        start_s=options.start,
        put_s=options.put,
        commit_s=options.commit,
        window=options.window,
    )
    yield (
        f"{len(measured)} shards measured: {min(measured):.3g} to {max(measured):.3g} s, mean "
        f"{statistics.mean(measured):.3g} s of CPU, {sum(measured) / sum(networks):.4f} s for each "
        f"network; {options.members:,} networks are {count:,} shards, "
        f"{sum(shards) / 3600:,.1f} core-hours"
    )
    yield (
        f"start {options.start:g} s, put {options.put:g} s, commit {options.commit:g} s, "
        f"windows of {options.window:,} shards\n"
    )
    yield "| workers | time | efficiency | start | put | tail | commits | most is lost to |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for workers in options.workers:
        found = simulate(shards, replace(cluster, workers=workers))
        shares = " | ".join(f"{share:.1%}" for share in found.losses.values())
        yield (
            f"| {workers:,} | {_time(found.seconds)} | {found.efficiency:.0%} | {shares} | "
            f"{found.limit} |"
        )
    yield f"\n{_bend_text(shards, cluster)}"


def _bend_text(shards: Sequence[float], cluster: Cluster) -> str:
    good, bad = bend(shards, cluster)
    if bad is None:
        return f"It does not bend up to {MOST:,} workers: {GOOD:.0%} of their time is training."
    until = f"up to {good.workers:,} workers" if good else "for no number of workers"
    return (
        f"At least {GOOD:.0%} of the workers' time is training {until}; with {bad.workers:,} it is "
        f"{bad.efficiency:.1%}, and most of the rest goes to {bad.limit}."
    )


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


if __name__ == "__main__":
    main()
