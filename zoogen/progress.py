"""How far a run is: members done, rate and time left, on stderr.

A bar that redraws itself on a terminal, otherwise a plain line every ten seconds. Time left comes
from estimated core seconds, since members that train on a tenth of the images take a tenth of the
time; members are counted as their shards' estimated time passes.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

PLAIN_EVERY_S = 10.0
REDRAW_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardWork:
    """What a shard is worth: members, their epochs in all, estimated seconds of a core."""

    members: int
    member_epochs: int
    core_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """One look at a run."""

    members: int
    """All of the zoo."""
    done: float
    """Members done, earlier runs included; those in work count by their share."""
    rate: float | None
    """Members a second in this run."""
    seconds_left: float | None

    @property
    def share(self) -> float:
        """Part of the zoo that is done, 0 to 1."""
        return self.done / self.members


class Tally:
    """Adds up what workers report; safe to use from several threads."""

    def __init__(self, work: Mapping[int, ShardWork], *, members_before: int) -> None:
        self._work = work
        self._before = members_before
        self._shares: dict[int, float] = {}
        self._started: float | None = None
        self._lock = threading.Lock()

    def update(self, shard: int, member_epochs: int) -> None:
        """So many member-epochs of the shard are trained; fewer than before after a restart."""
        with self._lock:
            self._begin()
            share = member_epochs / self._work[shard].member_epochs
            if self._shares.get(shard) != 1.0:
                # Not quite whole until its receipt has come.
                self._shares[shard] = min(share, 0.999)

    def finish(self, shard: int) -> None:
        """The shard's receipt has come."""
        with self._lock:
            self._begin()
            self._shares[shard] = 1.0

    def look(self) -> State:
        """The state now."""
        with self._lock:
            members = sum(self._work[s].members * share for s, share in self._shares.items())
            done = sum(self._work[s].core_seconds * share for s, share in self._shares.items())
            begun = self._started
        everything = sum(w.core_seconds for w in self._work.values())
        elapsed = 0.0 if begun is None else time.monotonic() - begun
        measured = elapsed > 1 and done > 0
        return State(
            members=self._before + sum(w.members for w in self._work.values()),
            done=float(self._before + members),
            rate=members / elapsed if measured else None,
            seconds_left=(everything - done) * elapsed / done if measured else None,
        )

    def _begin(self) -> None:
        """The clock starts with the first sign of work, so that start-up is no part of the rate."""
        if self._started is None:
            self._started = time.monotonic()


def describe(state: State) -> str:
    """One line for people."""
    text = f"{int(state.done)} of {state.members} members ({state.share:.0%})"
    if state.rate:
        text += f", {rate_text(state.rate)}"
    if state.seconds_left is not None:
        text += f", {duration_text(state.seconds_left)} left"
    return text


def rate_text(members_per_second: float) -> str:
    """A rate in the unit that keeps its number readable."""
    if members_per_second >= 1:
        return f"{members_per_second:.1f} members/s"
    return f"{members_per_second * 60:.1f} members/min"


def duration_text(seconds: float) -> str:
    """A duration with its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def shown(tally: Tally) -> Iterator[None]:
    """Show the tally on stderr for the time of the `with`."""
    with _bar(tally) if sys.stderr.isatty() else _lines(tally):
        yield


@contextmanager
def _lines(tally: Tally) -> Iterator[None]:
    with _every(PLAIN_EVERY_S, lambda: print(describe(tally.look()), file=sys.stderr, flush=True)):
        yield


@contextmanager
def _bar(tally: Tally) -> Iterator[None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    text = TextColumn("{task.fields[line]}")
    with Progress(BarColumn(bar_width=30), text, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=1.0, line=describe(tally.look()))

        def redraw() -> None:
            state = tally.look()
            bar.update(task, completed=state.share, line=describe(state))

        with _every(REDRAW_EVERY_S, redraw):
            yield
        redraw()


@contextmanager
def _every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    stop = threading.Event()

    def repeat() -> None:
        while not stop.wait(seconds):
            act()

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=2)
