"""The rule of early stopping, held against Ray Tune's, and its refusals."""

import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.errors import PlanError
from sweeps.halving import Course, Halving


def test_rungs_are_powers_and_end_before_the_last_epoch():
    assert Halving(epochs=27, grace=1, factor=3).rungs == (1, 3, 9)
    assert Halving(epochs=28, grace=1, factor=3).rungs == (1, 3, 9, 27)
    assert Halving(epochs=5, grace=5).rungs == ()


def test_the_first_goes_on_and_a_worse_one_stops():
    course = Course(Halving(epochs=9, grace=1, factor=2))
    assert not course.stops("a", 1, 0.5)
    assert course.stops("b", 1, 0.6)
    assert not course.stops("c", 1, 0.4)
    assert not course.stops("c", 3, 9.9)  # between rungs


def test_trials_of_earlier_calls_count():
    before = [{1: 0.5, 2: 0.4}]
    assert Course(Halving(epochs=9, grace=1, factor=2), before).stops("a", 1, 0.6)
    assert not Course(Halving(epochs=9, grace=1, factor=2)).stops("a", 1, 0.6)
    assert not Course(None, before).stops("a", 1, 99.0)


def decide_as_ray_does(seed: int) -> int:
    """Random trials, both rules asked after each epoch; returns how many were stopped."""
    import ray.tune.schedulers

    rng = random.Random(seed)
    epochs, grace, factor = rng.choice([5, 9, 20, 28]), rng.choice([1, 2, 3]), rng.choice([2, 3, 4])
    ours = Course(Halving(epochs=epochs, grace=grace, factor=factor))
    theirs: Any = ray.tune.schedulers.ASHAScheduler(
        time_attr="epoch", metric="loss", mode="min", max_t=epochs, grace_period=grace,
        reduction_factor=factor,
    )  # fmt: skip
    trials = [SimpleNamespace(trial_id=str(n)) for n in range(8)]
    done = dict.fromkeys("01234567", 0)
    for trial in trials:
        theirs.on_trial_add(None, trial)
    stopped = 0
    while trials:
        trial = rng.choice(trials)
        done[trial.trial_id] += 1
        epoch, loss = done[trial.trial_id], rng.random()
        said = theirs.on_trial_result(None, trial, {"epoch": epoch, "loss": loss})
        if epoch == epochs:
            trials.remove(trial)
            continue
        stops = ours.stops(trial.trial_id, epoch, loss)
        assert stops == (said == "STOP")
        if stops:
            stopped += 1
            trials.remove(trial)
    return stopped


@pytest.mark.ray
def test_it_decides_as_ray_does():
    # In a process of its own: whoever imports Ray here decides for all tests that follow.
    code = (
        "from test_halving import decide_as_ray_does\n"
        "print(sum(decide_as_ray_does(seed) for seed in range(200)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200


@pytest.mark.parametrize(("grace", "factor"), [(0, 3), (10, 3), (1, 1)])
def test_impossible_rungs(grace: int, factor: int):
    with pytest.raises(PlanError, match="halving needs a factor of at least 2 and a grace of 1"):
        Halving(epochs=9, grace=grace, factor=factor)
