"""From the command to the first training step.

Measured as the time until the first shard is there, of a zoo whose first shard trains for less than
a tenth of a second: an upper bound. Images are in the cache; the compiled library is, or is not.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks import processes
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Samples, require
from zoogen.reader import open_zoo

ROUNDS = 3
MEMBERS = 2
SMALL = (
    "--members",
    str(MEMBERS),
    "--epochs",
    "1",
    "--checkpoints",
    "1",
    "--train-fraction",
    "0.5",
)
BOUNDS = {"ray": 20.0, "local": 6.0}


def startup(mode: str) -> Iterator[Row]:
    """Warm and cold starts in one mode; two rows."""
    with processes.scratch() as folder:
        start = partial(first_shard_s, folder, mode)
        start(0)  # fills the cache, which does not count
        warm = tuple(start(1 + i) for i in range(ROUNDS))
        cold = tuple(start(1 + ROUNDS + i, cold=True) for i in range(ROUNDS))
    for label, seconds in (("warm", warm), ("cold", cold)):
        samples = Samples(label=label, work=1, seconds=seconds)
        yield Row(
            name=f"startup/{mode}-{label}",
            what=f"start to first training step, {_words(mode)}, compiled library {label}",
            unit="s",
            promise=Promise(bound=BOUNDS[mode], kind="at most"),
            reached=samples.median,
            samples=(samples,),
            note=f"until the first shard is on disk; fastest {samples.min:.1f} s",
        )


def first_shard_s(folder: Path, mode: str, number: int, *, cold: bool = False) -> float:
    """Seconds from the command to its first shard; checks that the zoo is whole in the end."""
    cache, zoo = folder / "cache", folder / f"zoo-{number}"
    if cold:
        shutil.rmtree(cache / "native", ignore_errors=True)
    first, seen = zoo / "shards" / "part-00000.parquet", list[float]()

    def watch(pid: int) -> None:
        if not seen and first.exists():
            seen.append(time.perf_counter())

    flags = (*SMALL, "--local") if mode == "local" else SMALL
    begun = time.perf_counter()
    processes.run(
        processes.zoo_command(zoo, *flags), environment={"ZOOGEN_CACHE": str(cache)}, watch=watch
    )
    require(len(open_zoo(zoo)) == MEMBERS, f"the zoo has not {MEMBERS} networks")
    require(bool(seen), "the first shard was not seen while the command ran")
    return seen[0] - begun


def _words(mode: str) -> str:
    return "with Ray" if mode == "ray" else "with --local"


ROWS: Mapping[str, Measure] = {mode: partial(startup, mode) for mode in ("ray", "local")}

if __name__ == "__main__":
    main("startup", ROWS, long={})
