"""What Ray Tune adds to a trial of a sweep, beyond the trial itself.

The trials have their results already, so that all they do is find that out: what is left is Tune's
scheduling, its reports and its reused processes. Timed for two numbers of trials, one at a time;
the slope leaves out the start of Ray and of the process that trains. The same in one process
without Ray is taken off.
"""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import processes
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Samples, require
from sne.cards import parse_card
from sne.config import Machine
from sne.recipes import default_config
from sweeps.attempt import Job, Told
from sweeps.local import run_local
from sweeps.perform import complete_trial
from sweeps.portion import Portion
from sweeps.results import RESULTS
from sweeps.trial import Trial, make_trial
from sweeps.zoos import find_target, open_sweep_zoos
from zoogen.ray_session import ray_session

FEW, MORE = 10, 110
BOUND = Promise(bound=0.5, kind="at most")
"""Seconds for each trial."""


def overhead() -> Iterator[Row]:
    """Seconds for each trial, Tune's less the plain loop's."""
    with processes.scratch() as folder:
        zoo = folder / "zoo"
        processes.run(processes.zoo_command(zoo, "--members", "20", "--epochs", "1", "--local"))
        trials = finished_trials(zoo, folder / "sweep", MORE)
        job = Job(folder=folder / "sweep", machine=Machine(device="cpu", threads=1), command="")
        plain_s = tuple(local_seconds(trials[:n], job) for n in (FEW, MORE))
        with ray_session(cpus=1, gpus=0):
            ray_seconds(trials[:FEW], job)  # starts what is started once
            tune_s = tuple(ray_seconds(trials[:n], job) for n in (FEW, MORE))
    each, plain = ((s[1] - s[0]) / (MORE - FEW) for s in (tune_s, plain_s))
    yield Row(
        name="sweep_overhead/tune",
        what="what Ray Tune adds to a trial that has nothing left to do",
        unit="s",
        promise=BOUND,
        reached=each - plain,
        samples=(
            Samples(label=f"Tune, {FEW} trials", work=FEW, seconds=tune_s[:1]),
            Samples(label=f"Tune, {MORE} trials", work=MORE, seconds=tune_s[1:]),
            Samples(label=f"in one process, {MORE} trials", work=MORE, seconds=plain_s[1:]),
        ),
        note=f"slope from {FEW} to {MORE} trials, one at a time, reused processes",
    )


def finished_trials(zoo: Path, folder: Path, count: int) -> list[Trial]:
    """Trials that differ by seed and are done: one really, the others by copies of its result."""
    zoos = open_sweep_zoos([str(zoo)])
    config = default_config((), model="mlp", recipe="cnn")
    config = replace(config, training=replace(config.training, epochs=1))
    target = find_target(zoos, None, config.data.which)
    refs = [one.ref for one in zoos]
    trials = [
        make_trial(
            replace(config, training=replace(config.training, seed=seed)),
            train=refs,
            test=refs,
            target=target,
        )
        for seed in range(count)
    ]
    complete_trial(trials[0], folder, machine=Machine(device="cpu", threads=1))
    for trial in trials[1:]:
        for part in (RESULTS, "curves"):
            place = folder / part
            shutil.copy(place / f"{trials[0].hash}.parquet", place / f"{trial.hash}.parquet")
    return trials


def local_seconds(trials: Sequence[Trial], job: Job) -> float:
    """In one process, without Ray."""
    told: list[Told] = []
    begun = time.perf_counter()
    run_local(trials, job, told.append)
    seconds = time.perf_counter() - begun
    _check(told, trials)
    return seconds


def ray_seconds(trials: Sequence[Trial], job: Job) -> float:
    """With Ray Tune, one at a time."""
    from sweeps.pool import run_pool

    told: list[Told] = []
    resources = {trial.hash: {"cpu": 1.0} for trial in trials}
    whole = Portion(share=1.0, card_bytes=parse_card("11GB").total_bytes)
    portions = dict.fromkeys(resources, whole)
    begun = time.perf_counter()
    run_pool(trials, job, told.append, workers=1, resources=resources, portions=portions)
    seconds = time.perf_counter() - begun
    _check(told, trials)
    return seconds


def _check(told: Sequence[Told], trials: Sequence[Trial]) -> None:
    ended = {t.trial for t in told if t.ended and t.failure is None}
    require(ended == {trial.hash for trial in trials}, "a trial did not end well")


ROWS: Mapping[str, Measure] = {"tune": overhead}

if __name__ == "__main__":
    main("sweep_overhead", ROWS, long={})
