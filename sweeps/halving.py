"""When a trial of a search is stopped early: asynchronous successive halving (ASHA), as a rule.

After `grace`, `grace · factor`, `grace · factor²` … epochs (the rungs) a trial is compared with
those that were there before it, and goes on if it is among the best 1/factor of them. The rule is a
pure function of losses by epoch, so a search in one process, one with Ray and one that was killed
decide alike. A test holds it against Ray Tune's `ASHAScheduler`.

Source: Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning (arXiv:1810.05934).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sweeps.errors import PlanError


@dataclass(frozen=True, kw_only=True, slots=True)
class Halving:
    """The rungs."""

    epochs: int
    """Of a trial that is never stopped."""
    grace: int
    """Epochs that every trial has."""
    factor: int = 3

    def __post_init__(self) -> None:
        if self.factor < 2 or not 1 <= self.grace <= self.epochs:
            raise PlanError(
                "halving needs a factor of at least 2 and a grace of 1 up to all epochs, got "
                f"{self.factor} and {self.grace} of {self.epochs}"
            )

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs after which a trial may be stopped, ascending."""
        found, rung = [], self.grace
        while rung < self.epochs:
            found.append(rung)
            rung *= self.factor
        return tuple(found)

    def stops(self, epoch: int, loss: float, before: Iterable[Mapping[int, float]]) -> bool:
        """Whether a trial is stopped.

        Args:
            epoch: epochs that it has done.
            loss: its lowest validation loss so far.
            before: losses by epoch of the trials that reached this epoch earlier; others may be
                among them.
        """
        if epoch not in self.rungs:
            return False
        there = [losses[epoch] for losses in before if epoch in losses]
        return bool(there) and loss > float(np.percentile(there, 100 / self.factor))


class Course:
    """Losses by epoch of all trials of a search, and who is stopped."""

    def __init__(self, halving: Halving | None, before: Iterable[Mapping[int, float]] = ()) -> None:
        """Begin, with the losses of trials of earlier calls; without a rule nobody is stopped."""
        self._halving, self._before = halving, list(before)
        self._losses: dict[str, dict[int, float]] = {}

    def stops(self, trial: str, epoch: int, loss: float) -> bool:
        """Take note of a trial's loss, and decide."""
        own = self._losses.setdefault(trial, {})
        others = (losses for name, losses in self._losses.items() if name != trial)
        decided = self._halving is not None and self._halving.stops(
            epoch, loss, [*self._before, *others]
        )
        own[epoch] = loss
        return decided
