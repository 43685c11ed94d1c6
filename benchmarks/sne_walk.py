"""Encoding a batch against the tests' reference, which walks through each network by itself.

The reference takes chunk after chunk. Beside it stands the encoder itself on one network after
another, which takes all chunks of a network at once, as a plain script would with some care.
"""

import time
from collections.abc import Iterator, Mapping
from functools import partial

from benchmarks import encoders
from benchmarks.encoders import ARCHITECTURES, BATCH
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Contender, race, speedup

BOUND = Promise(bound=5.0)
ROUNDS = 3


def walk(name: str, families: tuple[str, ...]) -> Iterator[Row]:
    """One batch in equal shares of some architectures, against one network of each; two rows."""
    architectures = [ARCHITECTURES[family] for family in families]
    module = encoders.sne(*architectures)
    batch = [encoders.networks(a, BATCH // len(families)) for a in architectures]
    few = [encoders.networks(a, 1) for a in architectures]

    def check() -> None:
        expected = encoders.walked(module, few)
        for found in (encoders.encodings, encoders.one_by_one):
            encoders.require_encodings(found(module.encoder, few), expected, "the walk")

    networks = BATCH // len(families) * len(families)
    run = partial(encoders.encodings, module.encoder, batch)
    alone = partial(encoders.one_by_one, module.encoder, few)
    contenders = [
        Contender(label="a batch", run=run, work=networks),
        Contender(label="the walk", run=partial(encoders.walked, module, few), work=len(few)),
        Contender(label="one by one", run=alone, work=len(few)),
    ]
    samples = race(contenders, check=check, rounds=ROUNDS, clock=time.process_time)
    ours, reference, singles = samples.values()
    what = f"{networks} networks of {', '.join(families)} encoded at once"
    note = "seconds of CPU time; {:.1f} against {:.1f} networks/s".format
    yield Row(
        name=f"sne_walk/{name}",
        what=f"{what} / the reference's walk",
        promise=BOUND,
        reached=speedup(ours, reference),
        samples=(ours, reference),
        note=note(ours.rate, reference.rate),
    )
    yield Row(
        name=f"sne_walk/{name}-singles",
        what=f"{what} / one by one",
        reached=speedup(ours, singles),
        samples=(ours, singles),
        note=note(ours.rate, singles.rate),
    )


ROWS: Mapping[str, Measure] = {
    "arch1": partial(walk, "arch1", ("arch1",)),
    "mixed": partial(walk, "mixed", ("arch1", "arch2", "siren")),
}

if __name__ == "__main__":
    main("sne_walk", ROWS, long={})
