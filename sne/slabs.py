"""Compute many rows a slab at a time: memory stays within a bound, and on a CPU within the cache.

The first slabs keep their activations for the backward pass; further ones are computed again there,
so a training step's memory is bounded, beside what it gives. The result is that of all rows at
once, up to rounding.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True, kw_only=True, slots=True)
class Slabs:
    """How much is computed at once; it changes no result."""

    elements: int
    """Elements of sets (for chunks: weights) in one slab; one set is never divided."""
    kept: int
    """From so many elements of a call on, slabs are computed again in the backward pass."""


CACHE_SLABS = Slabs(elements=4096, kept=3 << 18)
"""For CPUs: activations of 1 MB each at width 64, which a core's own cache holds. A batch of arch1
is kept whole, 2.3 kB for each element (by operations 7 kB): 1.3 times as fast as computing
everything twice."""
DEVICE_SLABS = Slabs(elements=1 << 18, kept=sys.maxsize)
"""For GPUs, where memory is the limit: `sne.memory` plans it."""


def slabs_for(device: torch.device) -> Slabs:
    """What to use on a device unless told otherwise."""
    return CACHE_SLABS if device.type == "cpu" else DEVICE_SLABS


def use_slabs(module: nn.Module, slabs: Slabs | None) -> None:
    """Let all parts of a module that compute in slabs use these; None: what suits the device."""
    parts: Iterator[Any] = module.modules()
    for part in parts:
        if hasattr(part, "slabs"):
            part.slabs = slabs


def in_slabs(
    stage: Callable[..., Tensor], *inputs: Tensor, rows: int, size: int, slabs: Slabs
) -> Float[Tensor, "r d"]:
    """`stage(slice(0, rows), *inputs)`, computed a slab at a time.

    Args:
        stage: called with the slice of a slab and these rows of the inputs; gives one row for each.
        inputs: what needs a gradient comes here (one split has one gradient; a slice made within
            the stage would have one of the whole input's size for each slab).
        size: elements of each row.
    """
    step = max(1, slabs.elements // size)
    slices = [slice(first, min(first + step, rows)) for first in range(0, rows, step)]
    parts: list[Tensor] = []
    for here, *given in zip(slices, *(x.split(step) for x in inputs), strict=True):
        if torch.is_grad_enabled() and here.start * size >= slabs.kept:
            part = checkpoint(stage, here, *given, use_reentrant=False, preserve_rng_state=False)
            assert isinstance(part, Tensor)
        else:
            part = stage(here, *given)
        parts.append(part)
    return parts[0] if len(parts) == 1 else torch.cat(parts)
