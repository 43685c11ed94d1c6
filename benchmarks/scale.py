"""What a zoo of a million networks costs whoever plans, lists, opens and checks it.

`python -m benchmarks.scale [--members 10000 100000 1000000] [--only plan open …]`

Each step (`benchmarks.scale_steps`) of each number of members runs in a fresh process, whose time
and peak memory are its own. The table says how a step's CPU time grows: flat, linear, or worse.
Networks are synthetic: random weights of at most 300 parameters. A million take 1.2 GB on disk
and six minutes of CPU.
"""

import json
import math
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro

from benchmarks.processes import peak_megabytes
from benchmarks.provenance import provenance
from benchmarks.scale_steps import STEPS, Done
from zoogen.machine import set_environment

FLAT = 1.5
"""A step is flat if the largest zoo takes at most so many times as long as the smallest."""
WORSE = 1.15
"""Beyond this exponent of the members, between the two largest, a step is worse than linear."""
Growth = Literal["flat", "linear", "worse than linear", "–"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Which zoos and steps."""

    members: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    """Sizes of the zoos, ascending."""
    only: tuple[str, ...] = ()
    """Steps by name; those that read a zoo need its steps before: plan … manifest. Empty: all."""
    folder: Path | None = None
    """Where the zoos are made, and kept; None: a temporary folder."""
    json: bool = False
    """Print one JSON object for each figure instead of the table."""

    def __post_init__(self) -> None:
        if not self.members or list(self.members) != sorted(set(self.members)):
            raise ValueError(f"--members are ascending numbers, got {self.members}")
        if strange := set(self.only) - set(STEPS):
            raise ValueError(f"no step {', '.join(sorted(strange))}; there are {', '.join(STEPS)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One step at one size."""

    step: str
    members: int
    done: Done
    peak_bytes: float
    """The most memory that its process held, imports included."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    options = tyro.cli(
        Options, prog="python -m benchmarks.scale", description=__doc__, args=arguments
    )
    set_environment(1)
    with tempfile.TemporaryDirectory(prefix="zoogen-scale-") as scratch:
        figures = tuple(measure(options, options.folder or Path(scratch)))
    if options.json:
        lines = ({**asdict(figure), **provenance()} for figure in figures)
        print("\n".join(json.dumps(line) for line in lines))
    else:
        print(markdown(figures))


def measure(options: Options, folder: Path) -> Iterator[Figure]:
    """Every step at every size, the steps of one zoo in order; each is told on stderr."""
    for members in options.members:
        for step in options.only or STEPS:
            figure = _apart(step, folder / str(members), members)
            print(f"{members:,} {step}: {cell(figure)}", file=sys.stderr, flush=True)
            yield figure


def _apart(step: str, folder: Path, members: int) -> Figure:
    """In a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(_perform, step, folder, members).result()


def _perform(step: str, folder: Path, members: int) -> Figure:
    done = STEPS[step][1](folder, members)
    os.sync()  # what this step wrote is not to slow the next
    # Not `ru_maxrss`, in which a process has what its parent held when it was started.
    peak = peak_megabytes(os.getpid()) or math.nan
    return Figure(step=step, members=members, done=done, peak_bytes=peak * 2**20)


def growth(seconds: Mapping[int, float]) -> Growth:
    """How CPU seconds grow with the members of a zoo."""
    sizes = sorted(seconds)
    if len(sizes) < 2:
        return "–"
    if seconds[sizes[-1]] <= FLAT * seconds[sizes[0]]:
        return "flat"
    before, last = sizes[-2:]
    exponent = math.log(seconds[last] / seconds[before]) / math.log(last / before)
    return "worse than linear" if exponent > WORSE else "linear"


def markdown(figures: Sequence[Figure]) -> str:
    """A row for each step, a column for each size."""
    sizes = sorted({figure.members for figure in figures})
    head = ("step", *(f"{size:,}" for size in sizes), "growth")
    rows: list[tuple[str, ...]] = [head, ("---",) * len(head)]
    for step in dict.fromkeys(figure.step for figure in figures):
        own = {figure.members: figure for figure in figures if figure.step == step}
        cells = (cell(own[size]) if size in own else "–" for size in sizes)
        grows = growth({size: figure.done.cpu_seconds for size, figure in own.items()})
        rows.append((STEPS[step][0], *cells, grows))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(figure: Figure) -> str:
    """Time, CPU time, peak memory, and what there is of files and shards."""
    done = figure.done
    parts = [f"{_seconds(done.seconds)} ({_seconds(done.cpu_seconds)} of CPU)"]
    parts.append(f"{figure.peak_bytes / 1e6:,.0f} MB")
    if done.bytes is not None:
        parts.append(f"{_size(done.bytes)} of data")
    if done.shards is not None:
        parts.append(f"{done.shards:,} shards")
    return ", ".join(parts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:,.0f} s"


def _size(count: int) -> str:
    return f"{count / 1e6:,.3g} MB" if count >= 1e5 else f"{count / 1e3:.2g} kB"


if __name__ == "__main__":
    main()
