"""How far a run is: members done, rate and time left, on stderr (`display`).

Time left comes from estimated core seconds, since members that train on a tenth of the images take
a tenth of the time; members are counted as their shards' estimated time passes.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from zoogen.display import displayed


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


def shown(tally: Tally) -> AbstractContextManager[None]:
    """Show the tally on stderr for the time of the `with`."""

    def look() -> tuple[float, str]:
        state = tally.look()
        return state.share, describe(state)

    return displayed(look)
