"""ScaleGMN: messages between neurons that follow their permutations, signs and scales.

    x_i ← UPD(x_i, Σ_j MSG(W e_ij ⊙ W x_j)),   e_ij ← W e_ij ⊙ MLP(x_i, x_j unchanged)

Node features are biases, edge features kernels; both enter by a linear map without bias, since a
neuron's bias and weights turn with it. Which symmetry a hidden neuron has follows from what stands
behind its layer: a sign for tanh and sine (but not where a maximum over places is taken), a scale
for ReLU; where each network of a zoo has an activation of its own, networks are computed apart by
it, and one whose activation is not known has permutations alone. So have neurons that a skip
connection ties to others, whose signs and scales could only turn together.

Source: Kalogeropoulos et al. 2024 (arXiv:2406.10685) and its published code (jkalogero/scalegmn),
whose forward variant this is. docs/baselines.md says what follows it and what differs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from sne.baselines.equivariant import (
    HOMOGENEOUS,
    ODD,
    EdgeFactor,
    Equivariant,
    Invariant,
    Kind,
    Mlp,
    Style,
    kind_of,
)
from sne.baselines.graphs import (
    Link,
    activation_number,
    level_sizes,
    limits_of,
    node_places,
    padded,
    places,
    skip_links,
    tied_levels,
)
from sne.baselines.stages import Stage, read_stages, stage_weights
from sne.errors import SettingError
from sne.model import (
    ACTIVATIONS,
    CONFIG_COLUMN,
    Batch,
    Group,
    ModelKind,
    Outputs,
    Preparation,
    Usual,
    check_taken,
)
from sne.scaling import InputScaling, ScaleInputs
from sne.tokens import check_weights
from sne.zoo import Architecture

NAME = "scalegmn"
Readout: TypeAlias = Literal["outputs", "all"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleGmnConfig:
    """Sizes, and how the graph is read."""

    width: int = 64
    """Of nodes, edges and messages. Published: 64 and 128."""
    hidden_width: int | None = None
    """Of the hidden layer in every MLP; None: the width."""
    layers: int = 4
    readout: Readout = "all"
    """What is read off: output neurons, or these, inputs, and a sum over hidden ones."""
    skip: bool = True
    """A linear map of each neuron's feature is added to the next one."""
    edge_places: bool = False
    """Edges have embeddings of the place they are at."""
    symmetrize: bool = False
    """Signs are made unseen by ρ(x) + ρ(−x), with a learnt ρ, instead of |x|."""
    phase: bool = True
    """Biases of sine neurons are first brought within half a period, which flips signs behind."""
    dropout: float = 0.0
    """Of node features between layers, in training."""
    dropout_all: bool = False
    """Also within MLPs."""
    kernel: int | None = None
    """Side of the largest kernel that can be read; None: the largest that is trained on."""
    inputs: int | None = None
    """Most input channels; None: as trained on."""
    hidden: int | None = None
    """Most hidden layers; None: as trained on."""

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.hidden_width or 1) < 1 or not 0 <= self.dropout < 1:
            raise SettingError(f"sizes are at least 1, dropout is a share below 1, got {self}")


