"""(zoo seed, index) → one member: its configuration, split and random streams; stateless.

Member 29,999 costs the same as member 0, and what a member becomes never depends on who trained
beside it: every random number it uses comes from its own seed, by a stream named for its purpose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, prod
from typing import Literal, TypeAlias

import numpy as np

from zoogen.configuration_numbers import configuration_numbers
from zoogen.distributions import Choice, Constant, Depends, Distribution, Value
from zoogen.hyperparameters import HYPERPARAMETERS, SLOTS
from zoogen.recipe import ClassifierRecipe, Grid, Recipe, Shares

Split: TypeAlias = Literal["train", "val", "test"]
Purpose: TypeAlias = Literal["config", "init", "subset", "order", "dropout", "split", "arch"]
PURPOSES: tuple[Purpose, ...] = ("config", "init", "subset", "order", "dropout", "split", "arch")
SPLIT_BLOCK = 10
"""Shares are exact in each block of so many consecutive members."""
MANY = 32
"""Members from which on drawing them at once is quicker."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Member:
    """One network to be trained."""

    index: int
    """Its number in the zoo, from 0."""
    seed: int
    """63 bits, recorded in the zoo; all of the member's streams start here."""
    split: Split
    config: Mapping[str, Value]
    """Flat; the zoo's `config.*` columns without the prefix."""

    def stream(self, purpose: Purpose, *more: int) -> np.random.Generator:
        """The generator for one purpose, and for instance one epoch: `stream("order", epoch)`."""
        return stream(self.seed, purpose, *more)

    @property
    def dropout_key(self) -> tuple[int, int]:
        """Two 32-bit words that key the member's dropout masks (see `zoogen.train.dropout`)."""
        words = self.stream("dropout").integers(0, 2**32, size=2, dtype=np.uint32)
        return int(words[0]), int(words[1])


def stream(seed: int, purpose: Purpose, *more: int) -> np.random.Generator:
    """A counter-based generator for (seed, purpose, …); equal arguments give equal numbers."""
    # As a spawn key, not as entropy: entropy is padded with zeros, so (s, p) and (s, p, 0) and
    # the seed of member p would share one stream.
    key = (PURPOSES.index(purpose), *more)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def member_seed(zoo_seed: int, index: int) -> int:
    """The member's own seed, 63 bits so that every Parquet reader holds it as int64."""
    words = np.random.SeedSequence(zoo_seed, spawn_key=(index,)).generate_state(1, np.uint64)
    return int(words[0]) >> 1


def split_of(shares: Shares, *, zoo_seed: int, index: int) -> Split:
    """The member's split: its place in a seeded permutation of its block of ten."""
    block, place = divmod(index, SPLIT_BLOCK)
    rank = _block_ranks(zoo_seed, block)[place]
    if rank < shares.train:
        return "train"
    return "val" if rank < shares.train + shares.val else "test"


@lru_cache(maxsize=256)
def _block_ranks(zoo_seed: int, block: int) -> tuple[int, ...]:
    ranks = stream(zoo_seed, "split", block).permutation(SPLIT_BLOCK)
    return tuple(int(r) for r in ranks)


def draw_member(recipe: Recipe, *, zoo_seed: int, index: int, dataset: str, arch: str) -> Member:
    """The member of that index, ready to train.

    Each hyperparameter reads its own number of the configuration stream, so overriding one
    distribution changes no other draw.

    Args:
        recipe: distributions, schedule and shares.
        zoo_seed: `--seed`, not negative.
        index: the member's number, from 0.
        dataset: recorded in the configuration.
        arch: recorded in the configuration as `dnn_architecture`.
    """
    seed, numbers = _numbers(recipe, zoo_seed=zoo_seed, index=index)
    drawn = draw_values(recipe.draws, numbers)
    config: dict[str, Value] = {
        "dataset": dataset,
        "dnn_architecture": arch,
        "epochs": recipe.epochs,
        **_schedule(recipe, index),
        **drawn,
    }
    split = split_of(recipe.shares, zoo_seed=zoo_seed, index=index)
    return Member(index=index, seed=seed, split=split, config=config)


