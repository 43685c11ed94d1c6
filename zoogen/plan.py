"""The plan of a zoo: everything that decides what its shards will hold, written before the first.

A plan is a value. It holds no time, host, path or number of workers, and no list that grows with
the members: groups and shards follow from its rule, block by block. `plan.json` is the first plan
of a zoo; a zoo continued with more `--members` gets `plan-0001.json` for the new members alone.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal, TypeAlias

from zoogen import members
from zoogen.errors import PlanError, ShardError
from zoogen.grouping import (
    Cost,
    ShardRule,
    ShardSpec,
    blocks,
    group_limit,
    groups_of_block,
    shards_of_block,
)
from zoogen.origin import Origin
from zoogen.platforms import Platform
from zoogen.recipe import Recipe
from zoogen.recipe import from_json as recipe_from_json
from zoogen.typed import MISUSED, checked

FORMAT_VERSION = 1
Kind: TypeAlias = Literal["images", "signals"]
ColumnType: TypeAlias = Literal["string", "bool", "int", "float"]
# Not part of what a zoo is: a reworded summary or more members must not change the plan's recipe.
PROSE = {"summary": "", "expected": ""}
# A row's columns besides its weights, when the size of a shard is estimated.
ROW_BYTES = 256
TOGETHER = 128
"""Shards whose members are drawn at once."""
TRAIN_FRACTION = "train_fraction"
"""The hyperparameter that makes members of different kinds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One zoo, or one extension of a zoo, before it is made."""

    kind: Kind
    """`images`: classifiers with checkpoints after epochs. `signals`: INRs, last state only."""
    recipe: Mapping[str, Any]
    """The recipe as it was used, overrides included, without its prose and number of members."""
    data: Mapping[str, Any]
    """Identity of the images (name, sizes, content hash, licence, chance accuracy) or signals."""
    architecture: str | None
    """Content id of the description in `architectures.parquet`; None: each row names its own."""
    family: str
    """What `--arch` calls it."""
    parameters: int
    """Length of each network's weights, buffers included; where they differ an estimate, in
    converted zoos the largest."""
    seed: int
    first: int = 0
    """Index of the first member."""
    stop: int
    """One more than the index of the last member."""
    epochs: int
    """For signals the steps."""
    checkpoints: tuple[int, ...]
    """Epochs that are kept, ascending; for signals the last step alone."""
    shares: tuple[int, int, int]
    """Members of train, val and test among 10 consecutive ones."""
    config_columns: Mapping[str, ColumnType]
    """Names and types of the members' configuration."""
    member_core_seconds: float
    """Estimate for a member with all training images at this plan's epochs."""
    group_size: int
    """M: members that the engine takes at once."""
    shard_rule: ShardRule
    platform: Platform
    number: int = 0
    """0: `plan.json`; from 1: extensions."""
    first_part: int = 0
    """Number of the first shard."""
    previous: str | None = None
    """Hash of the plan that this one extends."""
    origin: Origin | None = None
    """What a converted zoo was made from; None for one whose members are drawn and trained."""

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.stop:
            raise PlanError(f"a plan needs members, got {self.first} up to {self.stop}")
        if self.group_size < 1 or self.shard_rule.members < 1:
            raise PlanError(f"groups and shards hold at least one member, got {self.group_size=}")
        if not self.checkpoints or list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise PlanError(f"checkpoints are ascending epochs, got {self.checkpoints}")
        if self.checkpoints[0] < 0 or self.checkpoints[-1] > self.epochs:
            raise PlanError(f"checkpoints {self.checkpoints} lie outside 0 … {self.epochs} epochs")
        if sum(self.shares) != 10 or min(self.shares) < 0:
            raise PlanError(f"shares of train, val and test add up to 10, got {self.shares}")

    @property
    def length(self) -> int | None:
        """Length of every network's weights; None where they differ."""
        return None if self.architecture is None else self.parameters

    @property
    def name(self) -> str:
        """The file's name in the zoo."""
        return plan_name(self.number)

    @property
    def dataset(self) -> str:
        """What `--dataset` calls the data."""
        return self.data["name"]

    @property
    def text(self) -> str:
        """Canonical JSON: what `plan.json` and each shard's metadata hold."""
        return json.dumps(self.to_json(), sort_keys=True, indent=2, ensure_ascii=False) + "\n"

    @property
    def content_hash(self) -> str:
        """SHA-256 of `text`."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def recipe_object(self) -> Recipe:
        """The recipe as the value it was, but for its prose.

        Raises:
            ShardError: the plan holds something else.
            PlanError: the zoo was converted, so there is none.
        """
        if self.origin is not None:
            raise PlanError(_not_drawn(self.origin))
        try:
            return checked(recipe_from_json({**self.recipe, **PROSE, "members": self.stop}))
        except MISUSED as error:
            raise ShardError(f"the plan's recipe lacks or misuses a field: {error}") from error

    def draw(self, indices: Iterable[int]) -> Iterator[members.Member]:
        """The members of these indices, drawn anew: stateless."""
        recipe = self.recipe_object()
        for index in indices:
            yield members.draw_member(
                recipe, zoo_seed=self.seed, index=index, dataset=self.dataset, arch=self.family
            )

    def groups(self) -> Iterator[tuple[int, ...]]:
        """All training groups in the order of the shards."""
        return (group for spec in self.shards() for group in spec.groups)

    def shards(self) -> Iterator[ShardSpec]:
        """All shards in order, one block of members in memory at a time."""
        number = self.first_part
        for block in blocks(self.first, self.stop):
            for spec in self.block_shards(block, number):
                yield spec
                number = spec.number + 1

    def block_shards(self, block: Iterable[int], number: int) -> Iterator[ShardSpec]:
        """The shards of one block of members (`grouping.blocks`), numbered from `number`."""
        return self._shards_of_block(self.fractions(block), number)

    def costs(self, specs: Iterable[ShardSpec]) -> Iterator[tuple[ShardSpec, tuple[Cost, ...]]]:
        """Each shard with what its members add to it, by estimate; some are looked at together."""
        rest = iter(specs)
        while together := tuple(islice(rest, TOGETHER)):
            fractions = self.fractions(index for spec in together for index in spec.members)
            for spec in together:
                yield spec, tuple(member_cost(self, fractions[index]) for index in spec.members)

    def fractions(self, indices: Iterable[int]) -> dict[int, float]:
        """The share of the training images of each of these members, by its index.

        It decides how many steps a member's epoch has, and so which members train together.
        """
        if self.origin is not None:
            return dict.fromkeys(indices, 1.0)
        listed = list(indices)
        drawn = members.draw_column(
            self.recipe_object(), TRAIN_FRACTION, zoo_seed=self.seed, indices=listed
        )
        found = (1.0 if value is None else float(value) for value in drawn)
        return dict(zip(listed, found, strict=True))

    def shard_count(self) -> int:
        """How many shards the plan has."""
        return sum(1 for _ in self.shards())

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `plan.json` holds them."""
        # Only where there is one: the plans of zoos that were made here stay as they were.
        origin = {} if self.origin is None else {"origin": self.origin.to_json()}
        return {
            **origin,
            "format": FORMAT_VERSION,
            "number": self.number,
            "previous": self.previous,
            "kind": self.kind,
            "recipe": dict(self.recipe),
            "recipe_hash": json_hash(self.recipe),
            "data": dict(self.data),
            "architecture": {
                "content_id": self.architecture,
                "family": self.family,
                "parameters": self.parameters,
            },
            "seed": self.seed,
            "members": {"first": self.first, "stop": self.stop},
            "epochs": self.epochs,
            "checkpoints": list(self.checkpoints),
            "shares": dict(zip(("train", "val", "test"), self.shares, strict=True)),
            "config_columns": dict(self.config_columns),
            "member_core_seconds": self.member_core_seconds,
            "platform": self.platform.to_json(),
            "groups": {"size": self.group_size},
            "shards": {"first_part": self.first_part, "rule": self.shard_rule.to_json()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """The inverse of `to_json`.

        Raises:
            ShardError: another format version, or fields missing.
        """
        check_format(value)
        try:
            return checked(_from_json(value))
        except MISUSED as error:
            raise ShardError(f"the plan lacks or misuses a field: {error}") from error

    def _shards_of_block(self, fractions: Mapping[int, float], number: int) -> Iterator[ShardSpec]:
        def cost(fraction: float) -> Cost:
            return member_cost(self, fraction)

        limit = partial(group_limit, group_size=self.group_size, rule=self.shard_rule)
        groups = groups_of_block(fractions, limit=lambda kind: limit(cost(kind)))
        return shards_of_block(
            groups, cost=lambda i: cost(fractions[i]), rule=self.shard_rule, first_number=number
        )


def check_format(value: Any, *, known: Sequence[int] = (FORMAT_VERSION,)) -> None:
    """Whether a file's value is of a format that is read here (ShardError)."""
    found = value.get("format") if isinstance(value, Mapping) else None
    if found not in known or isinstance(found, bool):
        reads = " and ".join(map(str, known))
        raise ShardError(f"zoo format {found!r}; this version of zoogen reads {reads}")


def member_cost(plan: Plan, fraction: float) -> Cost:
    """What a member that trains on this fraction of the images adds to its shard, by estimate."""
    rows = len(plan.checkpoints) if plan.kind == "images" else 1
    return Cost(
        bytes=rows * (4 * plan.parameters + ROW_BYTES),
        core_seconds=plan.member_core_seconds * fraction,
    )


def _not_drawn(origin: Origin) -> str:
    return (
        f"the zoo was converted (format {origin.format}), its networks were neither drawn nor "
        "trained here, so there is no recipe to draw or train them anew"
    )


def json_hash(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plan_name(number: int) -> str:
    """`plan.json` for the first plan, `plan-0001.json` and so on for extensions."""
    return "plan.json" if number == 0 else f"plan-{number:04d}.json"


def _from_json(value: Mapping[str, Any]) -> Plan:
    architecture, shares = value["architecture"], value["shares"]
    for part in ("data", "recipe"):
        if not isinstance(value[part]["name"], str):
            raise TypeError(f"{part}.name is text, got {value[part]['name']!r}")
    return Plan(
        kind=value["kind"],
        recipe=value["recipe"],
        data=value["data"],
        architecture=architecture["content_id"],
        family=architecture["family"],
        parameters=architecture["parameters"],
        seed=value["seed"],
        first=value["members"]["first"],
        stop=value["members"]["stop"],
        epochs=value["epochs"],
        checkpoints=tuple(value["checkpoints"]),
        shares=(shares["train"], shares["val"], shares["test"]),
        config_columns=value["config_columns"],
        member_core_seconds=value["member_core_seconds"],
        group_size=value["groups"]["size"],
        shard_rule=ShardRule(**value["shards"]["rule"]),
        platform=Platform.from_json(value["platform"]),
        number=value["number"],
        first_part=value["shards"]["first_part"],
        previous=value["previous"],
        origin=Origin.from_json(value["origin"]) if "origin" in value else None,
    )