class ScaleGmn(nn.Module):
    """Takes chains of layers, skips too, within the limits that were declared or trained on."""

    def __init__(self, config: ScaleGmnConfig, preparation: Preparation) -> None:
        super().__init__()
        self.config = config
        self.limits = limits = limits_of(preparation.architectures, model=NAME).wider(
            kernel=config.kernel, inputs=config.inputs, hidden=config.hidden
        )
        self.kinds: frozenset[Kind] = frozenset()
        self.kinds = self.kinds.union(*(kinds_in(a) for a in preparation.architectures))
        width = config.width
        style = Style(
            hidden=config.hidden_width or width,
            kinds=self.kinds,
            symmetrize=config.symmetrize,
            dropout=config.dropout if config.dropout_all else 0.0,
        )
        self.scale = ScaleInputs(only_divided(preparation.scaling))
        self.side = max(1, limits.kernel)
        self.node = nn.Linear(1, width, bias=False)
        self.edge = nn.Linear(self.side**2, width, bias=False)
        self.places = nn.Parameter(torch.randn(places(limits), width))
        edge_rows = limits.inputs + max(0, limits.hidden - 1) + limits.outputs
        on = config.edge_places
        self.edge_places = nn.Parameter(torch.randn(edge_rows, width)) if on else None
        last = config.layers - 1
        self.layers = nn.ModuleList(
            Layer(
                width,
                style,
                skip=config.skip,
                updates_edges=number < last,
                only_outputs=number == last and config.readout == "outputs",
            )
            for number in range(config.layers)
        )
        rows = limits.outputs if config.readout == "outputs" else limits.outputs + limits.inputs + 1
        self.hidden = HiddenSum(width, style) if config.readout == "all" else None
        self.encode = nn.Linear(rows * width, style.hidden)
        self.norm = nn.LayerNorm(style.hidden)
        self.predict = nn.Linear(style.hidden, preparation.outputs)

    def forward(self, batch: Batch) -> Outputs:
        """Encode and predict."""
        for group in batch:
            check_taken(self, group.architecture)
            check_weights(group.architecture, group.weights)
        read = torch.cat([self._read(group) for group in batch])
        encoding = F.silu(self.norm(self.encode(read)))
        return Outputs(encoding=encoding, prediction=self.predict(encoding))

    def refusal(self, architecture: Architecture) -> str | None:
        """What is no chain, larger than prepared for, or has neurons of another symmetry."""
        if (reason := self.limits.refusal(architecture, model=NAME)) is not None:
            return reason
        if others := kinds_in(architecture) - self.kinds - {"free"}:
            known = " or ".join(sorted(self.kinds - {"free"})) or "no"
            return (
                f"{NAME} was prepared for neurons with {known} symmetry, and {architecture.family} "
                f"has some with {' and '.join(sorted(others))}: train on such networks too, or "
                "choose a model that takes any architecture"
            )
        return None

    def _read(self, group: Group) -> Float[Tensor, "b f"]:
        """What is read off the graphs of one architecture's networks, in their order."""
        stages = read_stages(group.architecture, skips=True)
        rows, found = [], []
        for index, kinds in alike(group, stages):
            part = group if index is None else group.rows(index)
            rows.append(index)
            found.append(self._graphs(part, stages, kinds))
        if len(found) == 1:
            return found[0]
        back = torch.cat(rows).argsort().to(found[0].device)
        return torch.cat(found)[back]

    def _graphs(
        self, group: Group, stages: Sequence[Stage], kinds: Sequence[Kind]
    ) -> Float[Tensor, "b f"]:
        """Networks whose neurons have the same symmetries; `kinds` has one for each level."""
        weights = group.weights
        if self.config.phase:
            weights = in_phase(stages, weights)
        kernels, biases = stage_weights(stages, self.scale(group.architecture, weights))
        sizes = level_sizes(stages)
        inputs = weights.new_zeros(len(weights), sizes[0])
        table = self.places[node_places(stages, self.limits).to(weights.device)].split(sizes)
        nodes = [
            self.node(b[:, :, None]) + place if kind == "free" else self.node(b[:, :, None]) * place
            for b, place, kind in zip([inputs, *biases], table, kinds, strict=True)
        ]
        links = [
            Link(source=level, target=level + 1, features=self._edge(level, stages, w))
            for level, w in enumerate(kernels)
        ]
        # What a skip connection adds is a channel times 1: a kernel with a 1 in its centre.
        one = weights.new_ones(len(weights), 1, 1, 1, 1)
        links += skip_links(stages, self.edge(padded(one, self.side)))
        for layer in self.layers:
            nodes, links = layer(nodes, links, kinds)
            nodes = [F.dropout(x, self.config.dropout, self.training) for x in nodes]
        if self.hidden is None:
            return nodes[-1].flatten(1)
        ends = [F.pad(nodes[0], (0, 0, 0, self.limits.inputs - sizes[0])), nodes[-1]]
        summed = self.hidden(nodes[1:-1], kinds[1:-1])
        return torch.cat([summed, *(x.flatten(1) for x in ends)], dim=1)

    def _edge(
        self, level: int, stages: Sequence[Stage], weights: Float[Tensor, "b o i h w"]
    ) -> Float[Tensor, "b o i d"]:
        edges = self.edge(padded(weights, self.side))
        if self.edge_places is None:
            return edges
        outputs = self.limits.outputs
        if level == len(stages) - 1:
            return edges * self.edge_places[-outputs:, None]
        if level == 0:
            return edges * self.edge_places[: stages[0].inputs.size]
        return edges * self.edge_places[self.limits.inputs + level - 1]


