"""A batch laid out: every chunk, tensor and layer of every network, and what belongs to what.

Only descriptions are walked in Python, never networks: those of one architecture differ by
constants. The places of the encodings follow the paper: layer type and level within a chunk
(Eqs. 3, 4), level within a tensor (Eq. 7), level of a layer among layers (Eq. 9). Ours, each a
setting: the chunk's place and kernel position among a tensor's chunks, the role among the tensors
of a layer (two of one role, as in attention, are told apart by their order).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import torch
from jaxtyping import Int
from torch import Tensor

from sne.plan import CODES, Grouping
from sne.tokens import ROLES, Tokens, layer_type_index, tokenize
from sne.zoo import Architecture, TensorSpec

Members: TypeAlias = Sequence[tuple[Architecture, int]]
"""Architectures, and how many networks of each."""
NOTHING = 0
"""Row of the code table without any code."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Owners:
    """Sets of one stage: which rows of the code table go with them."""

    inner: Int[Tensor, " m"]
    """Added within the set."""
    outer: Int[Tensor, " m"]
    """Added to what comes out, an element of the next set."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layout:
    """Networks in order, each with its chunks, tensors and layers in order."""

    codes: Int[Tensor, "u codes"]
    """Columns as in CODES; -1 where a row has no such code."""
    tokens: Tokens
    """`start` and `tensor` are counted over the whole batch."""
    chunks: Owners
    tensors: Owners
    layers: Owners
    layer: Int[Tensor, " tensors"]
    """The layer of each tensor."""
    network: Int[Tensor, " layers"]
    """The network of each layer."""
    chunk_network: Int[Tensor, " chunks"]
    networks: int


def lay_out(members: Members, grouping: Grouping) -> Layout:
    """Lay out so many networks of each architecture, in that order."""
    parts: list[Layout] = []
    done = _Done()
    for architecture, count in members:
        one = _one(architecture, grouping)
        parts.append(_copies(one, count, done))
        done = done.after(architecture, one, count)
    owners = {
        name: Owners(
            inner=torch.cat([getattr(part, name).inner for part in parts]),
            outer=torch.cat([getattr(part, name).outer for part in parts]),
        )
        for name in ("chunks", "tensors", "layers")
    }
    tokens = {
        f.name: torch.cat([getattr(part.tokens, f.name) for part in parts]) for f in fields(Tokens)
    }
    return Layout(
        codes=torch.cat([code_rows(1), *(part.codes for part in parts)]),
        tokens=Tokens(**tokens),
        layer=torch.cat([part.layer for part in parts]),
        network=torch.cat([part.network for part in parts]),
        chunk_network=torch.cat([part.chunk_network for part in parts]),
        networks=done.networks,
        **owners,
    )


def code_rows(count: int, **columns: Int[Tensor, " u"]) -> Int[Tensor, "u codes"]:
    """Rows of the code table; columns that are not given hold no code."""
    none = torch.full((count,), -1)
    return torch.stack([columns.get(name, none) for name in CODES], dim=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Done:
    """What the architectures before take up."""

    weights: int = 0
    codes: int = 1
    tensors: int = 0
    layers: int = 0
    networks: int = 0

    def after(self, architecture: Architecture, one: Layout, count: int) -> "_Done":
        """With `count` networks more."""
        return _Done(
            weights=self.weights + count * architecture.parameters,
            codes=self.codes + len(one.codes),
            tensors=self.tensors + count * len(one.layer),
            layers=self.layers + count * len(one.network),
            networks=self.networks + count,
        )


def _one(architecture: Architecture, grouping: Grouping) -> Layout:
    """One network; its code table starts with its own first row."""
    tokens = tokenize(architecture, width=grouping.chunk, chunking=grouping.chunking)
    owned = [tensor for tensor in architecture.tensors if tensor.size]
    tensor = tokens.tensor.unique(return_inverse=True)[1]
    names = list(dict.fromkeys(t.layer for t in owned))
    layer = [names.index(t.layer) for t in owned]
    level = torch.tensor([t.level for t in owned])
    layer_type = torch.tensor([layer_type_index(t.layer_type) for t in owned])
    role = torch.tensor(list(_roles(owned)))
    n, m = len(tokens), len(owned)
    return Layout(
        codes=torch.cat(
            [
                code_rows(m, layer_type=layer_type, level=level, role=role),
                code_rows(m, level=level),
                code_rows(m, role=role),
                code_rows(n, place=tokens.place, row=tokens.row, column=tokens.column),
            ]
        ),
        tokens=replace(tokens, tensor=tensor),
        chunks=Owners(inner=tensor, outer=3 * m + torch.arange(n)),
        tensors=Owners(inner=m + torch.arange(m), outer=2 * m + torch.arange(m)),
        layers=Owners(
            inner=torch.full((len(names),), -1),
            outer=m + torch.tensor([layer.index(number) for number in range(len(names))]),
        ),
        layer=torch.tensor(layer),
        network=torch.zeros(len(names), dtype=torch.int64),
        chunk_network=torch.zeros(n, dtype=torch.int64),
        networks=1,
    )


def _copies(one: Layout, count: int, done: _Done) -> Layout:
    """The layout of `count` networks behind those that are done."""
    number = torch.arange(count)[:, None]

    def copies(values: Tensor, first: int, step: int) -> Tensor:
        return (values + (first + step * number)).reshape(-1)

    def owners(own: Owners) -> Owners:
        inner, outer = (
            torch.where(rows < 0, NOTHING, rows + done.codes).repeat(count)
            for rows in (own.inner, own.outer)
        )
        return Owners(inner=inner, outer=outer)

    same = {f.name: getattr(one.tokens, f.name).repeat(count) for f in fields(Tokens)}
    weights = int(one.tokens.length.sum())
    same["start"] = copies(one.tokens.start, done.weights, weights)
    same["tensor"] = copies(one.tokens.tensor, done.tensors, len(one.layer))
    return Layout(
        codes=one.codes,
        tokens=Tokens(**same),
        chunks=owners(one.chunks),
        tensors=owners(one.tensors),
        layers=owners(one.layers),
        layer=copies(one.layer, done.layers, len(one.network)),
        network=copies(one.network, done.networks, 1),
        chunk_network=copies(one.chunk_network, done.networks, 1),
        networks=count,
    )


def _roles(tensors: Sequence[TensorSpec]) -> list[int]:
    """Each tensor's role; a further tensor of one role in one layer has a code of its own."""
    seen: Counter[tuple[str, str]] = Counter()
    codes: list[int] = []
    for tensor in tensors:
        key = (tensor.layer, tensor.role)
        codes.append(ROLES.index(tensor.role) + len(ROLES) * seen[key])
        seen[key] += 1
    return codes
