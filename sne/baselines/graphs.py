"""Networks as graphs of neurons: what NeuralGraph and ScaleGMN share.

Neurons (channels, input and output ones included) stand in levels, one for each side of a stage;
between two levels every pair has an edge, whose feature is the kernel between the two. All networks
of one architecture have one graph, so nodes are (networks, neurons, features), and the edges of a
stage (networks, to, from, features): dense products, and no list of edges. A skip connection is an
edge from each of its neurons to the like one.

How much is declared before training: the largest kernel, input neurons, hidden levels. Inputs and
outputs keep their places, each with an embedding of its own; hidden levels have one each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from sne.baselines.stages import Stage, read_stages, why_not_stages
from sne.errors import ModelError
from sne.model import ACTIVATIONS, Group
from sne.zoo import Architecture

ANY_OTHER = "or choose a model that takes any architecture"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How large the graphs are that a model was prepared for."""

    kernel: int
    """Side of the largest kernel; 0: no layer has one."""
    inputs: int
    hidden: int
    outputs: int
    """All graphs have so many."""

    def wider(self, **declared: int | None) -> "Limits":
        """With larger numbers where they are declared."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name: number for name, number in declared.items() if number is not None}
        return Limits(**{**own, **{name: max(own[name], n) for name, n in given.items()}})

    def refusal(self, architecture: Architecture, *, model: str) -> str | None:
        """Why networks are no such graphs, as a sentence that says what would help; or None."""
        family = architecture.family
        if (reason := no_graph(architecture, model=model)) is not None:
            return reason
        found = limits_of([architecture], model=model)
        for name, what in (("kernel", "kernels of side"), ("inputs", "input channels, up to"),
                           ("hidden", "hidden layers, up to")):  # fmt: skip
            number, most = getattr(found, name), getattr(self, name)
            if number > most:
                return (
                    f"{model} was prepared for {what} {most}, and {family} has {number}: train "
                    f"with --{model}.{name} {number}, {ANY_OTHER}"
                )
        if found.outputs != self.outputs:
            return (
                f"{model} reads what it predicts from {self.outputs} output neurons, each at its "
                f"place, and {family} has {found.outputs}: take networks with as many outputs, "
                f"{ANY_OTHER}"
            )
        return None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Link:
    """All edges from one level of neurons to another."""

    source: int
    target: int
    features: Float[Tensor, "b t s d"]
    """Of every pair; (b, count, 1, d) of an `alike` one."""
    alike: bool = False
    """A skip connection: each of the first `count` neurons to the one at its own place."""

    @property
    def count(self) -> int:
        """Neurons of the target that it reaches."""
        return self.features.shape[1]

    def ends(
        self, targets: Float[Tensor, "b t d"], sources: Float[Tensor, "b s d"]
    ) -> Float[Tensor, "b _ _ d"]:
        """For each edge the sum of something of its two ends."""
        if self.alike:
            return (targets[:, : self.count] + sources[:, : self.count])[:, :, None]
        return targets[:, :, None] + sources[:, None]


def no_graph(architecture: Architecture, *, model: str) -> str | None:
    """Why networks are no chains of stages, as a sentence; None if they are."""
    if (reason := why_not_stages(architecture, skips=True)) is None:
        return None
    return (
        f"{model} reads convolutions and linear layers one behind another, and {reason}: take "
        f"networks of such layers, {ANY_OTHER}"
    )


def limits_of(architectures: Sequence[Architecture], *, model: str) -> Limits:
    """The smallest limits that hold these graphs; the number of outputs is the first one's.

    Raises:
        ModelError: an architecture is no chain of stages.
    """
    for architecture in architectures:
        if (reason := no_graph(architecture, model=model)) is not None:
            raise ModelError(reason)
    chains = [read_stages(architecture, skips=True) for architecture in architectures]
    return Limits(
        kernel=max(max(stage.kernel or (0,)) for chain in chains for stage in chain),
        inputs=max(chain[0].inputs.size for chain in chains),
        hidden=max(len(chain) - 1 for chain in chains),
        outputs=chains[0][-1].outputs.size,
    )


def level_sizes(stages: Sequence[Stage]) -> list[int]:
    """Neurons in each level: inputs, hidden ones, outputs."""
    return [stages[0].inputs.size, *(stage.outputs.size for stage in stages)]


def skip_counts(stages: Sequence[Stage]) -> Iterator[tuple[int, int, int]]:
    """Of each skip connection the level it comes from, the one it goes to, and its channels."""
    sizes = level_sizes(stages)
    for level, stage in enumerate(stages, start=1):
        for source in stage.skips:
            yield source, level, min(sizes[source], sizes[level])


def tied_levels(stages: Sequence[Stage]) -> frozenset[int]:
    """Levels whose neurons a skip connection ties to those of another."""
    return frozenset(level for *ends, _ in skip_counts(stages) for level in ends)


def skip_links(stages: Sequence[Stage], numbers: Float[Tensor, "b 1 1 k"]) -> Iterator[Link]:
    """An edge for each neuron that a skip connection reaches, all with the same numbers."""
    for source, target, count in skip_counts(stages):
        features = numbers.expand(-1, count, -1, -1)
        yield Link(source=source, target=target, features=features, alike=True)


def degrees(stages: Sequence[Stage], *, both: bool) -> list[int]:
    """Messages that each neuron gets; `both`: edges run from output to input as well."""
    sizes = level_sizes(stages)
    before, after = [0, *sizes[:-1]], [*sizes[1:], 0]
    found = [
        [earlier + (later if both else 0)] * size
        for size, earlier, later in zip(sizes, before, after, strict=True)
    ]
    for source, target, count in skip_counts(stages):
        for level in (target, source) if both else (target,):
            for neuron in range(count):
                found[level][neuron] += 1
    return [degree for level in found for degree in level]


def node_places(stages: Sequence[Stage], limits: Limits) -> Int[Tensor, " n"]:
    """For each neuron the row of a table of places: each input, each hidden level, each output."""
    inputs, *hidden, outputs = level_sizes(stages)
    first = limits.inputs + limits.hidden
    levels = torch.arange(limits.inputs, limits.inputs + len(hidden))
    return torch.cat(
        [
            torch.arange(inputs),
            levels.repeat_interleave(torch.tensor(hidden, dtype=torch.int64)),
            torch.arange(first, first + outputs),
        ]
    )


def places(limits: Limits) -> int:
    """Rows of the table of places."""
    return limits.inputs + limits.hidden + limits.outputs


def padded(kernels: Float[Tensor, "b o i h w"], side: int) -> Float[Tensor, "b o i k"]:
    """Kernels centred in a square of zeros, as published, and flattened."""
    rows, columns = kernels.shape[-2:]
    above, left = (side - rows) // 2, (side - columns) // 2
    around = (left, side - columns - left, above, side - rows - above)
    return F.pad(kernels, around).flatten(3)


def activation_number(stage: Stage, group: Group) -> Int[Tensor, " b"]:
    """What follows a stage in each network, as a place in ACTIVATIONS; -1 where it is not known.

    On the CPU.
    """
    name = stage.activation or ""
    if name in group.activations:
        return group.activations[name]
    number = ACTIVATIONS.index(name) if name in ACTIVATIONS else -1
    return torch.full((len(group.weights),), number)