class Layer(nn.Module):
    """One round of messages, by levels."""

    def __init__(
        self, width: int, style: Style, *, skip: bool, updates_edges: bool, only_outputs: bool
    ) -> None:
        super().__init__()
        self.only_outputs = only_outputs
        self.of_nodes = nn.Linear(width, width, bias=False)
        self.of_edges = nn.Linear(width, width, bias=False)
        self.message = Equivariant(width, width, style, only_free=only_outputs)
        self.update = Equivariant(2 * width, width, style, only_free=only_outputs)
        self.skip = nn.Linear(width, width, bias=False) if skip else None
        self.edges = EdgeFactor(width, style) if updates_edges else None

    def forward(
        self, nodes: Sequence[Float[Tensor, "b _ d"]], links: Sequence[Link], kinds: Sequence[Kind]
    ) -> tuple[list[Tensor], list[Link]]:
        """Nodes of each level and edges, next."""
        first = len(nodes) - 1 if self.only_outputs else 0
        found = list(nodes[:first])
        for level in range(first, len(nodes)):
            x, kind = nodes[level], kinds[level]
            gathered = [self._gathered(link, nodes, kind) for link in links if link.target == level]
            gathered = sum(gathered[1:], gathered[0]) if gathered else torch.zeros_like(x)
            new = self.update(torch.cat([x, gathered], dim=2), kind)
            found.append(new if self.skip is None else new + self.skip(x))
        return found, self._edges(nodes, links, kinds)

    def _gathered(
        self, link: Link, nodes: Sequence[Float[Tensor, "b _ d"]], kind: Kind
    ) -> Float[Tensor, "b _ d"]:
        """What each neuron of a level gets along some edges."""
        source, edges = self.of_nodes(nodes[link.source]), self.of_edges(link.features)
        if not link.alike:
            return self.message(edges * source[:, None], kind).sum(2)
        messages = self.message(edges[:, :, 0] * source[:, : link.count], kind)
        return F.pad(messages, (0, 0, 0, nodes[link.target].shape[1] - link.count))

    def _edges(
        self, nodes: Sequence[Tensor], links: Sequence[Link], kinds: Sequence[Kind]
    ) -> list[Link]:
        if self.edges is None:
            return list(links)
        ends = [self.edges.ends(x, kind) for x, kind in zip(nodes, kinds, strict=True)]
        found: list[Link] = []
        for link in links:
            (source, _), (_, target) = ends[link.source], ends[link.target]
            features = self.edges(link.features, link.ends(target, source))
            found.append(replace(link, features=features))
        return found


class HiddenSum(nn.Module):
    """A sum over hidden neurons of what does not turn with them."""

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.invariant = Invariant(width, style)
        self.each = nn.ModuleDict({kind: Mlp(width, width, style) for kind in sorted(style.kinds)})

    def forward(
        self, nodes: Sequence[Float[Tensor, "b _ d"]], kinds: Sequence[Kind]
    ) -> Float[Tensor, "b d"]:
        """One row for each network."""
        parts = [
            self.each[kind](self.invariant(x, kind)).sum(1)
            for x, kind in zip(nodes, kinds, strict=True)
        ]
        return torch.stack(parts).sum(0)


