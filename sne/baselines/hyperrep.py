"""HyperRep: a transformer autoencoder of networks, trained without labels, and a linear probe.

A token is what a neuron is made of: its row of weights, or its kernels, and its bias. Behind the
encoder one further token, through a linear layer and tanh, is the network's encoding; the decoder
gives all tokens back. Two views of each network, of neurons in other orders and with a part erased,
are to have encodings near one another and far from those of other networks:

    loss = γ · NT-Xent(projected encodings of the views) + (1 − γ) · mean square of reconstruction

Positions are learnt, so networks have one architecture; what it may be follows from descriptions.
The published configuration for the Small CNN Zoo gives the sizes: 54,278,307 parameters for arch1.

Source: Schürholt et al. 2021 (arXiv:2110.15288), section 3, and its code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sne.baselines.norms import BatchNorm
from sne.baselines.probe import LinearProbe
from sne.baselines.stages import Stage, describe, read_stages, stage_weights, why_not_stages
from sne.errors import ModelError, SettingError
from sne.model import Batch, Encoded, ModelKind, Outputs, Preparation, Usual, check_taken
from sne.scaling import ScaleInputs
from sne.symmetry import move_batch
from sne.tokens import check_weights
from sne.zoo import Architecture

NAME = "hyperrep"
PROJECTION_BIAS = 0.01
"""At first, as published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HyperrepConfig:
    """Sizes, views and losses."""

    width: int = 512
    """Of tokens."""
    blocks: int = 4
    """Of the encoder, and of the decoder."""
    heads: int = 4
    feed: int = 1000
    """Hidden units of a block's feed-forward."""
    dropout: float = 0.1
    latent: int = 1200
    """Of the encoding."""
    projection: tuple[int, ...] = (400, 400, 400, 400, 50)
    """Layers on encodings that only the contrast sees."""
    contrast: float = 0.85
    """γ; the rest is reconstruction."""
    temperature: float = 0.1
    erasing: float = 0.5
    """How often a part of a view is erased."""
    erased: tuple[float, float] = (0.02, 0.33)
    """Smallest and largest share of the weights that is."""
    probe: tuple[float, ...] = (1e-6, 1e-4, 1e-2, 1.0)
    """What keeps the probe's weights small; the validation networks choose. The smallest alone is
    least squares in effect."""

    def __post_init__(self) -> None:
        sizes = (self.width, self.blocks, self.heads, self.feed, self.latent, *self.projection)
        if min(sizes) < 1 or not self.projection or self.width % self.heads:
            raise SettingError(
                f"{NAME} has sizes of at least 1 and a width that is a multiple of the heads, got "
                f"{self}"
            )
        shares = (self.contrast, self.erasing, *self.erased)
        if not (all(0 <= s <= 1 for s in shares) and 0 <= self.dropout < 1):
            raise SettingError(f"contrast, erasing, erased and dropout are shares, got {self}")
        if self.temperature <= 0 or min(self.probe, default=0) <= 0 or len(self.erased) != 2:
            raise SettingError(
                f"temperature and strengths of the probe are above 0, two shares are erased, got "
                f"{self.temperature=} {self.probe=} {self.erased=}"
            )


