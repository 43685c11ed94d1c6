"""Sinusoids for integers: a layer's type and level, a tensor's role, an element's or chunk's place.

Vaswani's encoding, added to what it describes. Where several are added together, each kind's
channels are rolled by a share of its own, so that type 1 at level 3 is not type 3 at level 1. The
integers behind types and roles are their places in the published lists of `tokens`.

Source: Andreis et al. 2024 (arXiv:2305.16625), Eqs. (3), (4), (7), (9); frequencies from Vaswani et
al. 2017 (arXiv:1706.03762), section 3.5.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sne.plan import CODES

BASE = 10_000.0
KINDS = (*CODES, "element")
"""Each kind of encoding, in the order of their rolls; part of every trained model."""
NO_TABLES: Mapping[str, Tensor] = MappingProxyType({})


def sinusoid(index: Int[Tensor, " n"], *, width: int, kind: str) -> Float[Tensor, "n {width}"]:
    """The encoding of integers of one kind; -1 stands for none, and gives zeros."""
    pairs = -(-width // 2)
    # In double precision: places reach hundreds of thousands.
    along = torch.arange(pairs, device=index.device, dtype=torch.float64)
    angles = index.double()[:, None] * BASE ** (-along / pairs)
    waves = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :width]
    waves = waves.float().roll(KINDS.index(kind) * width // len(KINDS), dims=1)
    return torch.where(index[:, None] < 0, 0, waves)


class Positions(nn.Module):
    """The encodings that a model has switched on, for rows of a plan's code table."""

    def __init__(self, width: int, kinds: Sequence[str], *, scale: float) -> None:
        super().__init__()
        self.width, self.scale = width, scale
        self.kinds = tuple(kind for kind in CODES if kind in kinds)

    def forward(
        self, codes: Int[Tensor, "u codes"], tables: Mapping[str, Tensor] = NO_TABLES
    ) -> Float[Tensor, "u d"]:
        """The sum over the kinds that are switched on."""
        total = torch.zeros(len(codes), self.width, device=codes.device)
        for kind in self.kinds:
            column = codes[:, CODES.index(kind)]
            if kind in tables:
                total += tables[kind][column + 1]
            else:
                total += sinusoid(column, width=self.width, kind=kind)
        return self.scale * total

    def tables(
        self, greatest: Sequence[int], *, rows: int, device: torch.device
    ) -> Mapping[str, Tensor]:
        """The encodings from -1 to the greatest code, of kinds that have fewer codes than rows."""
        most = {kind: greatest[CODES.index(kind)] for kind in self.kinds}
        return {
            kind: sinusoid(torch.arange(-1, end + 1, device=device), width=self.width, kind=kind)
            for kind, end in most.items()
            if end + 2 <= rows
        }
