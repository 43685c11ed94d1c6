"""Networks encoded in a second by one thread, and by two.

Whether two cores are free is measured before and after, by how long two spinning processes take for
a second of work of their own.
"""

import multiprocessing
import statistics
import time
from collections.abc import Iterator, Mapping
from functools import partial

import torch

from benchmarks import encoders
from benchmarks.encoders import ARCHITECTURES, BATCH
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, Unmeasurable, main
from benchmarks.timing import Contender, race, speedup
from sne.predict import Inference, predict
from zoogen.machine import available_cores

BOUND = Promise(bound=1.7)
ROUNDS = 3
BATCHES = 2
SPIN_S = 0.5
SPINS = 4
FREE = 1.05
"""Seconds that a spinning process may take for a second of its own on a core that is free."""


def threads() -> Iterator[Row]:
    """Batches of arch1 with either number of threads; two rows."""
    if available_cores() < 2:
        raise Unmeasurable("this machine has one core")
    architecture = ARCHITECTURES["arch1"]
    module = encoders.sne(architecture)
    many, few = (encoders.networks(architecture, count) for count in (BATCHES * BATCH, 2))
    pool = encoders.pool(many)

    def encode(number: int) -> torch.Tensor:
        torch.set_num_threads(number)
        return torch.from_numpy(predict(module, pool, how=Inference(batch=BATCH)).encoding)

    def check() -> None:
        encoders.require_encodings(encode(2), encode(1), "one thread")
        encoded = encoders.encodings(module.encoder, [few])
        encoders.require_encodings(encoded, encoders.walked(module, [few]), "the walk")

    before = taken()
    contenders = [
        Contender(label=label, run=partial(encode, number), work=BATCHES * BATCH)
        for number, label in ((1, "one thread"), (2, "two threads"))
    ]
    one, two = race(contenders, check=check, rounds=ROUNDS).values()
    torch.set_num_threads(1)
    slower = max(before, taken())
    free = slower <= FREE
    load = f"two processes take {slower:.2f} s for a second each{'' if free else ', so not free'}"
    yield Row(
        name="sne_threads/one",
        what="arch1 encoded in a second by one thread",
        unit="networks/s",
        reached=one.rate,
        samples=(one,),
        note=f"batches of {BATCH}, {architecture.parameters:,} weights each; {load}",
    )
    yield Row(
        name="sne_threads/two",
        what="arch1 encoded: two threads / one",
        promise=BOUND,
        reached=speedup(two, one),
        samples=(two, one),
        fault=None if free else "skipped",
        note=f"{two.rate:.1f} against {one.rate:.1f} networks/s; {load}",
    )


def taken() -> float:
    """Seconds that each of two spinning processes takes for a second: 1 on two free cores."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_stretch, [0.0] * 2, chunksize=1)  # started
        return statistics.median(
            max(pool.map(_stretch, [SPIN_S] * 2, chunksize=1)) for _ in range(SPINS)
        )


def _stretch(seconds: float) -> float:
    """Time that passes for each second that this process is given."""
    start, own = time.perf_counter(), time.process_time()
    while time.process_time() - own < seconds:
        pass
    given = time.process_time() - own
    return (time.perf_counter() - start) / given if seconds else 1.0


ROWS: Mapping[str, Measure] = {"arch1": threads}

if __name__ == "__main__":
    main("sne_threads", ROWS, long={})
