"""A list of trials from request to results: planned, announced, done as far as they are missing.

What a command adds is which trials there are and what becomes of their figures.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sne.cards import size_text
from sne.progress import duration_text
from sweeps.asked import Asked, write_asked
from sweeps.attempt import Job, Told, failure_of
from sweeps.card import Planned
from sweeps.crew import Crew, crew_for
from sweeps.errors import PlanError
from sweeps.options import Execution
from sweeps.pace import estimate_seconds, wall_seconds
from sweeps.perform import missing_tests
from sweeps.results import sweep_temporary
from sweeps.tally import Tally, shown
from sweeps.trial import Trial
from zoogen.lock import hold
from zoogen.store import open_store

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A trial without a result."""

    trial: Trial
    name: str
    reason: str
    said: bool
    """It was told of when it happened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """What a command hands over."""

    planned: tuple[Planned, ...]
    asked: Asked
    folder: Path
    """Absolute."""
    execution: Execution
    save_epochs: bool = True
    """A kill costs the running epoch at most; else states are saved twice a minute."""
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    """Of trainings whose length is known, by trial; the others are measured for a moment."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Each once: a trial may stand in several tables."""
        return tuple({p.trial.hash: p.trial for p in self.planned}.values())

    @property
    def names(self) -> dict[str, str]:
        """What people call each trial, by hash: its first place in a table."""
        entries = reversed(self.asked.entries)
        return {e.trial: f"{e.table}, {e.row}, seed {e.seed}" for e in entries}


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a second sweep from writing in the same folder (LockError), and clear what is left."""
    with hold(open_store(folder)):
        sweep_temporary(folder)
        yield


def announce(sweep: Sweep, crew: Crew) -> dict[str, float]:
    """Say what will be done and how long that will take; returns seconds of each trial to do."""
    todo = [trial for trial in sweep.trials if missing_tests(sweep.folder, trial)]
    done = len(sweep.trials) - len(todo)
    said = f"{len(sweep.trials)} trials" + (f", {done} of them done already" if done else "")
    largest = max((p.bytes for p in sweep.planned), default=0)
    log.info("%s; the largest needs %s of memory", said, size_text(largest))
    untrained = [trial for trial in todo if not _is_trained(sweep.folder, trial)]
    known = {t.hash: sweep.seconds[t.hash] for t in untrained if t.hash in sweep.seconds}
    unknown = [trial for trial in untrained if trial.hash not in known]
    seconds = {**known, **estimate_seconds(unknown, device=crew.device)}
    if seconds:
        log.info(
            "estimated%s: %s with %d at a time",
            " by a short measured run" if unknown else "",
            duration_text(wall_seconds(seconds, workers=crew.workers)),
            crew.workers,
        )
    return {trial.hash: seconds.get(trial.hash, 0.0) + 1.0 for trial in todo}


def carry_out(sweep: Sweep, crew: Crew) -> tuple[Failure, ...]:
    """Do what is missing; the folder must be held.

    Returns:
        The trials that have no result at the end.
    """
    write_asked(sweep.folder, sweep.asked)
    fetch(sweep)
    begun, work = time.monotonic(), announce(sweep, crew)
    todo = [trial for trial in sweep.trials if trial.hash in work]
    said: dict[str, str] = {}
    if todo:
        tally = Tally(work, done_before=len(sweep.trials) - len(todo))
        shares = {p.trial.hash: p.share for p in sweep.planned}
        with shown(tally):
            crew.run(todo, make_job(sweep, crew), watcher(tally, sweep.names, said), shares)
        log.info("took %s", duration_text(time.monotonic() - begun))
        fetch(sweep)
    return tuple(
        Failure(
            trial=trial,
            name=sweep.names[trial.hash],
            reason=said.get(trial.hash) or failure_of(sweep.folder, trial) or "it was not begun",
            said=trial.hash in said,
        )
        for trial in sweep.trials
        if missing_tests(sweep.folder, trial)
    )


def perform(sweep: Sweep, *, on_start: Callable[[], None]) -> tuple[Failure, ...]:
    """All of it: crew, lock, trials.

    Raises:
        PlanError: no room for what was asked.
        LockError: another sweep writes in the folder.
    """
    share = max((p.share for p in sweep.planned), default=1.0)
    with crew_for(sweep.execution, share=share, on_start=on_start) as crew:
        if sweep.execution.dry_run:
            print_trials(sweep, crew)
            return ()
        with held(sweep.folder):
            return carry_out(sweep, crew)


def make_job(sweep: Sweep, crew: Crew) -> Job:
    """What all trials of a sweep share."""
    return Job(
        folder=sweep.folder,
        machine=sweep.execution.machine(crew.device, save_epochs=sweep.save_epochs),
        command=sweep.asked.command,
        mirror=sweep.execution.mirror,
    )


def fetch(sweep: Sweep) -> None:
    """Bring what other machines have put into the sweep's store."""
    mirror = sweep.execution.mirror
    if mirror is not None and (count := mirror.pull_all(sweep.folder)):
        log.info("%d results from %s", count, mirror.uri)


def watcher(tally: Tally, names: Mapping[str, str], said: dict[str, str]) -> Callable[[Told], None]:
    """Counts what is told, and says when a trial has ended; notes failures that it told of."""
    ended: set[str] = set()

    def listen(told: Told) -> None:
        tally.tell(told)
        # Tune repeats a trial's last report.
        if told.ended and told.trial not in ended:
            ended.add(told.trial)
            if told.failure is not None:
                said[told.trial] = told.failure
            _say_end(told, names.get(told.trial, told.trial))

    return listen


def _say_end(told: Told, name: str) -> None:
    known = name if name == told.trial else f"{name} ({told.trial})"
    loss = "" if told.loss is None else f", validation loss {told.loss:.4g}"
    if told.failure is not None:
        log.error("failed: %s: %s", known, told.failure)
    elif told.stopped:
        log.info("stopped after %d epochs: %s%s", told.epoch, known, loss)
    else:
        log.info("done: %s%s", known, loss)


def print_trials(sweep: Sweep, crew: Crew) -> None:
    """The plan on stdout, for --dry-run."""
    seconds, names = announce(sweep, crew), sweep.names
    bytes_of = {p.trial.hash: p.bytes for p in sweep.planned}
    for name in (trial.hash for trial in sweep.trials):
        state = duration_text(seconds[name]) if name in seconds else "done"
        print(f"{name}  {size_text(bytes_of[name]):>10}  {state:>12}  {names[name]}")


def report_failures(failures: Sequence[Failure]) -> int:
    """Say what is missing, as far as it was not said before; the exit code."""
    for failure in (one for one in failures if not one.said):
        log.error("no result: %s (%s): %s", failure.name, failure.trial.hash, failure.reason)
    if failures:
        log.error("%d trials failed; the same command tries them again", len(failures))
    return 1 if failures else 0


def _is_trained(folder: Path, trial: Trial) -> bool:
    return missing_tests(folder, trial) != trial.test


def check_models(models: Sequence[str]) -> None:
    """Whether these can be the models of a sweep (PlanError); that they exist is not asked here."""
    if not models or len(set(models)) != len(models):
        raise PlanError(f"--models are different names, got {list(models)}")


def check_seeds(seeds: Sequence[int]) -> None:
    """Whether these can be seeds of trials (PlanError)."""
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise PlanError(f"--seeds are different whole numbers from 0, got {list(seeds)}")
