"""Plan a batch of any architectures from their descriptions and the number of networks of each.

Chunks form tensors (the weights or the biases of a layer), these layers, these networks. A set of
very many chunks is encoded in equal groups, whose encodings form a second set. `layout` says what
belongs to what and which encoding goes where, `buckets` what is computed together.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from jaxtyping import Int
from torch import Tensor

from sne.buckets import padded_lengths
from sne.errors import SettingError
from sne.layout import NOTHING, Layout, Members, Owners, code_rows, lay_out
from sne.plan import Chunks, Grouping, Plan, Sets

KEPT = 64
"""Plans that a planner keeps."""
Rows: TypeAlias = Int[Tensor, " m"]
"""For each set the row at which it comes out of its stage."""


class Planner:
    """Plans by (architectures, numbers of networks, device), kept for the next batch like it."""

    def __init__(self, grouping: Grouping) -> None:
        self.grouping = grouping
        # Descriptions are told apart by identity, and kept so that no id is given away again.
        self._kept: OrderedDict[tuple[object, ...], tuple[Members, Plan]] = OrderedDict()
        # Plans are integers that a compiled graph cannot hold.
        self._outside_graphs: Any = torch.compiler.disable(self._planned)

    def __call__(self, members: Members, device: torch.device) -> Plan:
        """The plan for so many networks of each architecture, in that order."""
        return self._outside_graphs(members, device)

    def _planned(self, members: Members, device: torch.device) -> Plan:
        key = (device, *((id(architecture), count) for architecture, count in members))
        if key not in self._kept:
            self._kept[key] = (members, plan_batch(members, self.grouping).to(device))
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key][1]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Items:
    """Elements of one stage's sets, over the whole batch."""

    parent: Int[Tensor, " n"]
    """The set of each."""
    rows: Int[Tensor, " n"]
    """Where the stage before gives it."""


def plan_batch(members: Members, grouping: Grouping) -> Plan:
    """Plan a batch on the CPU; only integers are allocated.

    Raises:
        SettingError: there is no network, or one without weights.
    """
    if not members or not all(a.parameters and count > 0 for a, count in members):
        raise SettingError("a batch holds at least one network, and each network has weights")
    layout = lay_out(members, grouping)
    chunks, rows = _chunks(layout, grouping)
    nothing = torch.full((layout.networks,), NOTHING)
    whole = Owners(inner=nothing, outer=nothing)
    if not grouping.hierarchical:
        items = _Items(parent=layout.chunk_network, rows=rows)
        groups = _grouped(items, whole, grouping, codes=len(layout.codes))
        stages = {"tensors": (), "layers": (), "networks": groups.sets, "order": groups.rows}
    else:
        items = _Items(parent=layout.tokens.tensor, rows=rows)
        groups = _grouped(items, layout.tensors, grouping, codes=len(layout.codes))
        layers, rows = _sets(_Items(parent=layout.layer, rows=groups.rows), layout.layers, grouping)
        networks, order = _sets(_Items(parent=layout.network, rows=rows), whole, grouping)
        stages = {"tensors": groups.sets, "layers": layers, "networks": networks, "order": order}
    codes = torch.cat([layout.codes, groups.codes])
    greatest = tuple(codes.amax(0).tolist())
    return Plan(codes=codes, greatest=greatest, chunks=chunks, joins=groups.joins, **stages)


def _chunks(layout: Layout, grouping: Grouping) -> tuple[tuple[Chunks, ...], Rows]:
    """The first stage's buckets, and the row at which each chunk comes out."""
    tokens = layout.tokens
    padded = padded_lengths(tokens.length, width=grouping.width)
    rows = torch.empty_like(padded)
    buckets: list[Chunks] = []
    first = 0
    for size in padded.unique().tolist():
        here = (padded == size).nonzero()[:, 0]
        rows[here] = torch.arange(first, first + len(here))
        first += len(here)
        buckets.append(
            Chunks(
                start=tokens.start[here],
                stride=tokens.stride[here],
                length=tokens.length[here],
                layer_type=tokens.layer_type[here],
                role=tokens.role[here],
                inner=layout.chunks.inner[here],
                outer=layout.chunks.outer[here],
                size=size,
                padded=bool((tokens.length[here] < size).any()),
            )
        )
    return tuple(buckets), rows


def _sets(items: _Items, owners: Owners, grouping: Grouping) -> tuple[tuple[Sets, ...], Rows]:
    """A later stage's buckets, and the row at which each set comes out."""
    order = items.parent.argsort(stable=True)
    counts = items.parent.bincount(minlength=len(owners.inner))
    starts = counts.cumsum(0) - counts
    padded = padded_lengths(counts, width=grouping.width)
    rows = torch.empty_like(counts)
    buckets: list[Sets] = []
    first = 0
    for size in padded.unique().tolist():
        here = (padded == size).nonzero()[:, 0]
        rows[here] = torch.arange(first, first + len(here))
        first += len(here)
        along = torch.arange(size)
        mask = along < counts[here, None]
        index = starts[here, None] + torch.where(mask, along, 0)
        buckets.append(
            Sets(
                members=items.rows[order[index]],
                mask=None if mask.all() else mask,
                inner=_used(owners.inner[here]),
                outer=_used(owners.outer[here]),
            )
        )
    return tuple(buckets), rows


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Groups:
    """A stage whose large sets are encoded in groups."""

    sets: tuple[Sets, ...]
    """Whole sets and groups."""
    joins: tuple[Sets, ...]
    """Groups to sets; the rows follow those of `sets`."""
    rows: Rows
    codes: Int[Tensor, "u codes"]
    """Of the groups, which take the chunks' place in the second set."""


def _grouped(items: _Items, owners: Owners, grouping: Grouping, *, codes: int) -> _Groups:
    """Sets of chunks (those of one set in a row), where large ones may be split.

    Args:
        codes: rows of the code table so far.
    """
    counts = items.parent.bincount(minlength=len(owners.inner))
    size = -(-counts // (counts // grouping.layer_group + 1))
    groups = -(-counts // size)
    starts, first = counts.cumsum(0) - counts, groups.cumsum(0) - groups
    ordinal = torch.arange(len(items.parent)) - starts[items.parent]
    owner = torch.arange(len(counts)).repeat_interleave(groups)
    split = groups > 1
    place = codes + torch.arange(len(owner)) - first[owner]
    sets, rows = _sets(
        _Items(parent=first[items.parent] + ordinal // size[items.parent], rows=items.rows),
        Owners(
            inner=owners.inner[owner],
            outer=torch.where(split[owner], place, owners.outer[owner]),
        ),
        grouping,
    )
    if not split.any():
        return _Groups(sets=sets, joins=(), rows=rows[first], codes=code_rows(0))
    grouped = split[owner]
    joins, joined_rows = _sets(
        _Items(parent=(split.cumsum(0) - 1)[owner[grouped]], rows=rows[grouped]),
        Owners(inner=owners.inner[split], outer=owners.outer[split]),
        grouping,
    )
    result = rows[first]
    result[split] = len(rows) + joined_rows
    numbers = torch.arange(int(groups.max()))
    group_codes = code_rows(len(numbers), place=numbers)
    return _Groups(sets=sets, joins=joins, rows=result, codes=group_codes)


def _used(codes: Int[Tensor, " r"]) -> Int[Tensor, " r"] | None:
    return codes if (codes != NOTHING).any() else None
