"""Zoos whose members have an architecture each: which one a member has, from the plan alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from zoogen.archs import arch_family
from zoogen.archs.family import VariedFamily
from zoogen.description import Architecture
from zoogen.images.catalog import CLASSES
from zoogen.members import Member
from zoogen.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Varied:
    """What stands for the architecture where each member has its own."""

    example: Architecture
    """Of the same family."""
    of: Callable[[Member], Architecture]


SAMPLE = 64
"""Members whose mean length of weights stands for all in estimates."""


def varies(arch: str) -> bool:
    """Whether the members of this family's zoos have architectures of their own."""
    return isinstance(arch_family(arch), VariedFamily)


def member_architecture(
    arch: str, space: Mapping[str, Any], input_shape: tuple[int, ...], member: Member
) -> Architecture:
    """What the member is: drawn from its own stream.

    Args:
        arch: a varied family.
        space: what it draws from, the recipe's options.
        input_shape: of the images.
        member: whose stream.
    """
    family = arch_family(arch)
    assert isinstance(family, VariedFamily)
    options = family.draw(member.stream("arch"), space)
    return family.describe(input_shape=input_shape, classes=CLASSES, **options)


def architecture_of(plan: Plan, member: Member) -> Architecture:
    """The member's architecture in a plan whose members have one each."""
    shape = (plan.data["channels"], plan.data["side"], plan.data["side"])
    return member_architecture(plan.family, plan.recipe["options"], shape, member)


def arch_ids(plan: Plan, members: Iterable[Member]) -> dict[int, str]:
    """The content id of each member's architecture, by its index."""
    if plan.architecture is not None:
        return {m.index: plan.architecture for m in members}
    return {m.index: architecture_of(plan, m).content_id for m in members}


def all_architectures(plans: Iterable[Plan]) -> Iterator[Architecture]:
    """Those of all members, each once."""
    seen: set[str] = set()
    for plan in plans:
        for architecture in map(partial(architecture_of, plan), plan.draw(_indices(plan))):
            if architecture.content_id not in seen:
                seen.add(architecture.content_id)
                yield architecture


def mean_parameters(architectures: Iterable[Architecture]) -> int:
    """The mean length of the first members' weights, for estimates."""
    lengths = [a.parameters for a in islice(architectures, SAMPLE)]
    return round(sum(lengths) / len(lengths))


def _indices(plan: Plan) -> range:
    return range(plan.first, plan.stop)
