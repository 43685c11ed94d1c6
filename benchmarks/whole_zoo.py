"""A whole zoo, from the command to the manifest, against one Ray Tune trial for each network.

128 members of arch1 on digits by the quick recipe, all cores. The trials train the same members in
the plain script's form, evaluate and save the same checkpoints. They are timed on two smaller
numbers of members; the time of 128 follows from the slope between the two.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import processes
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Samples, require
from zoogen.reader import open_zoo

MEMBERS = 128
FEW, MORE = 4, 16
BOUND = Promise(bound=5.0)
ACCURACY = 0.06
"""Median difference in test accuracy of the same member: masks and orders differ."""


def whole_zoo(name: str, more: int) -> Iterator[Row]:
    """Ours in whole; the trials with a process each, and again with shared processes."""
    with processes.scratch() as folder:
        zoo = folder / "zoo"
        ours_s = processes.run(processes.zoo_command(zoo, "--members", str(MEMBERS)))
        for reuse in (False, True):
            label = "shared" if reuse else "fresh"
            few_s, more_s = (_trials(folder / f"{label}-{n}", n, reuse) for n in (FEW, more))
            check_accuracies(zoo, folder / f"{label}-{more}" / "accuracies.json")
            slope = (more_s - few_s) / (more - FEW)
            theirs_s = few_s + slope * (MEMBERS - FEW)
            yield Row(
                name=f"whole_zoo/{name}-{label}",
                what=f"{MEMBERS} members on digits, quick: zoogen.run / Ray Tune, {_words(reuse)}",
                promise=None if reuse else BOUND,
                reached=theirs_s / ours_s,
                samples=(
                    Samples(label="zoogen.run", work=MEMBERS, seconds=(ours_s,)),
                    Samples(label=f"Ray Tune, {more} trials", work=more, seconds=(more_s,)),
                ),
                note=(
                    f"{ours_s:.0f} s against {theirs_s:.0f} s, projected from {FEW} trials in "
                    f"{few_s:.0f} s and {more} in {more_s:.0f} s; start and evaluation included"
                ),
            )


def check_accuracies(zoo: Path, found: Path) -> None:
    """The same members come out about equally good.

    Raises:
        WrongAnswer: members are missing, or too far apart.
    """
    networks = open_zoo(zoo).networks(status=None)
    ours = dict(zip(networks.column("member"), networks.column("test_accuracy"), strict=True))
    require(len(ours) == MEMBERS, f"the zoo has {len(ours)} networks, wanted {MEMBERS}")
    theirs = {int(k): v for k, v in json.loads(found.read_text()).items()}
    apart = float(np.median([abs(ours[m] - accuracy) for m, accuracy in theirs.items()]))
    require(apart < ACCURACY, f"test accuracies of the same members are {apart:.2f} apart")


def _trials(out: Path, members: int, reuse: bool) -> float:
    flags = ["--members", str(members), "--out", str(out), *(["--reuse-actors"] if reuse else [])]
    return processes.run([sys.executable, "-m", "benchmarks.tune_zoo", *flags])


def _words(reuse: bool) -> str:
    return "trials share processes" if reuse else "a trial for each network"


ROWS: Mapping[str, Measure] = {"tune": partial(whole_zoo, "tune", MORE)}
LONG: Mapping[str, Measure] = {"tune-all": partial(whole_zoo, "tune-all", MEMBERS)}

if __name__ == "__main__":
    main("whole_zoo", ROWS, long=LONG)
