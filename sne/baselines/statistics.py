"""Statistics of each tensor of a network: mean, spread and five quantiles.

Source: Unterthiner et al. 2020 (arXiv:2002.11448), with the standard deviation; the network that
others train on them (Zhou et al. 2023, arXiv:2302.14040, published code) takes the variance.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from sne.model import Batch
from sne.scaling import ScaleInputs
from sne.tokens import check_weights
from sne.zoo import Architecture

Spread: TypeAlias = Literal["std", "variance"]
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
EACH = 2 + len(QUANTILES)
"""Numbers for each tensor: 56 for arch1, 42 for a SIREN of three layers."""

MOST_LISTED = 6
"""Kinds of layers that a sentence names."""


def statistics_of(
    batch: Batch, scale: ScaleInputs, *, spread: Spread, absolute: bool
) -> Float[Tensor, "b f"]:
    """Statistics of all scaled tensors, one row for each network.

    Args:
        batch: architectures of one `kinds`.
        absolute: also those of |w|, which tell how heavy the tails are on both sides.
    """
    rows: list[Tensor] = []
    for group in batch:
        check_weights(group.architecture, group.weights)
        weights = scale(group.architecture, group.weights)
        parts = [weights[:, t.offset : t.offset + t.size] for t in group.architecture.tensors]
        numbers = [_statistics(part, spread) for part in parts]
        if absolute:
            numbers += [_statistics(part.abs(), spread) for part in parts]
        rows.append(torch.cat(numbers, dim=1))
    return torch.cat(rows)


def kinds(architecture: Architecture) -> tuple[tuple[str, str], ...]:
    """Layer type and role of each tensor: networks that share them have like statistics."""
    return tuple((tensor.layer_type, tensor.role) for tensor in architecture.tensors)


def count_statistics(architecture: Architecture, *, absolute: bool) -> int:
    """Length of a row."""
    return EACH * len(architecture.tensors) * (2 if absolute else 1)


def refuse_other_kinds(name: str, wanted: Architecture, given: Architecture) -> str | None:
    """Why a model of `wanted`'s statistics cannot take `given`; None if it can."""
    if kinds(given) == kinds(wanted):
        return None
    return (
        f"{name} reads statistics of {len(wanted.tensors)} tensors, those of {wanted.family} "
        f"({_counted(wanted)}); {given.family} has {len(given.tensors)} ({_counted(given)}): "
        "choose a model that takes any architecture, or zoos of networks with equal layers"
    )


def _statistics(values: Float[Tensor, "b n"], spread: Spread) -> Float[Tensor, "b seven"]:
    variance, mean = torch.var_mean(values, dim=1, correction=0)
    spreads = variance.sqrt() if spread == "std" else variance
    return torch.cat([torch.stack([mean, spreads], dim=1), _quantiles(values, QUANTILES)], dim=1)


def _quantiles(values: Float[Tensor, "b n"], shares: Sequence[float]) -> Float[Tensor, "b q"]:
    """Linear between order statistics, as numpy does it (torch.quantile stops at 16M numbers)."""
    ascending = values.sort(dim=1).values
    at = torch.tensor(shares, dtype=torch.float64, device=values.device) * (values.shape[1] - 1)
    below = at.floor().long()
    above = at.ceil().long()
    return torch.lerp(ascending[:, below], ascending[:, above], (at - below).to(values.dtype))


def _counted(architecture: Architecture) -> str:
    """Layers in order, equal neighbours together: `3 × conv2d (weight, bias)`."""
    by_layer = groupby(architecture.tensors, key=lambda t: (t.layer, t.layer_type))
    layers = [(kind, ", ".join(t.role for t in tensors)) for (_, kind), tensors in by_layer]
    runs = [f"{len(list(equal))} × {kind} ({roles})" for (kind, roles), equal in groupby(layers)]
    return ", ".join(runs[:MOST_LISTED]) + (", …" if len(runs) > MOST_LISTED else "")
