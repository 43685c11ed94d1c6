"""From a recipe to a plan: what is counted, estimated and drawn before anything is trained."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from zoogen import members
from zoogen.description import Architecture
from zoogen.errors import PlanError
from zoogen.grouping import BLOCK, SIGNAL_SHARD, ShardRule
from zoogen.plan import PROSE, ColumnType, Plan
from zoogen.platforms import Platform
from zoogen.recipe import ClassifierRecipe, Recipe, core_seconds
from zoogen.recipe import to_json as recipe_to_json
from zoogen.varied import Varied, mean_parameters


def make_plan(
    recipe: Recipe,
    *,
    data: Mapping[str, Any],
    architecture: Architecture | Varied,
    seed: int,
    platform: Platform,
    group_size: int,
) -> Plan:
    """The plan for a recipe's members 0 … recipe.members - 1.

    Args:
        recipe: overrides included.
        data: identity of the images or signals, plain values; `name` is what `--dataset` calls
            it, and images have their number as `train_size`, which scales the time estimate.
        architecture: what every member is, or how each has its own.
        seed: of the zoo.
        platform: engine included.
        group_size: members that the engine takes at once.

    Raises:
        PlanError: the recipe cannot be planned, for instance with configurations of mixed types.
    """
    images = isinstance(recipe, ClassifierRecipe)
    example = architecture.example if isinstance(architecture, Varied) else architecture
    head = range(min(recipe.members, BLOCK))
    drawn = [
        members.draw_member(
            recipe, zoo_seed=seed, index=i, dataset=data["name"], arch=example.family
        )
        for i in head
    ]
    seconds = core_seconds(
        recipe, {"train_fraction": 1.0}, train_images=data["train_size"] if images else 0
    )
    parts = recipe_to_json(recipe)
    return Plan(
        kind="images" if images else "signals",
        recipe={k: v for k, v in parts.items() if k not in {*PROSE, "members"}},
        data=json.loads(json.dumps(data)),
        architecture=None if example is not architecture else example.content_id,
        family=example.family,
        parameters=_parameters(architecture, drawn),
        seed=seed,
        stop=recipe.members,
        epochs=recipe.epochs,
        checkpoints=recipe.checkpoints if images else (recipe.epochs,),
        shares=(recipe.shares.train, recipe.shares.val, recipe.shares.test),
        config_columns=config_columns(drawn),
        member_core_seconds=seconds,
        group_size=group_size,
        shard_rule=_shard_rule(images=images, group_size=group_size),
        platform=platform,
    )


def _parameters(architecture: Architecture | Varied, drawn: Iterable[members.Member]) -> int:
    if isinstance(architecture, Varied):
        return mean_parameters(map(architecture.of, drawn))
    return architecture.parameters


def _shard_rule(*, images: bool, group_size: int) -> ShardRule:
    """The usual one, with room for what the engine trains at once."""
    usual = ShardRule() if images else ShardRule(members=SIGNAL_SHARD)
    return replace(usual, members=max(usual.members, group_size))


def config_columns(drawn: Iterable[members.Member]) -> dict[str, ColumnType]:
    """Names and types of configuration columns, from the values of some members.

    A column with whole and broken numbers is `float`.

    Raises:
        PlanError: a value is neither text, truth nor number, or types that do not mix.
    """
    seen: dict[str, set[ColumnType]] = {}
    for member in drawn:
        for name, value in member.config.items():
            seen.setdefault(name, set()).add(_column_type(name, value))
    return {name: _one_type(name, types) for name, types in sorted(seen.items())}


def _column_type(name: str, value: Any) -> ColumnType:
    # bool before int, of which it is a subclass.
    names: tuple[tuple[type, ColumnType], ...] = (
        (bool, "bool"),
        (int, "int"),
        (float, "float"),
        (str, "string"),
    )
    for kind, column in names:
        if isinstance(value, kind):
            return column
    raise PlanError(f"config {name!r} is text, truth or a number, got {type(value).__name__}")


def _one_type(name: str, types: set[ColumnType]) -> ColumnType:
    if types == {"int", "float"}:
        return "float"
    if len(types) > 1:
        raise PlanError(f"config {name!r} mixes {sorted(types)}: draw values of one type")
    return next(iter(types))
