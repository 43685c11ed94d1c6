"""Pad, chunk, mask: any network's flat weights as tokens of equal width, and back.

A chunk is three integers: its entry i is the weight at start + i·stride, for i below length.
Linear weights (out, in), embeddings, tokens and projections are flattened and cut; of convolutions
only out × in is flattened, each kernel position gives chunks of its own, so any kernel size works.
Biases, norms and buffers are cut by themselves. Everything follows from the description.

Left to others: which chunks are computed together (`batching`), input scaling (`scaling`).

Source: Andreis et al. 2024 (arXiv:2305.16625), section 3.2, Eq. (1).
"""

from dataclasses import dataclass, fields
from math import prod
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sne.errors import SettingError, WeightsError
from sne.zoo import Architecture, TensorSpec

Chunking: TypeAlias = Literal["flat", "neuron"]
LAYER_TYPES = (
    "linear", "conv2d", "batch_norm", "layer_norm", "attention", "embedding", "other",
)  # fmt: skip
"""The published list behind type encodings; its order is part of every trained model."""
ROLES = ("weight", "bias", "scale", "shift", "embedding", "token", "buffer")
"""Likewise for roles."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tokens:
    """All chunks of one architecture, in the order of its tensors.

    Within a tensor: kernel positions in row-major order, and the places of each.
    """

    start: Int[Tensor, " n"]
    """Index of the chunk's first weight in the flat vector."""
    stride: Int[Tensor, " n"]
    """From one entry to the next: the number of kernel positions."""
    length: Int[Tensor, " n"]
    """Real entries; the rest of the chunk's width is padding."""
    tensor: Int[Tensor, " n"]
    """Number of the tensor in the description."""
    layer_type: Int[Tensor, " n"]
    """Index in LAYER_TYPES."""
    role: Int[Tensor, " n"]
    """Index in ROLES."""
    level: Int[Tensor, " n"]
    """Depth of the layer."""
    place: Int[Tensor, " n"]
    """Number of the chunk within its tensor and kernel position."""
    row: Int[Tensor, " n"]
    """Kernel row; for a kernel of three axes the first two together."""
    column: Int[Tensor, " n"]
    """Kernel column."""

    def __len__(self) -> int:
        """Number of chunks."""
        return len(self.start)


def layer_type_index(name: str) -> int:
    """A type's place in LAYER_TYPES; one that is not on the list counts as `other`."""
    return LAYER_TYPES.index(name if name in LAYER_TYPES else "other")


def tokenize(architecture: Architecture, *, width: int, chunking: Chunking = "flat") -> Tokens:
    """Cut the architecture's tensors into chunks.

    Args:
        width: weights for each chunk (c).
        chunking: `flat` is the paper's formula; with `neuron` no chunk holds weights of two output
            neurons, for which a bias vector, having one weight for each, is left whole.

    Raises:
        SettingError: the width is not positive.
    """
    if width < 1:
        raise SettingError(f"a chunk holds at least one weight, got a width of {width}")
    parts = [
        _cut(tensor, number, width=width, chunking=chunking)
        for number, tensor in enumerate(architecture.tensors)
        if tensor.size
    ]
    columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(Tokens)}
    return Tokens(**{name: torch.cat(column) for name, column in columns.items()})


def chunk(
    weights: Float[Tensor, "b p"], tokens: Tokens, *, width: int
) -> tuple[Float[Tensor, "b n c"], Bool[Tensor, "n c"]]:
    """Flat weights as chunks; padding is zero, and the mask says which entries are real."""
    index, mask = entries(tokens.start, tokens.stride, tokens.length, width=width)
    return torch.where(mask, weights[:, index], 0), mask


def unchunk(
    chunks: Float[Tensor, "b n c"], tokens: Tokens, *, parameters: int
) -> Float[Tensor, "b p"]:
    """The inverse of `chunk`, bit for bit."""
    index, mask = entries(tokens.start, tokens.stride, tokens.length, width=chunks.shape[-1])
    weights = chunks.new_empty(len(chunks), parameters)
    weights[:, index[mask]] = chunks[:, mask]
    return weights


def entries(
    start: Int[Tensor, " n"], stride: Int[Tensor, " n"], length: Int[Tensor, " n"], *, width: int
) -> tuple[Int[Tensor, "n c"], Bool[Tensor, "n c"]]:
    """Where each chunk's entries lie; padding points at the chunk's first weight."""
    along = torch.arange(width, device=start.device)
    mask = along < length[:, None]
    return start[:, None] + torch.where(mask, along, 0) * stride[:, None], mask


def check_weights(architecture: Architecture, weights: Float[Tensor, "b p"]) -> None:
    """Refuse weights of another length than the description's.

    Raises:
        WeightsError: the lengths differ.
    """
    if weights.shape[1] != architecture.parameters:
        raise WeightsError(
            f"{architecture.family} has {architecture.parameters:,} weights for each network, "
            f"got {weights.shape[1]:,}: were they stored with another architecture?"
        )


def _cut(tensor: TensorSpec, number: int, *, width: int, chunking: Chunking) -> Tokens:
    kernel = tensor.shape[2:] if tensor.layer_type.startswith("conv") else ()
    positions = prod(kernel)
    rows, columns = _rows(tensor, positions, chunking)
    for_each_row = -(-columns // width)
    place = torch.arange(rows * for_each_row).repeat(positions)
    position = torch.arange(positions).repeat_interleave(rows * for_each_row)
    within = place % for_each_row * width
    start = tensor.offset + (place // for_each_row * columns + within) * positions + position
    same = torch.ones_like(place)
    return Tokens(
        start=start,
        stride=same * positions,
        length=(columns - within).clamp(max=width),
        tensor=same * number,
        layer_type=same * layer_type_index(tensor.layer_type),
        role=same * ROLES.index(tensor.role),
        level=same * tensor.level,
        place=place,
        row=position // (kernel[-1] if kernel else 1),
        column=position % (kernel[-1] if kernel else 1),
    )


def _rows(tensor: TensorSpec, positions: int, chunking: Chunking) -> tuple[int, int]:
    """The tensor without its kernel axes as rows that chunks do not cross."""
    flat = tensor.size // positions
    rows = tensor.shape[0] if chunking == "neuron" and len(tensor.shape) > 1 else 1
    return rows, flat // rows
