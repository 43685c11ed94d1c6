"""DWSNet: linear maps between all pairs of weights and biases that no neuron's order moves.

Each tensor of a network lies along spaces of neurons, which have no order, and perhaps along inputs
or outputs, whose places are features. From one tensor to another goes, by the spaces they share:

    none    its maximum over all neurons through a linear layer, the same everywhere
    one     its maximum over the other neurons through a SAB on that space
    two     four linear layers, on entries and on maxima over rows, over columns, over both

A layer adds what comes from all tensors; batch norms and ReLUs stand between layers, maxima over
neurons at the end. With 64 features and four layers behind the first it has 1,526,785 parameters
for SIRENs, SNE's 1.5M. Maxima are computed once for all maps that want them, and what is equal for
many neurons is computed for one.

Source: Navon et al. 2023 (arXiv:2301.12780), section 4 and its appendix, and its code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sne.baselines.norms import BatchNorm
from sne.baselines.stages import Stage, describe, read_stages, stage_weights
from sne.blocks import Sab
from sne.errors import ModelError, SettingError
from sne.model import Batch, ModelKind, Outputs, Preparation, Usual, check_taken
from sne.scaling import ScaleInputs
from sne.tokens import check_weights
from sne.zoo import Architecture, Space

NAME = "dwsnet"
Neurons: TypeAlias = tuple[str, ...]
"""Spaces, in the order of a tensor's axes."""
Features: TypeAlias = Sequence[Float[Tensor, "b ..."]]
"""Of each tensor: (b, neurons of each space, places × features)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DwsnetConfig:
    """Sizes."""

    width: int = 64
    """Features of each weight and bias."""
    layers: int = 4
    """Behind the first one."""
    heads: int = 8
    """Of the SABs; the last layer's have one, as published."""
    dropout: float = 0.0
    initial_scale: float = 1.0
    """What initial weights are multiplied with."""

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads) < 1 or self.width % self.heads:
            raise SettingError(
                f"{NAME} has sizes of at least 1 and a width that is a multiple of the heads, got "
                f"{self.width=} {self.layers=} {self.heads=}"
            )
        if not 0 <= self.dropout < 1 or self.initial_scale <= 0:
            raise SettingError(
                f"dropout is in [0, 1), the initial scale above 0, got {self.dropout=} "
                f"{self.initial_scale=}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Along:
    """What a tensor lies along."""

    neurons: Neurons
    places: int
    """Inputs or outputs, whose order means something; 1 for a tensor without them."""


class Dwsnet(nn.Module):
    """Takes networks of linear layers with the sizes of those it was prepared for."""

    def __init__(self, config: DwsnetConfig, preparation: Preparation) -> None:
        super().__init__()
        self._wanted = preparation.architectures[0]
        if (reason := why_not_matrices(self._wanted)) is not None:
            raise ModelError(reason)
        self.stages = read_stages(self._wanted)
        self.scale = ScaleInputs(preparation.scaling)
        along = tensors_of(self.stages)
        width = config.width
        self.first = DwsLayer(along, 1, width, heads=config.heads, scale=config.initial_scale)
        self.norms = nn.ModuleList(Norm(len(along), width) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            DwsLayer(
                along,
                width,
                width,
                heads=config.heads if number < config.layers - 1 else 1,
                scale=config.initial_scale,
            )
            for number in range(config.layers)
        )
        self.predict = nn.Linear(width * sum(a.places for a in along), preparation.outputs)

    def forward(self, batch: Batch) -> Outputs:
        """Encode and predict; the encoding is the maxima over neurons."""
        features = self.first(self._read(batch))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            features = layer([self.dropout(x.relu()) for x in norm(features)])
        found = [self.dropout(x.relu()) for x in features]
        encoding = torch.cat([_maximum(x, tuple(range(1, x.dim() - 1))) for x in found], dim=1)
        return Outputs(encoding=encoding, prediction=self.predict(encoding))

    def refusal(self, architecture: Architecture) -> str | None:
        """Networks with other layers than linear ones, or of other sizes."""
        if (reason := why_not_matrices(architecture)) is not None:
            return reason
        stages = read_stages(architecture)
        if [s.place for s in stages] == [s.place for s in self.stages]:
            return None
        return (
            f"{NAME} has maps between the layers of {self._wanted.family} "
            f"({describe(self.stages)}); {architecture.family} has {describe(stages)}: choose a "
            "model that takes any architecture, or a zoo of one"
        )

    def _read(self, batch: Batch) -> Features:
        """Weights of all layers, then biases."""
        for group in batch:
            check_taken(self, group.architecture)
            check_weights(group.architecture, group.weights)
        scaled = torch.cat([self.scale(group.architecture, group.weights) for group in batch])
        weights, biases = stage_weights(self.stages, scaled)
        parts = zip(self.stages, weights, strict=True)
        return [
            *(_placed(w[..., 0, 0], (s.outputs, s.inputs)) for s, w in parts),
            *(_placed(b, (s.outputs,)) for s, b in zip(self.stages, biases, strict=True)),
        ]


class DwsLayer(nn.Module):
    """Features of every tensor from those of all."""

    def __init__(
        self, along: Sequence[Along], before: int, after: int, *, heads: int, scale: float
    ) -> None:
        super().__init__()
        self.along = tuple(along)
        self.maps = nn.ModuleList(
            _map(_shared(source, target), source.places * before, target.places * after, heads)
            for target in along
            for source in along
        )
        for name, part in self.maps.named_modules():
            if isinstance(part, nn.Linear):
                # A SAB projects to queries, keys and values at once.
                _initialise(part, scale, parts=3 if name.endswith(".project") else 1)

    def forward(self, features: Features) -> list[Tensor]:
        """Of each tensor the sum over where it comes from, over the number of tensors."""
        pools: dict[tuple[int, Neurons], Tensor] = {}
        maps = iter(self.maps)
        found: list[Tensor] = []
        for target in self.along:
            sums: dict[Neurons, Tensor] = {}
            for number, source in enumerate(self.along):
                shared = _shared(source, target)
                if (number, shared) not in pools:
                    pools[number, shared] = _pooled(features[number], source.neurons, shared)
                given = next(maps)(pools[number, shared])
                sums[shared] = sums[shared] + given if shared in sums else given
            found.append(_spread(sums, target.neurons) / len(self.along))
        return found


class Kronecker(nn.Module):
    """A matrix to one on the same spaces: entries, rows, columns and the whole."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(before, after) for _ in range(4))

    def forward(self, x: Float[Tensor, "b n m f"]) -> Float[Tensor, "b n m g"]:
        """The mean of four linear layers on maxima."""
        entries, over_rows, over_columns, whole = self.parts
        rows = x.amax(1, keepdim=True)
        found = over_rows(rows) + whole(rows.amax(2, keepdim=True))
        return (entries(x) + (over_columns(x.amax(2, keepdim=True)) + found)) / 4


class Norm(nn.Module):
    """A batch norm for each tensor, over networks and entries."""

    def __init__(self, tensors: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.norms = nn.ModuleList(BatchNorm(width) for _ in range(tensors))

    def forward(self, features: Features) -> list[Tensor]:
        """In training by the batch's own mean and variance."""
        return [
            norm(x.reshape(-1, self.width)).view(x.shape)
            for norm, x in zip(self.norms, features, strict=True)
        ]


def tensors_of(stages: Sequence[Stage]) -> list[Along]:
    """What all weights, then all biases, lie along."""
    return [
        *(_along((stage.outputs, stage.inputs)) for stage in stages),
        *(_along((stage.outputs,)) for stage in stages),
    ]


def why_not_matrices(architecture: Architecture) -> str | None:
    """Why no network of linear layers; None if it is one."""
    try:
        kernels = [s for s in read_stages(architecture) if s.kernel is not None]
    except ModelError as error:
        why = str(error)
    else:
        if not kernels:
            return None
        why = f"{kernels[0].layer} of {architecture.family} has a kernel"
    return (
        f"{NAME} takes chains of linear layers, MLPs and INRs, and {why}: choose a model that "
        "takes any architecture, or nfn_hnp for chains with convolutions"
    )


def _along(spaces: tuple[Space, ...]) -> Along:
    places = 1
    for space in spaces:
        places *= 1 if space.permutable else space.size
    return Along(neurons=tuple(s.name for s in spaces if s.permutable), places=places)


def _placed(values: Float[Tensor, "b ..."], spaces: tuple[Space, ...]) -> Float[Tensor, "b ..."]:
    """Axes of neurons first, those of places as features."""
    free = [axis for axis, space in enumerate(spaces, 1) if space.permutable]
    fixed = [axis for axis, space in enumerate(spaces, 1) if not space.permutable]
    if not fixed:
        return values.unsqueeze(-1)
    return values.permute(0, *free, *fixed).flatten(1 + len(free))


def _shared(source: Along, target: Along) -> Neurons:
    return tuple(name for name in source.neurons if name in target.neurons)


def _map(shared: Neurons, before: int, after: int, heads: int) -> nn.Module:
    if not shared:
        return nn.Linear(before, after)
    return Sab(before, after, heads=heads) if len(shared) == 1 else Kronecker(before, after)


def _pooled(x: Tensor, neurons: Neurons, kept: Neurons) -> Tensor:
    """Maxima over the neurons that are not kept."""
    return _maximum(x, tuple(axis for axis, name in enumerate(neurons, 1) if name not in kept))


def _maximum(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x.amax(axes) if axes else x


def _spread(sums: Mapping[Neurons, Tensor], neurons: Neurons) -> Tensor:
    """The sum of parts that lie along some of the neurons, the smallest first."""
    total: Tensor | None = None
    for shared, part in sorted(sums.items(), key=lambda item: len(item[0])):
        for axis, name in enumerate(neurons, 1):
            if name not in shared:
                part = part.unsqueeze(axis)
        total = part if total is None else total + part
    assert total is not None
    return total


def _initialise(layer: nn.Linear, scale: float, *, parts: int = 1) -> None:
    """As published: Xavier's normal values, times the root of twice the inputs for each output.

    Args:
        layer: of `parts` layers side by side.
        scale: a further factor.
        parts: how many.
    """
    inputs, outputs = layer.in_features, layer.out_features // parts
    deviation = scale * (2 / (inputs + outputs)) ** 0.5 * (2 * inputs / outputs) ** 0.5
    nn.init.normal_(layer.weight, std=deviation)
    nn.init.uniform_(layer.bias, -1e-4, 1e-4)


KIND = ModelKind(
    summary="equivariant maps between all weights and biases: MLPs and INRs of one architecture",
    config=DwsnetConfig,
    make=Dwsnet,
    usual={"inr": Usual(optimizer={"learning_rate": 5e-3, "weight_decay": 5e-4})},
    invariant=True,
)
