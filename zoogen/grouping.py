"""Which members train together and which share a file: pure rules, the same everywhere.

Members are taken in blocks of 1,024 consecutive indices. Within a block, members of one kind
(equally many steps in an epoch) form groups in index order, and whole groups form shards. A shard
is therefore a set of members, not a range, and depends on nothing but the plan.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, TypeVar

BLOCK = 1024
"""Members in a block: groups and shards never cross a multiple of it."""
SIGNAL_SHARD = 128
"""Most members in a shard of INRs, which are small and quick; of classifiers 32, or one group."""

Group: TypeAlias = tuple[int, ...]
Kind = TypeVar("Kind", bound=Hashable)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardRule:
    """Where a shard is closed: at whichever limit comes first."""

    members: int = 32
    bytes: int = 64_000_000
    """Estimated size of the file."""
    core_seconds: float = 600.0
    """Ten minutes of one core by the recipe's estimate: what a killed worker can lose."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one member adds to its shard, by estimate."""

    bytes: int
    core_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardSpec:
    """One shard before it is made: its number and its training groups."""

    number: int
    groups: tuple[Group, ...]

    @property
    def name(self) -> str:
        """The file's name in the zoo."""
        return f"shards/part-{self.number:05d}.parquet"

    @property
    def members(self) -> tuple[int, ...]:
        """All members of the shard, ascending."""
        return tuple(sorted(index for group in self.groups for index in group))


def blocks(first: int, stop: int) -> Iterator[range]:
    """The members first … stop-1, cut at every multiple of 1,024."""
    while first < stop:
        end = min(stop, (first // BLOCK + 1) * BLOCK)
        yield range(first, end)
        first = end


def groups_of_block(
    kinds: Mapping[int, Kind], *, limit: Callable[[Kind], int]
) -> tuple[Group, ...]:
    """Cut the members of one block into groups of one kind.

    Args:
        kinds: the kind of each member, by ascending index.
        limit: the largest group of a kind.

    Returns:
        The groups, ordered by their first member.
    """
    by_kind: dict[Kind, list[int]] = {}
    for index, kind in kinds.items():
        by_kind.setdefault(kind, []).append(index)
    groups = [
        tuple(members[at : at + limit(kind)])
        for kind, members in by_kind.items()
        for at in range(0, len(members), limit(kind))
    ]
    return tuple(sorted(groups))


def group_limit(cost: Cost, *, group_size: int, rule: ShardRule) -> int:
    """The engine's group size, or fewer if such a group alone would pass a limit of the shard."""
    by_bytes = rule.bytes // max(cost.bytes, 1)
    by_time = int(rule.core_seconds / cost.core_seconds) if cost.core_seconds > 0 else group_size
    return max(1, min(group_size, rule.members, by_bytes, by_time))


def shards_of_block(
    groups: Sequence[Group], *, cost: Callable[[int], Cost], rule: ShardRule, first_number: int
) -> Iterator[ShardSpec]:
    """Whole groups in order; a shard is closed before the next group would pass a limit."""
    number, open_groups = first_number, list[Group]()
    members, size, seconds = 0, 0, 0.0
    for group in groups:
        costs = [cost(index) for index in group]
        more_bytes, more_seconds = sum(c.bytes for c in costs), sum(c.core_seconds for c in costs)
        if open_groups and (
            members + len(group) > rule.members
            or size + more_bytes > rule.bytes
            or seconds + more_seconds > rule.core_seconds
        ):
            yield ShardSpec(number=number, groups=tuple(open_groups))
            number, open_groups, members, size, seconds = number + 1, [], 0, 0, 0.0
        open_groups.append(group)
        members, size, seconds = members + len(group), size + more_bytes, seconds + more_seconds
    if open_groups:
        yield ShardSpec(number=number, groups=tuple(open_groups))
