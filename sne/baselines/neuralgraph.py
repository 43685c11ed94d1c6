"""NeuralGraph: a network as a graph of its neurons, by a graph network or a relational transformer.

Node features are biases, edge features kernels, centred in the largest one that is declared; each
goes through random Fourier features. A skip connection is an edge whose kernel is 1 in its centre.
NG-GNN is PNA whose edges modulate messages, NG-T attends over all pairs of neurons; both update
edges as well. What is read off are the output neurons.

Source: Kofinas et al. 2024 (arXiv:2403.12143) and its published code (mkofinas/neural-graphs).
docs/baselines.md says what follows it and what differs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sne.baselines.graphs import (
    Link,
    activation_number,
    degrees,
    level_sizes,
    limits_of,
    node_places,
    padded,
    places,
    skip_links,
)
from sne.baselines.messages import GraphNetwork
from sne.baselines.relational import RelationalTransformer, xavier
from sne.baselines.stages import Stage, read_stages, stage_weights
from sne.errors import SettingError
from sne.model import (
    ACTIVATIONS,
    Batch,
    Group,
    ModelKind,
    Outputs,
    Preparation,
    Usual,
    check_taken,
)
from sne.predictor import Predictor
from sne.scaling import ScaleInputs
from sne.tokens import check_weights
from sne.zoo import Architecture

Variant: TypeAlias = Literal["gnn", "transformer"]
FOURIER = 128
"""Random frequencies for each kind of feature."""
SIGMA = {"gnn": 3.0, "transformer": 1.0}
"""Their standard deviation, as published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NeuralGraphConfig:
    """Which of the two, its size, and how large the graphs may be."""

    variant: Variant = "gnn"
    """A graph network (NG-GNN), or the relational transformer (NG-T)."""
    width: int = 64
    """Of nodes. NG-GNN's edges have the same; NG-T's half of it, its attention twice. Published:
    NG-GNN 256 for CNNs, 32 for INRs; NG-T 128 and 64."""
    layers: int = 4
    heads: int = 8
    """Of NG-T."""
    kernel: int | None = None
    """Side of the largest kernel that can be read; None: the largest that is trained on."""
    inputs: int | None = None
    """Most input channels; None: as trained on."""
    hidden: int | None = None
    """Most hidden layers; None: as trained on."""
    linear_as_conv: bool = False
    """Read linear layers as kernels of one place too, instead of by weights of their own."""
    reversed_edges: bool = False
    """Edges run from the output to the input as well."""
    activation_embedding: bool = False
    """Tell hidden neurons their activation where it is known; published zoos of CNNs did not."""
    frequency: float | None = None
    """Deviation of the random frequencies; None: as published, 3 for NG-GNN and 1 for NG-T."""
    dropout: float = 0.0
    """Of node features between layers, in training."""
    noise: float = 0.0
    """Of each tensor's deviation, added to its weights in training."""
    drop: float = 0.0
    """Share of weights that are 0 in training."""

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads) < 1 or 2 * self.width % self.heads:
            raise SettingError(
                "sizes are at least 1, and NG-T's attention, twice the width, is a multiple of "
                f"the heads, got {self.width=} {self.layers=} {self.heads=}"
            )
        if not 0 <= self.dropout < 1 or not 0 <= self.drop < 1 or self.noise < 0:
            raise SettingError(
                f"dropout and drop are shares below 1, noise is from 0, got {self.dropout}, "
                f"{self.drop}, {self.noise}"
            )


