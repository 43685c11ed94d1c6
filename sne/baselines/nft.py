"""NFT: blocks of attention between weights that neurons' order does not move.

Each block attends twice (NPAttention of `nfn`): between the means of all weights and biases, and,
for each space of neurons, between the columns before it, the bias and the rows behind it, whose
scores are sums over those neurons. A layer norm stands before attention and before a feed-forward
on each entry; both are added to what came in. Attention sees no order of inputs and outputs:
embeddings of their places and of the layers are added to the features at first.

The authors' model for predictions was never published; this one has their blocks, the sizes of
their configuration for classifying INRs (4 blocks, 128 channels, dropout 0.1), its linear entry,
and the pool and head of their NFN.

Source: Zhou et al. 2023 (arXiv:2305.13546), section 3, and their code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from jaxtyping import Float
from nfn.common import NetworkSpec, WeightSpaceFeatures
from nfn.layers import (
    GaussianFourierFeatureTransform,
    NPAttention,
    Pointwise,
    SimpleLayerNorm,
    TupleOp,
)
from torch import Tensor, nn

from sne.baselines.functionals import Functional, PooledHead, ReadFeatures
from sne.baselines.stages import Stage
from sne.errors import SettingError
from sne.model import ModelKind, Preparation, Usual

NAME = "nft"
Entry: TypeAlias = Literal["linear", "fourier"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NftConfig:
    """Sizes."""

    width: int = 128
    """Channels of each weight and bias; a kernel has so many for each of its places, and networks
    with kernels 16 by default."""
    blocks: int = 4
    heads: int = 8
    feed: int = 2
    """Hidden channels of the feed-forward, in widths."""
    dropout: float = 0.1
    entry: Entry = "linear"
    """What a weight enters as: a linear layer of it, or sines of random frequencies."""
    frequency: float = 3.0
    """Deviation of those frequencies."""
    head: tuple[int, ...] = (1000, 1000)
    """The last one is the encoding."""

    def __post_init__(self) -> None:
        if min(self.width, self.blocks, self.heads, self.feed, *self.head, 1) < 1 or not self.head:
            raise SettingError(f"{NAME} has sizes of at least 1, got {self}")
        if self.width % self.heads or self.width % 2:
            raise SettingError(
                f"the width is even and a multiple of the heads, got {self.width=} {self.heads=}"
            )
        if not 0 <= self.dropout < 1 or self.frequency <= 0:
            raise SettingError(
                f"dropout is in [0, 1), frequencies are above 0, got {self.dropout=} "
                f"{self.frequency=}"
            )


class Block(nn.Module):
    """Attention and a feed-forward, each behind a layer norm and added to what came in."""

    def __init__(self, spec: NetworkSpec, stages: Sequence[Stage], config: NftConfig) -> None:
        super().__init__()
        width, wide = config.width, config.feed * config.width
        dropout: Any = config.dropout
        kernels = any(stage.kernel is not None for stage in stages)
        self.attend = nn.Sequential(
            SimpleLayerNorm(spec, width),
            NPAttention(
                spec,
                width,
                num_heads=config.heads,
                dropout=dropout,
                share_projections=not kernels,
            ),
            TupleOp(nn.Dropout(config.dropout)),
        )
        self.feed = nn.Sequential(
            SimpleLayerNorm(spec, width),
            Pointwise(spec, width, wide),
            TupleOp(nn.GELU()),
            TupleOp(nn.Dropout(config.dropout)),
            Pointwise(spec, wide, width),
        )

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """As many channels as came in."""
        features = features + self.attend(features)
        return features + self.feed(features)


class Places(nn.Module):
    """Learnt embeddings of each weight and bias, and of the places of inputs and outputs."""

    def __init__(self, stages: Sequence[Stage], width: int) -> None:
        super().__init__()
        self.weights = nn.Embedding(len(stages), width)
        self.biases = nn.Embedding(len(stages), width)
        self.inputs = nn.Embedding(stages[0].inputs.size, width)
        self.outputs = nn.Embedding(stages[-1].outputs.size, width)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Add them; a kernel's places share one."""
        last = len(features) - 1
        weights: list[Tensor] = []
        biases: list[Tensor] = []
        for number, (weight, bias) in enumerate(features):
            added = self.weights.weight[number][:, None, None]
            beside = self.biases.weight[number][:, None]
            if number == 0:
                added = added + self.inputs.weight.T[:, None, :]
            if number == last:
                added = added + self.outputs.weight.T[:, :, None]
                beside = beside + self.outputs.weight.T
            weights.append(weight + _like(added, weight))
            biases.append(bias + beside)
        return WeightSpaceFeatures(weights, biases)


def make(config: NftConfig, preparation: Preparation) -> nn.Module:
    """The model for one architecture."""
    read = ReadFeatures(NAME, preparation)
    blocks = (Block(read.spec, read.stages, config) for _ in range(config.blocks))
    layers = [_entry(read.spec, config), Places(read.stages, config.width), *blocks]
    head = PooledHead(
        read.spec, config.width, pool="hnp", hidden=config.head, outputs=preparation.outputs
    )
    return Functional(read, layers, head)


def _entry(spec: NetworkSpec, config: NftConfig) -> nn.Module:
    if config.entry == "linear":
        return Pointwise(spec, 1, config.width)
    frequency: Any = config.frequency
    return GaussianFourierFeatureTransform(spec, 1, mapping_size=config.width // 2, scale=frequency)


def _like(
    added: Float[Tensor, "channels out in"], weight: Float[Tensor, "b channels ..."]
) -> Tensor:
    """With an axis for each of a kernel's."""
    return added[(..., *[None] * (weight.dim() - 4))]


KIND = ModelKind(
    summary="neural functional transformer, attention between weights: one architecture",
    config=NftConfig,
    make=make,
    usual={"cnn": Usual(settings={"width": 16})},
    invariant=True,
)
