"""Time several ways to do the same work so that their ratio holds on a machine that is not quiet.

The answer is checked first, and a wrong one stops the benchmark. Then the contenders take turns
(A B A B …): what slows the machine down for a while slows all of them down.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


class WrongAnswer(AssertionError):
    """What is to be timed does not give the right result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One way to do the work."""

    label: str
    run: Callable[[], object]
    work: float
    """What one call gets through: images, steps, networks. Contenders may differ in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """What one contender took, round by round."""

    label: str
    work: float
    seconds: tuple[float, ...]

    @property
    def min(self) -> float:
        """Seconds of the fastest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Seconds of the middle round."""
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        """Work in a second, by the median."""
        return self.work / self.median

    def to_json(self) -> dict[str, Any]:
        """Plain values, minimum and median included."""
        return {**asdict(self), "min": self.min, "median": self.median}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Samples":
        """The inverse of `to_json`."""
        return cls(label=value["label"], work=value["work"], seconds=tuple(value["seconds"]))


def race(
    contenders: Sequence[Contender],
    *,
    check: Callable[[], None],
    rounds: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Samples]:
    """Check the answer, warm up, then let the contenders take turns.

    Args:
        contenders: in the order in which they run in each round.
        check: raises `WrongAnswer`; nothing is timed then.
        rounds: samples of each contender, after one round that does not count.
        clock: seconds.

    Raises:
        WrongAnswer: from `check`.
    """
    check()
    taken: dict[str, list[float]] = {c.label: [] for c in contenders}
    for round_number in range(rounds + 1):
        for contender in contenders:
            start = clock()
            contender.run()
            seconds = clock() - start
            if round_number:
                taken[contender.label].append(seconds)
    return {
        c.label: Samples(label=c.label, work=c.work, seconds=tuple(taken[c.label]))
        for c in contenders
    }


def speedup(ours: Samples, theirs: Samples) -> float:
    """How many times faster ours is: the median over rounds of the ratio within a round."""
    ratios = (
        (ours.work / mine) / (theirs.work / other)
        for mine, other in zip(ours.seconds, theirs.seconds, strict=True)
    )
    return statistics.median(ratios)


def require(good: bool, what: str) -> None:
    """The check's verb: go on, or stop with what is wrong.

    Raises:
        WrongAnswer: not good.
    """
    if not good:
        raise WrongAnswer(what)
