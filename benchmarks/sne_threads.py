"""Networks encoded in a second by one thread, and by two."""

from collections.abc import Iterator, Mapping
from functools import partial

import torch

from benchmarks import encoders
from benchmarks.encoders import ARCHITECTURES, BATCH
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, Unmeasurable, main
from benchmarks.timing import Contender, race, speedup
from benchmarks.workers import FREE, contention
from zoogen.machine import available_cores

BOUND = Promise(bound=1.7)
ROUNDS = 3


def threads() -> Iterator[Row]:
    """Batches of arch1 with either number of threads; two rows."""
    if available_cores() < 2:
        raise Unmeasurable("this machine has one core")
    architecture = ARCHITECTURES["arch1"]
    module = encoders.sne(architecture)
    batch, few = (encoders.networks(architecture, count) for count in (BATCH, 2))

    def encode(number: int) -> torch.Tensor:
        torch.set_num_threads(number)
        return encoders.encodings(module.encoder, [batch])

    def check() -> None:
        encoders.require_encodings(encode(2), encode(1), "one thread")
        encoded = encoders.encodings(module.encoder, [few])
        encoders.require_encodings(encoded, encoders.walked(module, [few]), "the walk")

    slower = contention()
    contenders = [
        Contender(label=label, run=partial(encode, number), work=BATCH)
        for number, label in ((1, "one thread"), (2, "two threads"))
    ]
    one, two = race(contenders, check=check, rounds=ROUNDS).values()
    torch.set_num_threads(1)
    slower = max(slower, contention())
    free = slower <= FREE
    load = (
        f"two spinning processes take {slower:.2f} times as long as one"
        f"{'' if free else ': cores are not free'}"
    )
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


ROWS: Mapping[str, Measure] = {"arch1": threads}

if __name__ == "__main__":
    main("sne_threads", ROWS, long={})
