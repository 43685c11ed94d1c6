"""Two workers against one: the same zoo, shard by shard.

Each worker's first shard is left out, since it contains the worker's start; what is compared are
the shards left in both runs, by their receipts.
"""

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import processes
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, Unmeasurable, main
from benchmarks.timing import Samples, require
from zoogen.execute import Receipt
from zoogen.machine import available_cores
from zoogen.reader import open_zoo

MEMBERS = 256
CPU = Promise(bound=1.1, kind="at most")
WALL = Promise(bound=1.8)
SPIN = 20_000_000
FREE = 1.15
"""Two spinning processes may take so much longer than one on cores that are free."""


def workers() -> Iterator[Row]:
    """A zoo with one worker and with two."""
    if available_cores() < 2:
        raise Unmeasurable("this machine has one core")
    with processes.scratch() as folder:
        slower = contention()
        whole_s = {n: _make(folder / str(n), n) for n in (1, 2)}
        slower = max(slower, contention())
        _check_equal(folder)
        one, two = _common(*(processes.receipts(folder / str(n)) for n in (1, 2)))
    members = sum(r.entry.networks for r in one if r.entry)
    cpu = [sum(r.cpu_seconds for r in run) / members for run in (one, two)]
    wall = [sum(r.wall_seconds for r in run) for run in (one, two)]
    samples = tuple(
        Samples(label=f"{n} workers", work=MEMBERS, seconds=(s,)) for n, s in whole_s.items()
    )
    yield Row(
        name="workers/cpu",
        what="CPU seconds for each member: two workers / one",
        promise=CPU,
        reached=cpu[1] / cpu[0],
        samples=samples,
        note=f"{cpu[0]:.3f} s with one, {cpu[1]:.3f} s with two, over {len(one)} equal shards",
    )
    yield Row(
        name="workers/wall",
        what="training rate: two workers / one",
        promise=WALL,
        reached=2 * wall[0] / wall[1],
        samples=samples,
        fault=None if slower <= FREE else "skipped",
        note=(
            f"whole commands {whole_s[1]:.0f} and {whole_s[2]:.0f} s; two spinning processes take "
            f"{slower:.2f} times as long as one{'' if slower <= FREE else ': cores are not free'}"
        ),
    )


def contention() -> float:
    """How much longer two spinning processes take than one: 1 where both cores are free."""
    return min(_spin(2) / _spin(1) for _ in range(3))


def _spin(count: int) -> float:
    """Seconds of the slowest of so many processes that count at the same time."""
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        pool.map(_count, [1000] * count, chunksize=1)  # started and warm
        return max(pool.map(_count, [SPIN] * count, chunksize=1))


def _count(steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        pass
    return time.perf_counter() - start


def _make(zoo: Path, number: int) -> float:
    flags = ("--members", str(MEMBERS), "--workers", str(number))
    return processes.run(processes.zoo_command(zoo, *flags))


def _check_equal(folder: Path) -> None:
    """The number of workers changes no byte."""
    one, two = (open_zoo(folder / str(n)).shards for n in (1, 2))
    require(one == two, "two workers made other shards than one")


def _common(one: list[Receipt], two: list[Receipt]) -> tuple[list[Receipt], list[Receipt]]:
    """The receipts of both runs for the shards that are no worker's first in either."""
    kept = [_later(run) for run in (one, two)]
    shards = sorted(kept[0].keys() & kept[1].keys())
    require(bool(shards), "no shard is left to compare")
    return [kept[0][s] for s in shards], [kept[1][s] for s in shards]


def _later(run: list[Receipt]) -> dict[int, Receipt]:
    seen, later = set[str](), dict[int, Receipt]()
    for receipt in run:
        if receipt.worker in seen:
            later[receipt.shard] = receipt
        seen.add(receipt.worker)
    return later


ROWS: Mapping[str, Measure] = {"two": workers}

if __name__ == "__main__":
    main("workers", ROWS, long={})
