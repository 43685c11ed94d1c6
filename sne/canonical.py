"""Put neurons into an order of their own, so that symmetries are undone instead of learnt away.

A network that is stored with its neurons in another order is the same function. A model may be
taught so, by a penalty or by permuted copies (`symmetry`); or the order may be taken from it: here
the neurons of each permutable space are sorted by the norm of their weights in one tensor, and
where signs may flip, those weights get a positive sum. All copies of a network then look alike, and
a place means something in every tensor that shares the space: weights in the last column meet the
neuron whose weights are largest in the tensor that was sorted by.

The rule reads the description alone. A space is sorted by the smallest matrix or kernel that has it
on an axis (of equal ones the first): so the large ones learn from their places what stands in the
small ones. Neurons of equal norm keep their order. A sign is settled when those on the tensor's
other axes are; where that never happens (a square tensor meets itself), it stays as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sne.model import Batch
from sne.symmetry import Drawn, functional_move, indices_on
from sne.zoo import Architecture, Axis, Space, TensorSpec


def canonical_batch(batch: Batch) -> Batch:
    """The same networks, each with its neurons in canonical order and sign."""
    return [
        group.with_weights(canonical_weights(group.architecture, group.weights)) for group in batch
    ]


def canonical_weights(
    architecture: Architecture, weights: Float[Tensor, "b p"]
) -> Float[Tensor, "b p"]:
    """Sort and sign the neurons of many networks of one architecture; the input is kept."""
    uses = _uses(architecture)
    spaces = {space.name: space for space in architecture.spaces}
    ordered = _moved(architecture, weights, _orders(uses, spaces, weights))
    # One space after another: a sum depends on the signs of the neurons at the other end.
    unsettled = {name for name in uses if spaces[name].sign_flips}
    while ready := [n for n in uses if n in unsettled and not _others(uses[n]) & unsettled]:
        sums = _by_neuron(uses[ready[0]], spaces, ordered)
        signs = Drawn(signs={ready[0]: torch.where(sums < 0, -1.0, 1.0)})
        ordered = _moved(architecture, ordered, signs)
        unsettled.remove(ready[0])
    return ordered


def put_in_order(module: nn.Module) -> None:
    """Have a model see all networks in canonical order, whatever it is used for."""
    module.register_forward_pre_hook(lambda _, given: (canonical_batch(given[0]), *given[1:]))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Use:
    """One place where a space occurs."""

    space: Space
    tensor: TensorSpec
    axis: int
    part: Axis
    """The axis, or the block of it, whose factors name the space."""
    start: int
    """Of the part on the axis."""


def _uses(architecture: Architecture) -> Mapping[str, _Use]:
    """For each permutable space the use that it is sorted by."""
    spaces = {space.name: space for space in architecture.spaces if space.permutable}
    found: dict[str, _Use] = {}
    # Vectors (biases, norms) last: they are small, but say little of a neuron.
    for tensor in sorted(architecture.tensors, key=lambda t: (len(t.shape) < 2, t.size)):
        for use in _on(tensor, spaces):
            found.setdefault(use.space.name, use)
    return found


def _on(tensor: TensorSpec, spaces: Mapping[str, Space]) -> Iterator[_Use]:
    """The uses of permutable spaces on a tensor's axes."""
    for number, axis in enumerate(tensor.axes):
        start = 0
        for part in axis.blocks or (axis,):
            for factor in part.factors:
                if (space := spaces.get(factor.space)) is not None:
                    yield _Use(space=space, tensor=tensor, axis=number, part=part, start=start)
            start += part.size


def _others(use: _Use) -> set[str]:
    """Spaces on the other axes of the tensor."""
    others = (axis for number, axis in enumerate(use.tensor.axes) if number != use.axis)
    return {f.space for axis in others for part in axis.blocks or (axis,) for f in part.factors}


def _orders(
    uses: Mapping[str, _Use], spaces: Mapping[str, Space], weights: Float[Tensor, "b p"]
) -> Drawn:
    squares = weights.square()
    norms = {name: _by_neuron(use, spaces, squares) for name, use in uses.items()}
    orders: dict[str, Tensor] = {}
    # A space within another is sorted inside each of that one's indices, in their new order.
    for name in sorted(norms, key=lambda n: spaces[n].within is not None):
        outer = orders.get(spaces[name].within or "")
        here = norms[name]
        if outer is not None:
            here = here.gather(1, outer[:, :, None].expand_as(here))
        orders[name] = here.argsort(dim=-1, stable=True)
    return Drawn(orders=orders)


def _by_neuron(
    use: _Use, spaces: Mapping[str, Space], values: Float[Tensor, "b p"]
) -> Float[Tensor, "b ..."]:
    """Sums over the entries of each neuron; of a space within another, a row for each outer one."""
    offset, shape = use.tensor.offset, use.tensor.shape
    entries = values[:, offset : offset + use.tensor.size].reshape(len(values), *shape)
    rows = entries.movedim(use.axis + 1, 1).flatten(2).sum(2) if len(shape) > 1 else entries
    rows = rows.narrow(1, use.start, use.part.size)
    place, size = _places(use, spaces, values.device)
    sums = torch.zeros(len(values), size, device=values.device, dtype=values.dtype)
    sums = sums.index_add(1, place, rows)
    return sums if use.space.within is None else sums.unflatten(1, (-1, use.space.size))


def _places(
    use: _Use, spaces: Mapping[str, Space], device: torch.device
) -> tuple[Int[Tensor, " size"], int]:
    """For each index on the part, its neuron; and how many neurons there are."""
    at = indices_on(use.part, spaces, device=device)
    inner, outer = at[use.space.name], use.space.within
    if outer is None:
        return inner, use.space.size
    return at[outer] * use.space.size + inner, spaces[outer].size * use.space.size


def _moved(
    architecture: Architecture, weights: Float[Tensor, "b p"], drawn: Drawn
) -> Float[Tensor, "b p"]:
    move = functional_move(architecture, drawn, count=len(weights), device=weights.device)
    return move(weights)
