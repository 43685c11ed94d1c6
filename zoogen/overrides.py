"""Variants of a recipe: fewer members, another schedule, other distributions (`--dropout 0`)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zoogen.distributions import Distribution, parse
from zoogen.errors import PlanError
from zoogen.hyperparameters import HYPERPARAMETERS
from zoogen.recipe import ClassifierRecipe, Recipe


def override(
    recipe: Recipe,
    *,
    members: int | None = None,
    epochs: int | None = None,
    checkpoints: tuple[int, ...] | None = None,
    draws: Mapping[str, str | Distribution] | None = None,
) -> Recipe:
    """The recipe with some of its parts replaced; its name stays.

    Args:
        recipe: where all other parts come from.
        members: how many networks.
        epochs: the last epoch; of an INR, the largest number of steps. The recipe's own
            checkpoints are cut to those not after it.
        checkpoints: epochs to keep; the last epoch is kept in any case.
        draws: distributions by hyperparameter, as values or as text (`distributions.SYNTAX`).

    Raises:
        PlanError: a value that no member can have, a hyperparameter that the recipe does not
            draw, or checkpoints for INRs.
    """
    if members is not None:
        recipe = replace(recipe, members=members)
    recipe = _with_schedule(recipe, epochs=epochs, checkpoints=checkpoints)
    if draws:
        new = {name: _distribution(recipe, name, value) for name, value in draws.items()}
        recipe = replace(recipe, draws={**recipe.draws, **new})
    return recipe


def _with_schedule(
    recipe: Recipe, *, epochs: int | None, checkpoints: tuple[int, ...] | None
) -> Recipe:
    if not isinstance(recipe, ClassifierRecipe):
        if checkpoints is not None:
            raise PlanError(
                f"{recipe.name}: of an INR only the last state is kept; leave --checkpoints out"
            )
        return recipe if epochs is None else _with_cost(recipe, epochs, steps=epochs)
    last = recipe.epochs if epochs is None else epochs
    wanted = checkpoints
    if wanted is None:
        wanted = tuple(c for c in recipe.checkpoints if c <= last)
    return _with_cost(recipe, last, epochs=last, checkpoints=tuple(sorted({*wanted, last})))


def _with_cost(recipe: Recipe, last: int, /, **schedule: Any) -> Recipe:
    seconds = recipe.member_core_seconds * last / recipe.epochs
    return replace(recipe, member_core_seconds=seconds, **schedule)


def _distribution(recipe: Recipe, name: str, value: str | Distribution) -> Distribution:
    if name not in recipe.draws:
        drawn = ", ".join(recipe.draws)
        raise PlanError(f"{recipe.name} draws no {name!r}; it draws: {drawn}")
    if not isinstance(value, str):
        return value
    try:
        return parse(value, kind=HYPERPARAMETERS[name].kind)
    except PlanError as error:
        raise PlanError(f"{name}: {error}") from None