class Hyperrep(nn.Module):
    """Takes chains of layers of one architecture."""

    def __init__(self, config: HyperrepConfig, preparation: Preparation) -> None:
        super().__init__()
        self.config = config
        self._wanted = preparation.architectures[0]
        if (why := why_not_stages(self._wanted)) is not None:
            raise ModelError(_no_chain(why))
        self.stages = read_stages(self._wanted)
        self.scale = ScaleInputs(preparation.scaling)
        self.encoder = Encoder(self.stages, config)
        self.decoder = Decoder(self.stages, config)
        self.project = _projection(config)
        self.probe = LinearProbe(
            config.latent, preparation.outputs, task=preparation.task, strengths=config.probe
        )

    def forward(self, batch: Batch) -> Outputs:
        """Encode, and predict by the probe."""
        encoding = self.encoder(self._tokens(self._scaled(batch)))
        return Outputs(encoding=encoding, prediction=self.probe(encoding))

    def teach(self, batch: Batch, *, generator: torch.Generator) -> Mapping[str, Tensor]:
        """See `model.ProbedModel`."""
        views = [self._view(batch, generator) for _ in range(2)]
        tokens = [torch.cat(pair) for pair in zip(*map(self._tokens, views), strict=True)]
        encoding = self.encoder(tokens)
        errors = [
            (found - given).square().sum()
            for found, given in zip(self.decoder(encoding), tokens, strict=True)
        ]
        reconstruction = torch.stack(errors).sum() / sum(given.numel() for given in tokens)
        contrast = nt_xent(
            *(self.project(view) for view in encoding.chunk(2)),
            temperature=self.config.temperature,
        )
        share = self.config.contrast
        return {
            "loss": share * contrast + (1 - share) * reconstruction,
            "contrast": contrast,
            "reconstruction": reconstruction,
        }

    def fit_probe(self, training: Encoded, validation: Encoded | None) -> None:
        """See `model.ProbedModel`."""
        self.probe.fit(training, validation)

    def refusal(self, architecture: Architecture) -> str | None:
        """Networks that are no chain of layers, or one of other sizes."""
        if (why := why_not_stages(architecture)) is not None:
            return _no_chain(why)
        stages = read_stages(architecture)
        if [s.place for s in stages] == [s.place for s in self.stages]:
            return None
        return (
            f"{NAME} has a place for each neuron of {self._wanted.family} "
            f"({describe(self.stages)}); {architecture.family} has {describe(stages)}: choose a "
            "model that takes any architecture, or a zoo of one"
        )

    def _scaled(self, batch: Batch) -> Float[Tensor, "b p"]:
        for group in batch:
            check_taken(self, group.architecture)
            check_weights(group.architecture, group.weights)
        return torch.cat([self.scale(group.architecture, group.weights) for group in batch])

    def _tokens(self, scaled: Float[Tensor, "b p"]) -> list[Float[Tensor, "b _ _"]]:
        """What each layer's neurons are made of."""
        weights, biases = stage_weights(self.stages, scaled)
        parts = zip(weights, biases, strict=True)
        return [torch.cat([w.flatten(2), b[:, :, None]], dim=2) for w, b in parts]

    def _view(self, batch: Batch, generator: torch.Generator) -> Float[Tensor, "b p"]:
        """Neurons in an order drawn anew, and perhaps a part erased."""
        scaled = self._scaled(move_batch(batch, generator=generator))
        return erase(
            scaled, generator=generator, often=self.config.erasing, shares=self.config.erased
        )


class Encoder(nn.Module):
    """Tokens to an encoding."""

    def __init__(self, stages: Sequence[Stage], config: HyperrepConfig) -> None:
        super().__init__()
        width = config.width
        self.enter = nn.ModuleList(nn.Linear(size, width) for size in _sizes(stages))
        self.token = nn.Parameter(torch.randn(1, 1, width))
        """The one that the encoding is read from."""
        self.positions = nn.Parameter(torch.randn(1 + _count(stages), width))
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.blocks)))
        self.leave = nn.Linear(width, config.latent)

    def forward(self, tokens: Sequence[Float[Tensor, "b _ _"]]) -> Float[Tensor, "b e"]:
        """Numbers in (−1, 1)."""
        entered = [layer(x) for layer, x in zip(self.enter, tokens, strict=True)]
        x = torch.cat([self.token.expand(len(tokens[0]), -1, -1), *entered], dim=1)
        return torch.tanh(self.leave(self.blocks(x + self.positions)[:, 0]))