class Fourier(nn.Module):
    """Random Fourier features, fixed: x to cos(2πBx), sin(2πBx)."""

    frequencies: Tensor

    def __init__(self, numbers: int, *, sigma: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", sigma * torch.randn(FOURIER, numbers))

    def forward(self, x: Float[Tensor, "*n k"]) -> Float[Tensor, "*n f"]:
        """Twice as many as there are frequencies."""
        angles = 2 * torch.pi * (x @ self.frequencies.T)
        return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Projection(nn.Module):
    """A feature of `numbers` numbers, embedded."""

    def __init__(self, numbers: int, width: int, *, sigma: float) -> None:
        super().__init__()
        self.numbers = numbers
        self.layers = nn.Sequential(
            Fourier(numbers, sigma=sigma), nn.Linear(2 * FOURIER, width), nn.Linear(width, width)
        )

    def forward(self, x: Float[Tensor, "*n k"]) -> Float[Tensor, "*n d"]:
        """One row for each."""
        return self.layers(x)


class NeuralGraph(nn.Module):
    """Takes chains of layers within the limits that were declared or trained on."""

    def __init__(self, config: NeuralGraphConfig, preparation: Preparation) -> None:
        super().__init__()
        self.config = config
        self.limits = limits = limits_of(preparation.architectures, model="neuralgraph").wider(
            kernel=config.kernel, inputs=config.inputs, hidden=config.hidden
        )
        gnn, width = config.variant == "gnn", config.width
        sigma = config.frequency or SIGMA[config.variant]
        edge, ways = width if gnn else width // 2, 3 if config.reversed_edges else 1
        self.scale = ScaleInputs(preparation.scaling)
        self.node = Projection(1, width, sigma=sigma)
        self.kernel = (
            Projection(ways * limits.kernel**2, edge, sigma=sigma) if limits.kernel else None
        )
        apart = not (limits.kernel and config.linear_as_conv)
        self.linear = Projection(ways, edge, sigma=sigma) if apart else None
        self.places = nn.Parameter(torch.randn(places(limits), width))
        told = config.activation_embedding
        self.activations = nn.Embedding(len(ACTIVATIONS), width) if told else None
        if gnn:
            self.graph = GraphNetwork(
                width,
                layers=config.layers,
                degrees=[
                    degree
                    for architecture in preparation.architectures
                    for degree in degrees(
                        read_stages(architecture, skips=True), both=config.reversed_edges
                    )
                ],
                dropout=config.dropout,
            )
        else:
            self.graph = RelationalTransformer(
                width, layers=config.layers, heads=config.heads, dropout=config.dropout
            )
        hidden = width if gnn else 2 * width
        self.encode = Predictor(limits.outputs * width, (hidden,), hidden)
        self.predict = nn.Linear(hidden, preparation.outputs)
        if not gnn:
            xavier(self.graph)

    def forward(self, batch: Batch) -> Outputs:
        """Encode and predict."""
        for group in batch:
            check_taken(self, group.architecture)
            check_weights(group.architecture, group.weights)
        read = torch.cat([self._outputs(group) for group in batch])
        encoding = torch.relu(self.encode(read))
        return Outputs(encoding=encoding, prediction=self.predict(encoding))

    def refusal(self, architecture: Architecture) -> str | None:
        """What is no chain of layers, or larger than the model was prepared for."""
        return self.limits.refusal(architecture, model="neuralgraph")

    def _outputs(self, group: Group) -> Float[Tensor, "b f"]:
        """The output neurons' features of one architecture's networks."""
        stages = read_stages(group.architecture, skips=True)
        kernels, biases = stage_weights(stages, self.scale(group.architecture, group.weights))
        if self.training:
            kernels, biases = ([self._disturbed(w) for w in part] for part in (kernels, biases))
        sizes = level_sizes(stages)
        first = kernels[0].new_zeros(len(kernels[0]), sizes[0])
        nodes = self.node(torch.cat([first, *biases], dim=1)[:, :, None])
        nodes = nodes + self.places[node_places(stages, self.limits).to(nodes.device)]
        if self.activations is not None:
            nodes = nodes + told_activations(self.activations, group, stages)
        links = [*self._kernel_links(stages, kernels), *self._skip_links(stages, like=kernels[0])]
        found = self.graph(nodes, links, self._absent(kernels[0]), sizes)
        return found[:, -sizes[-1] :].flatten(1)

    def _kernel_links(
        self, stages: Sequence[Stage], kernels: Sequence[Float[Tensor, "b _ _ _ _"]]
    ) -> Iterator[Link]:
        """The stages' edges."""
        for level, (stage, weights) in enumerate(zip(stages, kernels, strict=True)):
            plain = stage.kernel is None and self.linear is not None
            numbers = weights.flatten(3) if plain else padded(weights, self.limits.kernel)
            onward = Link(source=level, target=level + 1, features=numbers)
            yield from self._ways(onward, self.linear if plain else self.kernel)

    def _skip_links(self, stages: Sequence[Stage], *, like: Tensor) -> Iterator[Link]:
        """Skip connections: what they add is a channel times 1, so a 1 in a kernel's centre."""
        one = like.new_ones(len(like), 1, 1, 1, 1)
        numbers = one.flatten(3) if self.kernel is None else padded(one, self.limits.kernel)
        for onward in skip_links(stages, numbers):
            yield from self._ways(onward, self.kernel or self.linear)

    def _ways(self, onward: Link, project: Projection | None) -> Iterator[Link]:
        """Edges, their numbers embedded: where these stand says which way an edge goes."""
        assert project is not None
        numbers = onward.features
        if not self.config.reversed_edges:
            yield replace(onward, features=project(numbers))
            return
        nothing = torch.zeros_like(numbers)
        back = project(torch.cat([nothing, numbers, numbers], dim=3))
        yield replace(onward, features=project(torch.cat([numbers, nothing, numbers], dim=3)))
        yield Link(
            source=onward.target,
            target=onward.source,
            features=back if onward.alike else back.transpose(1, 2),
            alike=onward.alike,
        )

    def _absent(self, like: Tensor) -> Float[Tensor, " d"]:
        """The feature of an edge that is not there: that of a kernel of zeros, as published."""
        project = self.kernel or self.linear
        assert project is not None
        return project(like.new_zeros(project.numbers))

    def _disturbed(self, weights: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Augmentation as published: noise of the tensor's deviation, and weights left out."""
        if self.config.noise:
            deviation = weights.flatten(1).std(1, correction=0).view(-1, *[1] * (weights.dim() - 1))
            weights = weights + self.config.noise * deviation * torch.randn_like(weights)
        return F.dropout(weights, self.config.drop) if self.config.drop else weights


def told_activations(
    table: nn.Embedding, group: Group, stages: Sequence[Stage]
) -> Float[Tensor, "b n d"]:
    """For each hidden neuron the embedding of its activation; zeros where it is not known."""
    levels = [torch.full((len(group.weights), stages[0].inputs.size), -1)]
    for stage in stages:
        number = activation_number(stage, group)
        levels.append(number[:, None].expand(-1, stage.outputs.size))
    numbers = torch.cat(levels, dim=1).to(group.weights.device)
    return torch.where((numbers >= 0)[:, :, None], table(numbers.clamp(min=0)), 0.0)


KIND = ModelKind(
    summary="graph of neurons, messages or attention: chains, skips, kernels up to a declared size",
    config=NeuralGraphConfig,
    make=NeuralGraph,
    invariant=True,
    usual={
        "cnn": Usual(
            settings={"width": 256, "noise": 0.1, "drop": 0.01},
            training={"scaling": "none", "batch": 128},
            optimizer={"milestones": (), "weight_decay": 5e-4, "clip_norm": 10.0},
        ),
        "inr": Usual(
            settings={"width": 32, "reversed_edges": True, "dropout": 0.2},
            training={"batch": 128, "epochs": 200},
            optimizer={"milestones": (), "weight_decay": 5e-4, "clip_norm": 10.0, "warmup": 1000},
        ),
    },
)