def draw_column(
    recipe: Recipe, name: str, *, zoo_seed: int, indices: Sequence[int]
) -> list[Value | None]:
    """One hyperparameter of many members, equal to that of `draw_member`; None: they have none.

    What is the same for all is not drawn, and what is drawn plainly is drawn for all at once.
    """
    distribution = recipe.draws.get(name)
    if distribution is None:
        return [None] * len(indices)
    if isinstance(distribution, Constant):
        return [distribution.value] * len(indices)
    needed: dict[str, Distribution] = {name: distribution}
    if isinstance(distribution, Depends):
        needed[distribution.on] = recipe.draws[distribution.on]
    grid = isinstance(recipe, ClassifierRecipe) and recipe.grid is not None
    few = len(indices) < MANY or max(indices) >= 2**32
    if isinstance(distribution, Depends) or grid or few:
        every = (_numbers(recipe, zoo_seed=zoo_seed, index=index)[1] for index in indices)
        return [draw_values(needed, numbers)[name] for numbers in every]
    numbers = configuration_numbers(
        zoo_seed,
        np.array(indices),
        purpose=PURPOSES.index("config"),
        slot=HYPERPARAMETERS[name].slot,
    )
    return [distribution.at(number) for number in numbers.tolist()]


def _numbers(recipe: Recipe, *, zoo_seed: int, index: int) -> tuple[int, list[float]]:
    """A member's seed, and the number in [0, 1) for each slot that its configuration reads."""
    seed = member_seed(zoo_seed, index)
    numbers = stream(seed, "config").random(SLOTS).tolist()
    if isinstance(recipe, ClassifierRecipe) and recipe.grid is not None:
        place = grid_place(recipe.draws, recipe.grid, index)
        numbers = [place.numbers.get(slot, number) for slot, number in enumerate(numbers)]
        seed = member_seed(zoo_seed, place.repeat) if recipe.grid.fixed else seed
    return seed, numbers


def draw_values(draws: Mapping[str, Distribution], numbers: Sequence[float]) -> dict[str, Value]:
    """A value for each hyperparameter, from the number of its slot.

    Args:
        draws: distributions by hyperparameter.
        numbers: one in [0, 1) for each slot.
    """
    number = {name: numbers[HYPERPARAMETERS[name].slot] for name in draws}
    values = {n: d.at(number[n]) for n, d in draws.items() if not isinstance(d, Depends)}
    depending = {
        n: d.given(values[d.on]).at(number[n]) for n, d in draws.items() if isinstance(d, Depends)
    }
    return {**values, **depending}


@dataclass(frozen=True, kw_only=True, slots=True)
class GridPlace:
    """Where a member stands in a grid."""

    numbers: Mapping[int, float]
    """By slot: the number that draws the place's value."""
    repeat: int
    """Which network of its combination it is, from 0."""


def grid_size(draws: Mapping[str, Distribution]) -> int:
    """Combinations of the values that the choices have."""
    return prod(len(d.options) for d in draws.values() if isinstance(d, Choice))


def grid_place(draws: Mapping[str, Distribution], grid: Grid, index: int) -> GridPlace:
    """The place of a member; behind the last place the grid begins again with other seeds."""
    places = grid_size(draws) * grid.seeds
    laps, at = divmod(index, places)
    # A step near the golden section, without a common divisor: every place is met once.
    step = next(s for s in range(int(places * 0.618) + 1, 2 * places + 2) if gcd(s, places) == 1)
    repeat, cell = divmod(at * step % places, grid_size(draws))
    numbers: dict[int, float] = {}
    for name, distribution in draws.items():
        if isinstance(distribution, Choice):
            cell, option = divmod(cell, len(distribution.options))
            numbers[HYPERPARAMETERS[name].slot] = (option + 0.5) / len(distribution.options)
    return GridPlace(numbers=numbers, repeat=repeat + laps * grid.seeds)


def _schedule(recipe: Recipe, index: int) -> dict[str, Value]:
    if isinstance(recipe, ClassifierRecipe):
        return {"batch_size": recipe.batch_size}
    return {"image_index": index} if recipe.points is None else {"points": recipe.points}
