"""Layers that follow the symmetries of neurons: signs of odd ones, positive scales of ReLUs.

A hidden neuron's feature turns as its output does: to −x when its sign flips, to c·x when it is
scaled by c. A layer on such features is a linear map without bias, times an MLP of what does not
change: |x| (or ρ(x) + ρ(−x)) for signs, x/‖x‖ for scales. Neurons without a symmetry, inputs and
outputs among them, have an MLP of their own instead.

Source: Kalogeropoulos et al. 2024 (arXiv:2406.10685), section 5 and its published code.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Kind: TypeAlias = Literal["free", "sign", "scale"]
"""Of a neuron's symmetry; free: it has none."""
ODD = ("tanh", "sine")
HOMOGENEOUS = ("relu", "leaky_relu")
"""Activations f with f(c·x) = c·f(x) for c > 0."""
SMALLEST_NORM = 1e-10


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How MLPs are built, and how signs are made unseen."""

    hidden: int
    kinds: frozenset[Kind]
    """Symmetries that the networks' hidden neurons can have."""
    symmetrize: bool = False
    """ρ(x) + ρ(−x) with a learnt ρ instead of |x|."""
    dropout: float = 0.0


def kind_of(activation: str | None, *, maximum: bool) -> Kind:
    """The symmetry of neurons with this activation, and perhaps a maximum over places.

    A maximum is homogeneous but not odd.
    """
    if activation in HOMOGENEOUS:
        return "scale"
    return "sign" if activation in ODD and not maximum else "free"


class Mlp(nn.Module):
    """Linear, LayerNorm, SiLU, linear."""

    def __init__(self, width_in: int, width_out: int, style: Style) -> None:
        super().__init__()
        self.first = nn.Linear(width_in, style.hidden)
        self.norm = nn.LayerNorm(style.hidden)
        self.second = nn.Linear(style.hidden, width_out)
        self.dropout = style.dropout

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """One row for each."""
        return self.after(self.first(x))

    def after(self, x: Float[Tensor, "*n h"]) -> Float[Tensor, "*n o"]:
        """What follows the first layer."""
        return self.second(F.dropout(F.silu(self.norm(x)), self.dropout, self.training))


class Invariant(nn.Module):
    """Features as something that does not turn with the neuron."""

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        signs = style.symmetrize and "sign" in style.kinds
        self.rho = Mlp(width, width, style) if signs else None

    def forward(self, x: Float[Tensor, "*n d"], kind: Kind) -> Float[Tensor, "*n d"]:
        """Neurons of one kind."""
        if kind == "scale":
            return F.normalize(x, dim=-1, eps=SMALLEST_NORM)
        if kind == "free":
            return x
        return x.abs() if self.rho is None else self.rho(x) + self.rho(-x)


class Equivariant(nn.Module):
    """Features that turn as what they are computed from."""

    def __init__(
        self, width_in: int, width_out: int, style: Style, *, only_free: bool = False
    ) -> None:
        """Only for neurons without a symmetry, where others are not asked for."""
        super().__init__()
        self.free = Mlp(width_in, width_out, style)
        kinds: Set[Kind] = frozenset() if only_free else style.kinds - {"free"}
        self.linear = nn.Linear(width_in, width_out, bias=False) if kinds else None
        self.invariant = Invariant(width_in, style) if kinds else None
        self.factors = nn.ModuleDict(
            {kind: Mlp(width_in, width_out, style) for kind in sorted(kinds)}
        )

    def forward(self, x: Float[Tensor, "*n i"], kind: Kind) -> Float[Tensor, "*n o"]:
        """Neurons of one kind."""
        if kind == "free":
            return self.free(x)
        assert self.linear is not None
        assert self.invariant is not None
        return self.linear(x) * self.factors[kind](self.invariant(x, kind))


class EdgeFactor(nn.Module):
    """Edges that turn as they did: a linear map, times an MLP of what both ends have unchanged."""

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.invariant = Invariant(width, style)
        self.factor = Mlp(2 * width, width, style)

    def ends(
        self, nodes: Float[Tensor, "b n d"], kind: Kind
    ) -> tuple[Float[Tensor, "b n h"], Float[Tensor, "b n h"]]:
        """Neurons' shares in the MLP's first layer, as an edge's source and as its target."""
        unchanged = self.invariant(nodes, kind)
        source, target = self.factor.first.weight.chunk(2, dim=1)
        return F.linear(unchanged, source), F.linear(unchanged, target, self.factor.first.bias)

    def forward(
        self, edges: Float[Tensor, "b _ _ d"], ends: Float[Tensor, "b _ _ h"]
    ) -> Float[Tensor, "b _ _ d"]:
        """The edges' next features; of each edge the shares of both ends are added."""
        return self.linear(edges) * self.factor.after(ends)
