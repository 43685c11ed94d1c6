"""Trials with Ray Tune: several processes, here or on a cluster.

Import this module only inside `zoogen.ray_session.ray_session`, which sets Ray's environment first.

Tune schedules, and no more: each trial keeps its own state and result (`sweeps.attempt`), so a new
Tuner over the trials without a result is all that going on takes. Tune's own snapshots are written
to a temporary folder, are never read, and go with it: they are pickles.

Measured with Ray 2.60, hence these choices:

* `reuse_actors`: a trial costs 0.06 s besides its training, with a process for each of them 3 s.
* A report costs 5 ms, and is made for each epoch only.
* What goes wrong in a trial is told in its report. Tune's retries are left for processes that died.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback, FailureConfig, RunConfig, TuneConfig
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweeps.attempt import Job, Tell, Told, attempt, note_death
from sweeps.halving import Course
from sweeps.portion import Portion
from sweeps.trial import Trial
from zoogen.ray_session import quieten

SCRATCH = "sweeps-tune-"
DEATHS = 3
"""Processes of one trial that may die before it is given up."""
QUIET: Mapping[str, str] = {
    # The new output prints a box to stdout, which is for results.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Tables and event files for each trial, which nobody here reads.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Signals are handled by whoever started the sweep.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Trials that wait for a processor are no reason to warn.
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",
}
Make = Callable[[Mapping[str, Any]], Trial]
"""From Tune's configuration of a trial to the trial."""


def run_pool(
    trials: Sequence[Trial],
    job: Job,
    tell: Tell,
    *,
    workers: int,
    resources: Mapping[str, Mapping[str, float]],
    portions: Mapping[str, Portion],
) -> None:
    """Attempt each of them, `workers` at a time.

    Args:
        trials: those that lack something.
        job: what all share.
        tell: called in this process.
        workers: trials at the same time.
        resources: CPU and GPU of each trial, by hash.
        portions: what its process may take of a GPU, by hash.
    """
    known = {trial.hash: trial for trial in trials}
    given = {name: trial.to_json() for name, trial in known.items()}
    _fit(
        lambda config: known[config["trial"]],
        job,
        tell,
        function=partial(_attempt_listed, given=given, portions=dict(portions)),
        resources=lambda config: dict(resources[config["trial"]]),
        param_space={"trial": tune.grid_search(list(known))},
        tune_config={"max_concurrent_trials": workers},
    )


def search_pool(  # noqa: PLR0913 (a search is this many things)
    searcher: Searcher,
    make: Make,
    job: Job,
    tell: Tell,
    *,
    samples: int,
    course: Course,
    workers: int,
    resources: Mapping[str, float],
    portion: Portion,
) -> None:
    """Attempt what a searcher proposes.

    Args:
        searcher: proposes settings and is told of losses.
        make: from settings to a trial.
        job: what all share.
        tell: called in this process.
        samples: how many proposals.
        course: who is stopped early.
        workers: trials at the same time.
        resources: CPU and GPU of a trial.
        portion: what its process may take of a GPU.
    """
    _fit(
        make,
        job,
        tell,
        function=partial(_attempt_made, make=make, portion=portion),
        resources=dict(resources),
        param_space={},
        tune_config={
            "max_concurrent_trials": workers,
            "num_samples": samples,
            "search_alg": searcher,
            "scheduler": _Halving(course),
            "metric": "loss",
            "mode": "min",
        },
    )


def _fit(  # noqa: PLR0913
    make: Make,
    job: Job,
    tell: Tell,
    *,
    function: Callable[..., None],
    resources: Any,
    param_space: Mapping[str, Any],
    tune_config: Mapping[str, Any],
) -> None:
    with _quiet(), _scratch() as folder:
        tuner = tune.Tuner(
            tune.with_resources(partial(function, job=job), resources),
            param_space=dict(param_space),
            tune_config=TuneConfig(
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
                **tune_config,
            ),
            run_config=RunConfig(
                name="sweep",
                storage_path=str(folder),
                callbacks=[_Telling(make, job, tell)],
                failure_config=FailureConfig(max_failures=DEATHS - 1),
                verbose=0,
            ),
        )
        tuner.fit()


def _attempt_listed(
    config: Mapping[str, Any],
    *,
    given: Mapping[str, Any],
    portions: Mapping[str, Portion],
    job: Job,
) -> None:
    name = config["trial"]
    attempt(Trial.from_json(given[name]), job, _report, portion=portions[name])


def _attempt_made(config: Mapping[str, Any], *, make: Make, portion: Portion, job: Job) -> None:
    attempt(make(config), job, _report, portion=portion)


def _report(told: Told) -> None:
    """In the worker: what the driver is to know, once an epoch and at the end."""
    if told.closes or told.ended:
        tune.report(asdict(told))


def told_of(result: Mapping[str, Any]) -> Told:
    """What a worker told, among what Tune adds to it."""
    return Told(**{field.name: result[field.name] for field in fields(Told)})


class _Telling(Callback):
    """In the driver: passes on what workers report."""

    def __init__(self, make: Make, job: Job, tell: Tell) -> None:
        self._make, self._job, self._tell = make, job, tell

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune's snapshot is never read, and who listens belongs to this process."""
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A report."""
        self._tell(told_of(result))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its end, or that it was stopped."""
        told = told_of(trial.last_result)
        if not told.ended:
            self._tell(told.given_up)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial whose processes died too often."""
        made = self._make(trial.config)
        text = f"its process died {DEATHS} times (out of memory?)"
        note_death(self._job.folder, made, text)
        epochs = made.config.training.epochs
        self._tell(
            Told(trial=made.hash, epoch=0, epochs=epochs, share=1.0, ended=True, failure=text)
        )


class _Halving(FIFOScheduler):
    """Stops whom the course of the search stops."""

    def __init__(self, course: Course) -> None:
        super().__init__()
        self._course = course

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """See `TrialScheduler`."""
        if result["ended"] or result["loss"] is None:
            return TrialScheduler.CONTINUE
        stops = self._course.stops(trial.trial_id, result["epoch"], result["loss"])
        return TrialScheduler.STOP if stops else TrialScheduler.CONTINUE


@contextmanager
def _quiet() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in QUIET}
    os.environ.update(QUIET)
    quieten("ray", "ray.tune")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for what Tune writes; those of drivers that were killed are removed as well."""
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{SCRATCH}*"):
        pid = left.name.removeprefix(SCRATCH).partition("-")[0]
        if left.stat().st_uid == os.getuid() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-", dir=parent) as folder:
        yield Path(folder)
