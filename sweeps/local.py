"""Trials in this one process, one after the other: for debuggers, a single card, and no Ray."""

from collections.abc import Sequence
from typing import Any

from optuna.study import Study

from sweeps.attempt import Job, Stopped, Tell, Told, attempt
from sweeps.halving import Course
from sweeps.search import Search
from sweeps.study import outcome
from sweeps.trial import Trial


def run_local(trials: Sequence[Trial], job: Job, tell: Tell) -> None:
    """Attempt each of them."""
    for trial in trials:
        attempt(trial, job, tell)


def search_local(study: Study, search: Search, job: Job, tell: Tell, *, samples: int) -> None:
    """Attempt what a study proposes."""
    course = search.course(study)
    for _ in range(samples):
        proposal = study.ask()
        listener = _Listener(proposal, course, tell)
        try:
            attempt(search.make(search.space.suggest(proposal)), job, listener)
        except Stopped:
            listener.stop()
        state, loss = outcome(loss=listener.loss, failed=listener.failed, stopped=listener.stopped)
        study.tell(proposal, loss, state=state)


class _Listener:
    """Passes on what a trial tells, to people and to the study."""

    def __init__(self, proposal: Any, course: Course, tell: Tell) -> None:
        self._proposal, self._course, self._tell = proposal, course, tell
        self._last: Told | None = None
        self.loss: float | None = None
        self.failed = self.stopped = False

    def __call__(self, told: Told) -> None:
        self._tell(told)
        self._last = told
        self.loss, self.failed = told.loss, told.failure is not None
        if told.closes and told.loss is not None:
            self._proposal.report(told.loss, told.epoch)
            if self._course.stops(str(self._proposal.number), told.epoch, told.loss):
                raise Stopped

    def stop(self) -> None:
        """It fell behind."""
        self.stopped = True
        if self._last is not None:
            self._tell(self._last.given_up)
