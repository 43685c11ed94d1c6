"""A training step's networks in parts, forwards and backwards, each part on a thread of its own.

For models whose outputs for a network depend on that network alone and on no chance: then parts
give the outputs and gradients of the whole, up to rounding. Gradients are added in the order of the
parts, so one number of threads gives the same bits each time.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sne.model import Batch, Group, Outputs
from sne.side_by_side import side_by_side

Forward: TypeAlias = Callable[[Batch], Outputs]


def outputs_apart(forward: Forward, module: nn.Module, batch: Batch, *, threads: int) -> Outputs:
    """`forward(batch)`, computed in as many parts as there are threads.

    Args:
        forward: calls the module; must not draw random numbers.
        module: whose parameters get gradients.
        batch: networks of any architectures.
        threads: 1: all in one part.
    """
    parts, order = divide(batch, threads)
    if len(parts) < 2:
        return forward(batch)
    parameters = [p for p in module.parameters() if p.requires_grad]
    found: Any = _Apart.apply(forward, parts, threads, *parameters)
    encoding, prediction = found
    return Outputs(encoding=encoding[order], prediction=prediction[order])


def divide(batch: Batch, count: int) -> tuple[list[list[Group]], Int[Tensor, " b"]]:
    """A batch in parts that take about equally long: some of each architecture's networks.

    Returns:
        The parts, none empty, and for each network of the batch its place in all parts together.
    """
    parts: list[list[Group]] = [[] for _ in range(count)]
    places: list[list[Tensor]] = [[] for _ in range(count)]
    first = 0
    for group in batch:
        rows = torch.arange(len(group.weights))
        for part, place, own in zip(parts, places, rows.tensor_split(count), strict=True):
            if len(own):
                part.append(group.rows(slice(int(own[0]), int(own[-1]) + 1)))
                place.append(own + first)
        first += len(group.weights)
    there = torch.cat([own for place in places for own in place])
    return [part for part in parts if part], there.argsort()


class _Apart(torch.autograd.Function):
    """Parts keep graphs of their own; the gradient of what they give goes back through each."""

    @staticmethod
    def forward(
        ctx: Any, forward: Forward, parts: Sequence[Batch], threads: int, *parameters: Tensor
    ) -> tuple[Float[Tensor, "b e"], Float[Tensor, "b o"]]:
        def work(part: Batch) -> Outputs:
            with torch.enable_grad():
                return forward(part)

        outputs = list(side_by_side(work, parts, threads=threads))
        ctx.outputs, ctx.threads, ctx.parameters = outputs, threads, parameters
        return (
            torch.cat([own.encoding.detach() for own in outputs]),
            torch.cat([own.prediction.detach() for own in outputs]),
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_encoding: Tensor, of_prediction: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        outputs: list[Outputs] = ctx.outputs
        sizes = [len(own.prediction) for own in outputs]
        pieces = zip(outputs, of_encoding.split(sizes), of_prediction.split(sizes), strict=True)

        def work(piece: tuple[Outputs, Tensor, Tensor]) -> Sequence[Tensor | None]:
            own, *gradients = piece
            given = zip((own.encoding, own.prediction), gradients, strict=True)
            ends, starts = zip(*((y, g) for y, g in given if y.requires_grad), strict=True)
            return torch.autograd.grad(ends, ctx.parameters, starts, allow_unused=True)

        found = list(side_by_side(work, pieces, threads=ctx.threads))
        ctx.outputs = None
        return (None, None, None, *(_added(own) for own in zip(*found, strict=True)))


def _added(gradients: Sequence[Tensor | None]) -> Tensor | None:
    """Of one parameter, over parts; None if no part used it."""
    known = [gradient for gradient in gradients if gradient is not None]
    return sum(known[1:], start=known[0]) if known else None
