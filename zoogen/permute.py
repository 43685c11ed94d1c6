"""The symmetries that a description declares: draw one, and apply it to flat weight vectors.

A symmetry reorders every permutable space and, if asked, flips signs where neurons feed an odd
function. All it needs is the description, so it holds for networks from anywhere. It becomes one
gather and one product on the flat vector, in numpy here and in any array library elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from zoogen.description import Architecture, Axis, Space, TensorSpec

Gather: TypeAlias = tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]
"""For each new entry the old entry it holds, and the sign it gets."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Symmetry:
    """One order, and maybe one row of signs, for each space; a space that is missing stays.

    A space inside another (channels in a head) has one row for each new index of the outer one:
    the shape is (outer size, size), otherwise (size,).
    """

    orders: Mapping[str, Int[np.ndarray, "..."]]
    """New index i is old index orders[i]."""
    signs: Mapping[str, Int[np.ndarray, "..."]]
    """+1 or -1 for each new index."""


def draw_symmetry(
    architecture: Architecture, rng: np.random.Generator, *, flip_signs: bool = False
) -> Symmetry:
    """Uniformly, one permutation for each permutable space.

    Args:
        architecture: whose spaces.
        rng: the only source of chance; spaces are drawn in the description's order.
        flip_signs: also a fair sign for each neuron of the spaces that allow it.
    """
    shapes = {s.name: _shape(architecture, s) for s in architecture.spaces}
    orders = {
        s.name: rng.permuted(np.broadcast_to(np.arange(s.size), shapes[s.name]), axis=-1)
        for s in architecture.spaces
        if s.permutable
    }
    signs = {
        s.name: rng.choice(np.array([-1, 1]), size=shapes[s.name])
        for s in architecture.spaces
        if s.sign_flips and flip_signs
    }
    return Symmetry(orders=orders, signs=signs)


def permute(
    architecture: Architecture, symmetry: Symmetry, weights: Float[np.ndarray, "*networks p"]
) -> Float[np.ndarray, "*networks p"]:
    """The weights of the same functions with their neurons reordered; dtype and input are kept."""
    index, signs = gather(architecture, symmetry)
    return weights[..., index] * signs.astype(weights.dtype)


def gather(architecture: Architecture, symmetry: Symmetry) -> Gather:
    """The symmetry on the whole flat vector: `new = old[index] * signs`."""
    parts = [_tensor(tensor, architecture, symmetry) for tensor in architecture.tensors]
    index = [tensor.offset + p[0] for tensor, p in zip(architecture.tensors, parts, strict=True)]
    return np.concatenate(index), np.concatenate([p[1] for p in parts])


def _shape(architecture: Architecture, space: Space) -> tuple[int, ...]:
    if space.within is None:
        return (space.size,)
    return (architecture.space(space.within).size, space.size)


def _tensor(tensor: TensorSpec, architecture: Architecture, symmetry: Symmetry) -> Gather:
    """Row-major over the axes; a tensor without axes has one entry."""
    index, signs = np.zeros(1, np.int64), np.ones(1, np.int64)
    for axis in tensor.axes:
        there, flips = _axis(axis, architecture, symmetry)
        index = np.add.outer(index * axis.size, there).reshape(-1)
        signs = np.multiply.outer(signs, flips).reshape(-1)
    return index, signs


def _axis(axis: Axis, architecture: Architecture, symmetry: Symmetry) -> Gather:
    if axis.blocks:
        parts = [_axis(block, architecture, symmetry) for block in axis.blocks]
        starts = np.cumsum([0, *(block.size for block in axis.blocks[:-1])])
        index = [start + there for start, (there, _) in zip(starts, parts, strict=True)]
        return np.concatenate(index), np.concatenate([flips for _, flips in parts])
    return _product(axis, architecture, symmetry)


def _product(axis: Axis, architecture: Architecture, symmetry: Symmetry) -> Gather:
    spaces = {f.space: architecture.space(f.space) for f in axis.factors}
    along = np.arange(axis.size)
    at = {f.space: along // f.stride % spaces[f.space].size for f in axis.factors}
    index, signs = np.zeros(axis.size, np.int64), np.ones(axis.size, np.int64)
    for factor in axis.factors:
        outer = spaces[factor.space].within
        here = (at[factor.space],) if outer is None else (at[outer], at[factor.space])
        order = symmetry.orders.get(factor.space)
        index += factor.stride * (at[factor.space] if order is None else order[here])
        if factor.space in symmetry.signs:
            signs *= symmetry.signs[factor.space][here]
    return index, signs
