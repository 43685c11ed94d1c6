"""The laptop's arithmetic: how many members and epochs fit into minutes. Pure.

Zoos get at most a part of the time, all alike. What is left, less a reserve, is shared out among
the lines: each gets the same seconds; one that needs less, as it has reached the most epochs,
leaves its rest to the others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeps.errors import PlanError
from sweeps.paper.scale import LEAST_MEMBERS

ZOO_SHARE = 1 / 3
"""Of the time, for zoos that are made; more only where the fewest members need it."""
RESERVE_SHARE, RESERVE_S = 0.2, 45.0
"""Kept back: starting processes, planning memory, tables; and that estimates are off."""
START_S = 10.0
"""Of a command that makes a zoo, besides its members."""
LEAST_TRAINING = 0.2
"""The share of the time that trainings must have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What everything must fit into."""

    minutes: float
    workers: int
    """Processes at the same time."""
    members: int | None = None
    """Of whole zoos to be made, as they were planned before; None: as many as fit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What the trials of one pace take, over training zoos and seeds; seconds of one process."""

    epoch_s: float
    """One epoch of all of them."""
    longest_epoch_s: float
    """One epoch of the one that takes longest."""
    fixed_s: float = 0.0
    """Tests, and models that are fitted at once."""


def fit_members(member_core_s: Sequence[float], room: Room, *, most: int, parts: int = 1) -> int:
    """Members of each zoo that is to be made: tens, the same for all.

    Args:
        member_core_s: for each zoo seconds of one core for one member; of a part of a zoo that
            share of them.
        room: what there is.
        most: members of a whole zoo.
        parts: in how many the smallest zoo is of a whole one.

    Raises:
        PlanError: not even the fewest members leave time for training.
    """
    least = LEAST_MEMBERS * parts
    if not member_core_s:
        return max(least, most)
    minutes, workers = room.minutes, room.workers
    whole_s, each = minutes * 60, sum(member_core_s)
    starts = START_S * len(member_core_s)
    fewest_s = least * each / workers + starts
    affordable_s = (1 - RESERVE_SHARE - LEAST_TRAINING) * whole_s - RESERVE_S
    if fewest_s > affordable_s:
        enough = math.ceil((fewest_s + RESERVE_S) / (1 - RESERVE_SHARE - LEAST_TRAINING) / 60)
        raise PlanError(
            f"{minutes:g} minutes are too short: {len(member_core_s)} zoos of {least} members "
            f"alone take about {fewest_s / 60:.1f} with {workers} at a time; give --minutes "
            f"{enough} or more, or name zoos that there are with --use"
        )
    affordable = (ZOO_SHARE * whole_s - starts) * workers / each
    return min(max(least, int(affordable) // 10 * 10), max(least, most))


def zoo_seconds(core_seconds: Sequence[float], *, workers: int) -> float:
    """How long making zoos takes, one after the other."""
    return sum(core_seconds) / workers + START_S * len(core_seconds)


def training_seconds(minutes: float, *, zoos_s: float) -> float:
    """What is left for trainings."""
    return max(0.0, minutes * 60 * (1 - RESERVE_SHARE) - RESERVE_S - zoos_s)


def fit_level(costs: Mapping[str, Cost], *, seconds: float, workers: int, most: int) -> float:
    """Process seconds that each pace may spend on epochs, such that all of them fit.

    The rests of those that reach the most epochs are shared out among the others.
    """
    left = seconds * workers - sum(cost.fixed_s for cost in costs.values())
    open_ = sorted((cost.epoch_s * most for cost in costs.values()), reverse=True)
    while open_:
        level = max(0.0, left) / len(open_)
        if open_[-1] >= level:
            return level
        left -= open_.pop()
    return max((cost.epoch_s * most for cost in costs.values()), default=0.0)


def epochs_at(cost: Cost, level_s: float, *, seconds: float, most: int) -> int:
    """Epochs of one pace that a level pays; none takes longer than there is time.

    Args:
        cost: of its trials.
        level_s: as `fit_level` gives it.
        seconds: for all trainings, by the wall clock.
        most: epochs.
    """
    if cost.epoch_s <= 0:
        return most
    paid = min(level_s / cost.epoch_s, seconds / cost.longest_epoch_s)
    return max(1, min(most, int(paid)))


def fit_epochs(
    costs: Mapping[str, Cost], *, seconds: float, workers: int, most: int
) -> dict[str, int]:
    """Epochs of each pace."""
    level = fit_level(costs, seconds=seconds, workers=workers, most=most)
    return {
        name: epochs_at(cost, level, seconds=seconds, most=most) for name, cost in costs.items()
    }


def wall_of(costs: Mapping[str, Cost], epochs: Mapping[str, int], *, workers: int) -> float:
    """How long trainings and tests take together, by the wall clock."""
    total = sum(cost.fixed_s + epochs[name] * cost.epoch_s for name, cost in costs.items())
    longest = max((epochs[n] * cost.longest_epoch_s for n, cost in costs.items()), default=0.0)
    return max(total / workers, longest)
