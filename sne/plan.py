"""A planned batch as a value: what is computed in which call, as integers only.

`batching` makes plans, `encoder` follows them. A stage is a few buckets, each computed for all
networks at once; the rows that it gives are its buckets' rows in turn, and the next stage gathers
its sets from them. Work and memory follow from `shapes`, before a weight is touched.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeAlias

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sne.tokens import Chunking

CODES = ("layer_type", "level", "role", "place", "row", "column")
"""Columns of the code table; -1 where a row has no such code."""
Shapes: TypeAlias = dict[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grouping:
    """What a plan depends on besides the networks."""

    chunk: int = 32
    chunking: Chunking = "flat"
    layer_group: int = 4096
    """From so many elements on a set is encoded in groups, whose encodings form a second set."""
    hierarchical: bool = True
    """False: the set of all chunks of a network, without tensors and layers."""
    width: int = 64
    """Of the encoder: it decides how much padding a call is worth."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Chunks:
    """A bucket of the first stage: chunks of nearly equal length."""

    start: Int[Tensor, " r"]
    """In the batch's weights, laid end to end."""
    stride: Int[Tensor, " r"]
    length: Int[Tensor, " r"]
    layer_type: Int[Tensor, " r"]
    role: Int[Tensor, " r"]
    inner: Int[Tensor, " r"] | None
    """Row of the code table that is added within the set; None: nothing is."""
    outer: Int[Tensor, " r"] | None
    """Row of the code table that is added to what comes out, an element of the next set."""
    size: int
    """Entries of each, padding included."""
    padded: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sets:
    """A bucket of a later stage: sets of nearly equal numbers of elements."""

    members: Int[Tensor, "r n"]
    """Rows of what the stage before gave; any row where the mask is False."""
    mask: Bool[Tensor, "r n"] | None
    """None: nothing is padding."""
    inner: Int[Tensor, " r"] | None
    outer: Int[Tensor, " r"] | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plan:
    """All stages of a batch."""

    codes: Int[Tensor, "u codes"]
    """Columns as in CODES."""
    greatest: tuple[int, ...]
    """In each column."""
    chunks: tuple[Chunks, ...]
    tensors: tuple[Sets, ...]
    """Whole tensors, and groups of large ones; none in a plan that is not hierarchical."""
    layers: tuple[Sets, ...]
    networks: tuple[Sets, ...]
    joins: tuple[Sets, ...]
    """Groups to the tensors (or networks) that they are of; its rows follow those of the groups."""
    order: Int[Tensor, " b"]
    """For each network of the batch its row in what the last stage gave."""

    def to(self, device: torch.device) -> "Plan":
        """The same plan elsewhere."""
        return _moved(self, device)

    @property
    def shapes(self) -> Shapes:
        """(sets, elements of each with padding) of all buckets, by stage."""
        stages = {name: getattr(self, name) for name in ("tensors", "layers", "networks", "joins")}
        sets = {
            k: tuple((len(s.members), s.members.shape[1]) for s in v) for k, v in stages.items()
        }
        return {"chunks": tuple((len(c.start), c.size) for c in self.chunks), **sets}

    @property
    def padding(self) -> float:
        """Share of the chunks' entries that are padding."""
        real = sum(int(c.length.sum()) for c in self.chunks)
        return 1 - real / sum(rows * size for rows, size in self.shapes["chunks"])


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple):
        return tuple(_moved(v, device) for v in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: _moved(getattr(value, f.name), device) for f in fields(value)}
        )
    return value
