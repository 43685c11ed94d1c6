"""What encoding costs for each weight, from networks of 5 thousand weights to 25 million.

Networks are eight square linear layers of growing width. Small ones are encoded many at a time, so
that every call takes at least half a million weights: what is compared is the cost of size, not
that of a call. `--long` adds 25 million weights, which take minutes.
"""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch

from benchmarks import encoders
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Contender, Samples, race
from sne.model import Batch
from sne.settings import SneConfig
from sne.sne import Sne
from zoogen.description import Architecture
from zoogen.infer import infer_architecture

LAYERS = 8
WIDTHS = (24, 80, 256, 560)
"""4,608, 51,200, 524,288 and 2,508,800 weights."""
WIDEST = 1768
"""25,006,592 weights."""
TOGETHER = 1 << 19
"""Weights in a call, at least."""
CONFIG = SneConfig(layer_group=1024)
BOUNDS = {"chunks": 1.1, "whole": 1.5}
ROUNDS = 3


def cost(stage: str, widths: Sequence[int], rounds: int) -> Iterator[Row]:
    """The largest cost of a weight, of the first stage or of all, over the smallest."""
    architectures = [_network(width) for width in widths]
    module = encoders.sne(*architectures, config=CONFIG)
    contenders = [_contender(module, a, stage) for a in architectures]
    check = partial(check_grouped, widths[0])
    samples = race(contenders, check=check, rounds=rounds, clock=time.process_time)
    found = list(samples.values())
    smallest, largest = (f"{a.parameters:,}" for a in (architectures[0], architectures[-1]))
    yield Row(
        name=f"sne_cost/{stage}{'-long' if WIDEST in widths else ''}",
        what=(
            f"networks of {smallest} to {largest} weights, {_words(stage)}: dearest weight / "
            "cheapest"
        ),
        promise=Promise(bound=BOUNDS[stage], kind="at most"),
        reached=spread(found),
        samples=tuple(found),
        note="; ".join(f"{s.label}: {1e6 / s.rate:.2f} µs a weight" for s in found),
    )


def spread(samples: Sequence[Samples]) -> float:
    """How many times as long the dearest takes as the cheapest, for equal work; by rounds."""
    costs = [[seconds / s.work for seconds in s.seconds] for s in samples]
    return statistics.median(max(each) / min(each) for each in zip(*costs, strict=True))


def check_grouped(width: int) -> None:
    """Encoding in groups gives what the walk gives, where every layer is large enough."""
    architecture = _network(width)
    module = encoders.sne(architecture, config=SneConfig(layer_group=8))
    batch = [encoders.networks(architecture, 1)]
    found = encoders.encodings(module.encoder, batch)
    encoders.require_encodings(found, encoders.walked(module, batch), "the walk")


def _network(width: int) -> Architecture:
    shapes = {f"layer{i}.weight": (width, width) for i in range(LAYERS)}
    return infer_architecture(shapes).architecture


def _contender(module: Sne, architecture: Architecture, stage: str) -> Contender:
    count = -(-TOGETHER // architecture.parameters)
    batch = [encoders.networks(architecture, count)]
    weights = count * architecture.parameters
    run = partial(_encode, module, batch, stage)
    return Contender(label=f"{architecture.parameters:,} × {count}", run=run, work=weights)


def _encode(module: Sne, batch: Batch, stage: str) -> torch.Tensor:
    with torch.no_grad():
        return module.encoder.chunks(batch) if stage == "chunks" else module.encoder(batch)


def _words(stage: str) -> str:
    return "their chunks" if stage == "chunks" else f"whole, groups of {CONFIG.layer_group:,}"


ROWS: Mapping[str, Measure] = {
    stage: partial(cost, stage, WIDTHS, ROUNDS) for stage in ("chunks", "whole")
}
LONG: Mapping[str, Measure] = {
    f"{stage}-long": partial(cost, stage, (*WIDTHS[::3], WIDEST), 1)
    for stage in ("chunks", "whole")
}

if __name__ == "__main__":
    main("sne_cost", ROWS, long=LONG)