class Decoder(nn.Module):
    """An encoding to tokens."""

    def __init__(self, stages: Sequence[Stage], config: HyperrepConfig) -> None:
        super().__init__()
        self._counts = [stage.outputs.size for stage in stages]
        self.enter = nn.Linear(config.latent, _count(stages) * config.width)
        self.positions = nn.Parameter(torch.randn(_count(stages), config.width))
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.blocks)))
        self.leave = nn.ModuleList(nn.Linear(config.width, size) for size in _sizes(stages))

    def forward(self, encoding: Float[Tensor, "b e"]) -> list[Float[Tensor, "b _ _"]]:
        """Of each layer's neurons what they are made of."""
        x = self.enter(encoding).unflatten(1, self.positions.shape) + self.positions
        parts = self.blocks(x).split(self._counts, dim=1)
        return [layer(part) for layer, part in zip(self.leave, parts, strict=True)]


class Block(nn.Module):
    """A transformer's, with layer norms before attention and feed-forward."""

    def __init__(self, config: HyperrepConfig) -> None:
        super().__init__()
        width = config.width
        self._heads, self._dropout = config.heads, config.dropout
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)
        self.feed = nn.Sequential(
            nn.Linear(width, config.feed),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feed, width),
        )

    def forward(self, x: Float[Tensor, "b n w"]) -> Float[Tensor, "b n w"]:
        """As many tokens as came in."""
        parts = self.project(self.before_attention(x)).unflatten(2, (3, self._heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(
            query, key, value, dropout_p=self._dropout if self.training else 0.0
        )
        x = x + self.dropout(self.join(found.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.feed(self.before_feed(x)))


def nt_xent(
    one: Float[Tensor, "b d"], other: Float[Tensor, "b d"], *, temperature: float
) -> Float[Tensor, ""]:
    """Cross-entropy of finding each view's partner among all other views, by cosine similarity.

    Source: Chen et al. 2020 (arXiv:2002.05709), Eq. (1).
    """
    views = F.normalize(torch.cat([one, other]), dim=1)
    scores = views @ views.T / temperature
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    partner = torch.arange(len(views), device=views.device).roll(len(one))
    return F.cross_entropy(scores.masked_fill(itself, -torch.inf), partner)


def erase(
    weights: Float[Tensor, "b p"],
    *,
    generator: torch.Generator,
    often: float,
    shares: tuple[float, float],
) -> Float[Tensor, "b p"]:
    """Set a run of weights to 0, the mean of scaled ones, in some networks.

    Args:
        weights: scaled.
        generator: the only source of chance.
        often: probability for each network.
        shares: smallest and largest length, of all weights.
    """
    count, length = weights.shape
    drawn = torch.rand(3, count, 1, generator=generator, device=generator.device)
    chosen, size, start = drawn.to(weights.device)
    size = (length * (shares[0] + (shares[1] - shares[0]) * size)).floor()
    start = ((length - size + 1) * start).floor()
    along = torch.arange(length, device=weights.device)
    gone = (chosen < often) & (along >= start) & (along < start + size)
    return weights.masked_fill(gone, 0.0)


def _projection(config: HyperrepConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = config.latent
    for width in config.projection:
        layer = nn.Linear(before, width)
        nn.init.kaiming_normal_(layer.weight)
        nn.init.constant_(layer.bias, PROJECTION_BIAS)
        layers += [layer, BatchNorm(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers[:-1])


def _sizes(stages: Sequence[Stage]) -> list[int]:
    """Numbers that a neuron of each layer is made of."""
    return [prod(stage.shape[1:]) + 1 for stage in stages]


def _count(stages: Sequence[Stage]) -> int:
    return sum(stage.outputs.size for stage in stages)


def _no_chain(why: str) -> str:
    return (
        f"{NAME} takes chains of linear and conv2d layers, and {why}: choose a model that takes "
        "any architecture"
    )


KIND = ModelKind(
    summary="autoencoder trained without labels, and a linear probe: one architecture",
    config=HyperrepConfig,
    make=Hyperrep,
    usual=dict.fromkeys(("inr", "cnn"), Usual(optimizer={"learning_rate": 1e-4})),
)
