"""Set attention blocks in one call each on CPUs, forward and backward.

Made of operations of PyTorch a block passes through memory a dozen times, and its small heads leave
most of a register's width unused. In one call what passes from one product to the next stays in the
cache, and little is kept for the backward pass. Which sets are computed so is decided by
`library_for`; others are computed by operations, in `blocks`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from sne.footprint import FAKE
from sne.native.library import Block, Library, Shape, load
from sne.products import on_cpu

LARGEST = 1024
"""Elements of a set; with more, torch's own attention, which goes by blocks of keys, comes near."""


def library_for(x: Float[Tensor, "r n w"], *, width: int, heads: int) -> Library | None:
    """The code for these sets, where there is some."""
    if not on_cpu(x) or not 0 < x.shape[1] <= LARGEST or not len(x):
        return None
    if x.shape[2] != width and (x.shape[2] != 1 or x.requires_grad):
        return None
    return load(width=width, heads=heads)


def fused_sab(
    library: Library,
    x: Float[Tensor, "r n w"],
    mask: Bool[Tensor, "r n"] | None,
    *weights: Tensor,
) -> Float[Tensor, "r n d"]:
    """What `blocks.Sab` gives with weight and bias of its projection and of its feed-forward."""
    return _fused(library, "numbers" if x.shape[2] == 1 else "sab", x, mask, *weights)


def fused_pooling(
    library: Library,
    x: Float[Tensor, "r n d"],
    mask: Bool[Tensor, "r n"] | None,
    *weights: Tensor,
) -> Float[Tensor, "r h d"]:
    """With r = relu(x W + b), for each head the mean of all r under the softmax of r · toward.

    Args:
        weights: W, b, and toward, [h, d].
    """
    return _fused(library, "pma", x, mask, *weights)


def _fused(
    library: Library, block: Block, x: Tensor, mask: Tensor | None, *weights: Tensor
) -> Tensor:
    _require_alike(x, mask, weights)
    x, mask = x.contiguous(), None if mask is None else mask.contiguous()
    weights = tuple(w.contiguous() for w in weights)
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, *weights)):
        result: Any = _Fused.apply(library, block, x, mask, *weights)
        return result
    return _forward(library, block, (x, *weights, mask), (None,) * len(KEPT[block]))


def _require_alike(x: Tensor, mask: Tensor | None, weights: Sequence[Tensor]) -> None:
    """The code reads memory as what it should be, so it must be that."""
    for weight in weights:
        if (weight.dtype, weight.device) != (x.dtype, x.device):
            raise TypeError(
                f"wanted weights as the elements are, {x.dtype} on {x.device}, "
                f"got {weight.dtype} on {weight.device}"
            )
    if mask is not None and (mask.shape != x.shape[:2] or mask.dtype != torch.bool):
        raise TypeError(
            f"wanted a boolean mask of {tuple(x.shape[:2])}, "
            f"got {mask.dtype} of {tuple(mask.shape)}"
        )


class _Fused(torch.autograd.Function):
    """A block, and its gradients."""

    @staticmethod
    def forward(
        ctx: Any, library: Library, block: Block, x: Tensor, mask: Tensor | None, *weights: Tensor
    ) -> Tensor:
        ctx.library, ctx.block, ctx.counts = library, block, len(weights)
        kept = tuple(_empty(what, library, x, weights[0].shape[0] // 3) for what in KEPT[block])
        ctx.save_for_backward(x, *weights, mask, *kept)
        return _forward(library, block, (x, *weights, mask), kept)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, *rest = ctx.saved_tensors  # once: where a slab is computed again, they are given once
        weights, (mask, *kept) = rest[: ctx.counts], rest[ctx.counts :]
        gradient = gradient.contiguous()
        of_x = torch.empty_like(x) if ctx.needs_input_grad[2] else None
        of_weights = [torch.zeros_like(w) for w in weights]
        shape = Shape(*x.shape[:2])
        scratch = x.new_empty(ctx.library.scratch(shape))
        if x.device != FAKE:
            inputs = (x, *weights, mask, scratch, *kept, gradient)
            ctx.library.backward(ctx.block, shape, *inputs, of_x, *of_weights)
        return None, None, of_x, None, *of_weights


KEPT: dict[Block, tuple[str, ...]] = {
    "sab": ("stats", "h", "on"),
    "numbers": ("stats", "on"),
    "pma": (),
}
"""What each keeps for its backward pass, as blocks.cpp has it."""


def _empty(what: str, library: Library, x: Tensor, width: int) -> Tensor:
    """Memory for statistics of attention, rows, or where the feed-forward is above 0."""
    if what == "stats":
        return x.new_empty(len(x), library.stats(x.shape[1]))
    kind = torch.int8 if what == "on" else x.dtype
    return x.new_empty(*x.shape[:2], width, dtype=kind)


def _forward(
    library: Library,
    block: Block,
    inputs: tuple[Tensor | None, ...],
    kept: tuple[Tensor | None, ...],
) -> Tensor:
    """With inputs x, weights, mask; of tensors without data only the memory is taken."""
    x, last = inputs[0], inputs[-2]
    assert x is not None
    assert last is not None
    shape = Shape(*x.shape[:2])
    rows = last.shape if block == "pma" else (x.shape[1], len(last))
    result = x.new_empty(len(x), *rows)
    scratch = x.new_empty(library.scratch(shape))
    if x.device != FAKE:
        library.forward(block, shape, *inputs, scratch, *kept, result)
    return result