def only_divided(scaling: InputScaling) -> InputScaling:
    """A scaling that turns with a neuron: weights are divided, and not centred.

    Raises:
        SettingError: weights are compressed, or their signs left out.
    """
    if scaling.knee is not None or scaling.absolute:
        raise SettingError(
            f"{NAME} follows signs and scales of weights, which --scaling compressed and magnitude "
            "do not leave: choose none or standard (it divides, and does not centre)"
        )
    return replace(scaling, mean=torch.zeros_like(scaling.mean))


def kinds_in(architecture: Architecture) -> frozenset[Kind]:
    """Symmetries that hidden neurons of such networks can have."""
    found: set[Kind] = set()
    stages = read_stages(architecture, skips=True)
    tied = tied_levels(stages)
    for level, stage in enumerate(stages[:-1], start=1):
        own = (stage.activation or "").startswith(CONFIG_COLUMN)
        names = (*ODD, *HOMOGENEOUS, None) if own else (stage.activation,)
        found |= {_kind(stage, name, tied=level in tied) for name in names}
    return frozenset(found)


def _kind(stage: Stage, activation: str | None, *, tied: bool) -> Kind:
    return "free" if tied else kind_of(activation, maximum=stage.maximum)


def alike(
    group: Group, stages: Sequence[Stage]
) -> Iterator[tuple[Int[Tensor, " c"] | None, list[Kind]]]:
    """Networks (None: all) with the kind of each level; levels of inputs and outputs are free."""
    numbers = [activation_number(stage, group) for stage in stages[:-1]]
    if not numbers:
        yield None, ["free", "free"]
        return
    tied = tied_levels(stages)
    patterns, of = torch.stack(numbers, dim=1).unique(dim=0, return_inverse=True)
    for row, pattern in enumerate(patterns.tolist()):
        kinds: list[Kind] = ["free"]
        for level, (number, stage) in enumerate(zip(pattern, stages[:-1], strict=True), start=1):
            name = ACTIVATIONS[number] if number >= 0 else None
            kinds.append(_kind(stage, name, tied=level in tied))
        index = (of == row).nonzero()[:, 0] if len(patterns) > 1 else None
        yield index, [*kinds, "free"]


def in_phase(stages: Sequence[Stage], weights: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
    """The same functions, with the phase of each sine neuron in [−π/2, π/2].

    sin(x + kπ) is sin(x) for even k and −sin(x) for odd k, a sign for the weights behind.
    """
    moved, tied = weights, tied_levels(stages)
    for level, (stage, after) in enumerate(pairwise(stages), start=1):
        if stage.activation != "sine" or stage.bias is None or level in tied:
            continue
        moved = moved.clone() if moved is weights else moved
        half = math.pi / (stage.w0 or 1.0)
        bias = moved[:, stage.bias.offset : stage.bias.offset + stage.bias.size]
        turns = (bias / half).round()
        bias.sub_(turns * half)
        (kernels,), _ = stage_weights([after], moved)
        kernels.mul_((1 - 2 * (turns % 2))[:, None, :, None, None])
    return moved


KIND = ModelKind(
    summary="messages that follow neurons' order, signs and scales: chains of layers, skips too",
    config=ScaleGmnConfig,
    make=ScaleGmn,
    invariant=True,
    usual={
        # Published for SVHN's ReLU half; its other half has the same sizes and learnt ρ for signs.
        "cnn": Usual(
            settings={"symmetrize": True},
            training={"scaling": "none", "batch": 16, "epochs": 200},
            optimizer={"milestones": (), "clip_norm": 10.0, "warmup": 1000},
        ),
        # Published for INRs of Fashion-MNIST.
        "inr": Usual(
            settings={
                "width": 128,
                "hidden_width": 64,
                "layers": 2,
                "edge_places": True,
                "symmetrize": True,
                "dropout": 0.2,
                "dropout_all": True,
            },
            training={"batch": 128, "epochs": 200},
            optimizer={"milestones": (), "weight_decay": 1e-2, "clip_norm": 10.0, "warmup": 1000},
        ),
    },
)
