"""Draw symmetries that a description declares and apply them to many networks on their device.

For each network one permutation of every permutable space, and if asked one sign for each neuron of
the spaces that feed an odd function: the function stays what it was. Each becomes one gather and
one product; networks are never walked in Python. The control is a permutation of one axis alone,
which changes the function: a model that does not see it either is blind to order, not invariant.

Source: Andreis et al. 2024 (arXiv:2305.16625), section 3.6 and Appendix C.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sne.errors import SettingError
from sne.model import Batch, Group
from sne.zoo import Architecture, Axis, Space

Place: TypeAlias = tuple[int, int]
"""(tensor, axis), counted as in the description."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Move:
    """For each network, the old entry that each new one holds, and its sign."""

    index: Int[Tensor, "b p"]
    signs: Float[Tensor, "b p"]

    def __call__(self, weights: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
        """The moved weights; the input is kept."""
        return weights.gather(1, self.index) * self.signs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Drawn:
    """Orders and signs of spaces, one for each network; a space that is missing stays as it is.

    A space within another (channels in a head) has a row for each new index of the outer one.
    """

    orders: Mapping[str, Int[Tensor, "b ..."]] = field(default_factory=dict[str, Tensor])
    """New index i is old index orders[i]."""
    signs: Mapping[str, Float[Tensor, "b ..."]] = field(default_factory=dict[str, Tensor])

    def to(self, device: torch.device) -> "Drawn":
        """The same elsewhere."""
        orders = {name: order.to(device) for name, order in self.orders.items()}
        return Drawn(orders=orders, signs={name: s.to(device) for name, s in self.signs.items()})


def has_symmetry(architecture: Architecture) -> bool:
    """Whether anything can be drawn; descriptions of imported networks may declare nothing."""
    return any(space.permutable and space.size > 1 for space in architecture.spaces)


def draw(
    architecture: Architecture, count: int, *, generator: torch.Generator, flip_signs: bool = False
) -> Drawn:
    """A uniform permutation of each permutable space for each of `count` networks.

    Args:
        generator: the only source of chance; what is drawn lies on its device.
        flip_signs: also a fair sign for every neuron of the spaces that allow it.
    """
    device = generator.device
    shapes = {s.name: (count, *_shape(architecture, s)) for s in architecture.spaces}
    orders = {
        s.name: torch.rand(shapes[s.name], generator=generator, device=device).argsort(-1)
        for s in architecture.spaces
        if s.permutable
    }
    signs = {
        s.name: torch.randint(2, shapes[s.name], generator=generator, device=device) * 2.0 - 1
        for s in architecture.spaces
        if s.sign_flips and flip_signs
    }
    return Drawn(orders=orders, signs=signs)


def functional_move(
    architecture: Architecture, drawn: Drawn, *, count: int, device: torch.device
) -> Move:
    """What was drawn, on every axis of the flat weights of `count` networks."""
    drawn = drawn.to(device)
    return _move(architecture, lambda _: drawn, count=count, device=device)


def control_move(
    architecture: Architecture, drawn: Drawn, *, count: int, device: torch.device
) -> Move:
    """What was drawn, on one axis alone: of the largest tensor whose space another axis shares.

    Raises:
        SettingError: the architecture has no such axis.
    """
    found = max(_shared(architecture), default=None)
    if found is None:
        raise SettingError(f"{architecture.family} declares no permutable space that axes share")
    _, place, space = found
    alone, nothing = Drawn(orders={space: drawn.orders[space]}).to(device), Drawn()
    at = {place: alone}
    return _move(architecture, lambda p: at.get(p, nothing), count=count, device=device)


def move_batch(
    batch: Batch,
    *,
    generator: torch.Generator,
    copies: int = 1,
    flip_signs: bool = False,
    functional: bool = True,
) -> Batch:
    """Copies of a batch, one after another, each network of each moved by a draw of its own.

    Args:
        functional: False moves one axis alone, the control.
    """
    moved: list[Group] = []
    for group in [*batch] * copies:
        architecture, count = group.architecture, len(group.weights)
        drawn = draw(architecture, count, generator=generator, flip_signs=flip_signs)
        make = functional_move if functional else control_move
        move = make(architecture, drawn, count=count, device=group.weights.device)
        moved.append(group.with_weights(move(group.weights)))
    return moved


def _shape(architecture: Architecture, space: Space) -> tuple[int, ...]:
    if space.within is None:
        return (space.size,)
    return (architecture.space(space.within).size, space.size)


def _shared(architecture: Architecture) -> Iterator[tuple[int, Place, str]]:
    """(size of the tensor, place, space) of each axis whose permutable space others share."""
    uses = [
        (tensor.size, (number, axis_number), factor.space)
        for number, tensor in enumerate(architecture.tensors)
        for axis_number, axis in enumerate(tensor.axes)
        for part in axis.blocks or (axis,)
        for factor in part.factors
    ]
    times = Counter(space for _, _, space in uses)
    movable = {s.name for s in architecture.spaces if s.permutable and s.size > 1}
    return (use for use in uses if use[2] in movable and times[use[2]] > 1)


def _move(
    architecture: Architecture,
    drawn_at: Callable[[Place], Drawn],
    *,
    count: int,
    device: torch.device,
) -> Move:
    spaces = {space.name: space for space in architecture.spaces}
    index: list[Tensor] = []
    signs: list[Tensor] = []
    for number, tensor in enumerate(architecture.tensors):
        at = torch.full((1, 1), 0, device=device)
        flips = torch.ones(1, 1, device=device)
        for axis_number, axis in enumerate(tensor.axes):
            drawn = drawn_at((number, axis_number))
            there, sign = _axis(axis, spaces, drawn, device=device)
            at = (at[:, :, None] * axis.size + there[:, None, :]).flatten(1)
            flips = (flips[:, :, None] * sign[:, None, :]).flatten(1)
        index.append((tensor.offset + at).expand(count, -1))
        signs.append(flips.expand(count, -1))
    return Move(index=torch.cat(index, dim=1), signs=torch.cat(signs, dim=1))


def _axis(
    axis: Axis, spaces: Mapping[str, Space], drawn: Drawn, *, device: torch.device
) -> tuple[Int[Tensor, "_ size"], Float[Tensor, "_ size"]]:
    """Where each new index of the axis comes from, and its sign; one row, or one a network."""
    if not axis.blocks:
        return _product(axis, spaces, drawn, device=device)
    parts = [_axis(block, spaces, drawn, device=device) for block in axis.blocks]
    rows = max(max(len(there), len(sign)) for there, sign in parts)
    index: list[Tensor] = []
    signs: list[Tensor] = []
    start = 0
    for block, (there, sign) in zip(axis.blocks, parts, strict=True):
        index.append((start + there).expand(rows, -1))
        signs.append(sign.expand(rows, -1))
        start += block.size
    return torch.cat(index, dim=1), torch.cat(signs, dim=1)


def _product(
    axis: Axis, spaces: Mapping[str, Space], drawn: Drawn, *, device: torch.device
) -> tuple[Int[Tensor, "_ size"], Float[Tensor, "_ size"]]:
    at = indices_on(axis, spaces, device=device)
    index = torch.zeros(1, axis.size, dtype=torch.int64, device=device)
    signs = torch.ones(1, axis.size, device=device)
    for factor in axis.factors:
        outer = spaces[factor.space].within
        here = (at[factor.space],) if outer is None else (at[outer], at[factor.space])
        order = drawn.orders.get(factor.space)
        index = index + factor.stride * (at[factor.space] if order is None else order[:, *here])
        if factor.space in drawn.signs:
            signs = signs * drawn.signs[factor.space][:, *here]
    return index, signs


def indices_on(
    axis: Axis, spaces: Mapping[str, Space], *, device: torch.device
) -> dict[str, Int[Tensor, " size"]]:
    """For each space on an axis without blocks, its index at every place of the axis."""
    along = torch.arange(axis.size, device=device)
    return {f.space: along // f.stride % spaces[f.space].size for f in axis.factors}
