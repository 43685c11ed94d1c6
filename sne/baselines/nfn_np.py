"""NFN with NP layers: each weight and bias from itself and from means over its rows and columns.

NP layers treat a network's inputs and outputs as neurons like any other. As published they are told
apart by embeddings, learnt in each layer, of the places of the first one's inputs and of the last
one's outputs; without these the model is invariant to their order too.

With the published sizes 2,031,390 parameters for arch1, SNE's 2.0M; Table 1 prints them beside
INRs, for which the same model has 1,055,590.

Source: Zhou et al. 2023 (arXiv:2302.14040), Eqs. (6)-(8); configuration `np_inv` of their code.
"""

from dataclasses import dataclass
from functools import partial

from nfn.layers import NPLinear
from torch import nn

from sne.baselines.functionals import (
    AS_PUBLISHED,
    Pool,
    ReadFeatures,
    check_sizes,
    stacked,
)
from sne.model import ModelKind, Preparation

NAME = "nfn_np"


@dataclass(frozen=True, kw_only=True, slots=True)
class NfnNpConfig:
    """Sizes, and what tells inputs and outputs apart."""

    channels: tuple[int, ...] = (16, 16, 5)
    """Of the features that each equivariant layer gives."""
    head: tuple[int, ...] = (1000, 1000)
    """The last one is the encoding."""
    positions: bool = True
    """Embeddings of the places of inputs and outputs (NP-PosEmb)."""
    pool: Pool = "hnp"
    """Means that keep inputs and outputs apart; np: that do not."""

    def __post_init__(self) -> None:
        check_sizes(NAME, self)


def make(config: NfnNpConfig, preparation: Preparation) -> nn.Module:
    """The model for one architecture."""
    read = ReadFeatures(NAME, preparation)
    layer = partial(NPLinear, io_embed=config.positions)
    return stacked(read, layer, config, pool=config.pool, outputs=preparation.outputs)


KIND = ModelKind(
    summary="neural functional, inputs and outputs like neurons: one architecture",
    config=NfnNpConfig,
    make=make,
    usual=AS_PUBLISHED,
    invariant=True,
)
