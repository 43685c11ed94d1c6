"""How far a sweep is: trials done, those in work, time left; a line for people on stderr."""

import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sne.progress import duration_text
from sweeps.attempt import Told
from zoogen.display import displayed


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """One look at a sweep."""

    trials: int
    done: int
    """Earlier calls of the command included."""
    failed: int
    running: int
    share: float
    """Part of the work of this call that is done, 0 to 1."""
    seconds_left: float | None


class Tally:
    """Adds up what trials tell; safe to use from several threads."""

    def __init__(self, work: Mapping[str, float], *, done_before: int = 0) -> None:
        """Begin.

        Args:
            work: estimated seconds of each trial to be done, by hash; only ratios matter.
            done_before: trials that were done already.
        """
        self._work = dict(work)
        self._before = done_before
        self._shares: dict[str, float] = {}
        self._ended: dict[str, bool] = {}
        self._started: float | None = None
        self._lock = threading.Lock()

    def tell(self, told: Told) -> None:
        """A trial is so far."""
        with self._lock:
            self._started = self._started or time.monotonic()
            self._shares[told.trial] = told.share
            if told.ended:
                self._ended[told.trial] = told.failure is None

    def look(self) -> State:
        """The state now."""
        with self._lock:
            shares, ended, begun = dict(self._shares), dict(self._ended), self._started
        usual = sum(self._work.values()) / len(self._work) if self._work else 1.0
        done = sum(self._work.get(name, usual) * share for name, share in shares.items())
        whole = max(sum(self._work.values()), done)
        elapsed = 0.0 if begun is None else time.monotonic() - begun
        measured = elapsed > 1 and done > 0
        return State(
            trials=self._before + max(len(self._work), len(shares)),
            done=self._before + sum(ended.values()),
            failed=sum(not good for good in ended.values()),
            running=len(shares) - len(ended),
            share=done / whole if whole else 1.0,
            seconds_left=(whole - done) * elapsed / done if measured else None,
        )


def describe(state: State) -> str:
    """One line for people."""
    text = f"{state.done} of {state.trials} trials"
    if state.failed:
        text += f", {state.failed} failed"
    if state.running:
        text += f", {state.running} running"
    if state.seconds_left is not None and state.share < 1:
        text += f", {duration_text(state.seconds_left)} left"
    return text


def shown(tally: Tally) -> AbstractContextManager[None]:
    """Show the tally on stderr for the time of the `with`."""

    def look() -> tuple[float, str]:
        state = tally.look()
        return state.share, describe(state)

    return displayed(look, repeat=False)
