"""A description read as stages: layers in a row, each one matrix or kernel, and perhaps a bias.

What neural functionals and graphs of neurons start from. Said of every stage: the spaces that its
outputs and inputs lie in, which of them may be permuted, the kernel, and what follows it up to the
next stage. A linear layer behind a flatten is read as the convolution whose kernel covers the map.
Weights come as (out, in, rows, columns), whatever order a flatten has; a matrix has 1 × 1.

Stages are a chain. Who can read skip connections asks for them: then a stage also says which
earlier outputs are added to its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

from sne.errors import ModelError
from sne.zoo import Architecture, Axis, Node, Space, TensorSpec

LAYERS = ("linear", "conv2d")
BETWEEN = ("max_pool", "mean_pool", "flatten")
"""What may stand between layers: nothing that has weights, or joins two paths."""
SKIP = "residual"
"""The edges of skip connections."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One layer."""

    layer: str
    """Its name in the description."""
    outputs: Space
    inputs: Space
    """Of channels or neurons; the `outputs` of the stage before."""
    kernel: tuple[int, int] | None
    """(rows, columns); None: a matrix."""
    weight: TensorSpec
    bias: TensorSpec | None
    channels_last: bool = False
    """Behind a flatten whose positions come before channels."""
    activation: str | None = None
    """Before the next stage: a name, or `config.…` where every network has its own."""
    w0: float | None = None
    """Of a sine."""
    maximum: bool = False
    """Before the next stage a maximum over places is taken, which is no odd function."""
    skips: tuple[int, ...] = ()
    """Stages, counted from 1, whose outputs are added before the activation, 0 for the network's
    input; on the first channels that both have."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(out, in, rows, columns)."""
        rows, columns = self.kernel or (1, 1)
        return self.outputs.size, self.inputs.size, rows, columns

    @property
    def place(self) -> tuple[int, ...]:
        """Equal where one architecture's weights can stand for another's.

        All sizes, where the numbers lie, and which axes may be permuted.
        """
        bias = -1 if self.bias is None else self.bias.offset
        last, free = self.channels_last, (self.outputs.permutable, self.inputs.permutable)
        return (*self.shape, self.kernel is None, self.weight.offset, bias, last, *free)


def read_stages(architecture: Architecture, *, skips: bool = False) -> tuple[Stage, ...]:
    """The layers in the order of the network.

    Args:
        architecture: whose layers.
        skips: read skip connections as well. Without, a network that has some is no chain.

    Raises:
        ModelError: it is not such a chain; the sentence is a clause that says why.
    """
    path = _path(architecture, skips=skips)
    places = [number for number, node in enumerate(path) if node.op in LAYERS]
    if not places:
        raise ModelError(f"{architecture.family} has no layer of these")
    ends = [*places[1:], len(path)]
    stages = tuple(
        _stage(architecture, path[here:end], skips=_skips(architecture, path, path[here]))
        for here, end in zip(places, ends, strict=True)
    )
    _check(architecture, stages, tied=skips)
    return stages


def stage_weights(
    stages: Sequence[Stage], weights: Float[Tensor, "b p"]
) -> tuple[list[Float[Tensor, "b _ _ _ _"]], list[Float[Tensor, "b _"]]]:
    """Each stage's weight and bias; a bias that is not there is zero: the function is the same."""
    kernels = [_kernel(stage, weights) for stage in stages]
    biases = [
        weights.new_zeros(len(weights), stage.outputs.size)
        if stage.bias is None
        else weights[:, stage.bias.offset : stage.bias.offset + stage.bias.size]
        for stage in stages
    ]
    return kernels, biases


def why_not_stages(architecture: Architecture, *, skips: bool = False) -> str | None:
    """Why a description cannot be read as stages; None if it can."""
    try:
        read_stages(architecture, skips=skips)
    except ModelError as error:
        return str(error)
    return None


def describe(stages: Sequence[Stage]) -> str:
    """Sizes in one line: `3×8·5·5, 8×10`."""
    return ", ".join(
        f"{s.inputs.size}×{s.outputs.size}" + "".join(f"·{k}" for k in s.kernel or ())
        for s in stages
    )


def _path(architecture: Architecture, *, skips: bool) -> list[Node]:
    """The nodes from input to output, along edges of which each node has one, skips aside."""
    family, nodes = architecture.family, {node.name: node for node in architecture.nodes}
    edges = [edge for edge in architecture.edges if not (skips and edge.kind == SKIP)]
    for node in architecture.nodes:
        if node.op not in (*LAYERS, *BETWEEN, "input", "output"):
            raise ModelError(f"{family} has {node.name} ({node.op})")
    if not edges:
        raise ModelError(f"what feeds what in {family} is not described")
    onward = {edge.source: edge.target for edge in edges}
    here = next(node.name for node in architecture.nodes if node.op == "input")
    path = [nodes[here]]
    while here in onward and len(path) <= len(nodes):
        here = onward[here]
        path.append(nodes[here])
    if len(path) != len(nodes) or len(edges) != len(nodes) - 1:
        raise ModelError(f"{family} is not one chain of layers")
    return path


def _skips(architecture: Architecture, path: Sequence[Node], node: Node) -> tuple[int, ...]:
    """The stages whose outputs are added to a layer's."""
    names = [one.name for one in path]
    here = names.index(node.name)
    sources = {e.source for e in architecture.edges if e.kind == SKIP and e.target == node.name}
    found = sorted(_layers(path[: names.index(source) + 1]) for source in sources)
    if any(level >= _layers(path[:here]) for level in found):
        raise ModelError(
            f"{node.name} of {architecture.family} adds what it reads itself, or what comes later"
        )
    return tuple(found)


def _layers(nodes: Sequence[Node]) -> int:
    return sum(node.op in LAYERS for node in nodes)


def _stage(architecture: Architecture, path: Sequence[Node], *, skips: tuple[int, ...]) -> Stage:
    """One layer and the nodes behind it, up to the next."""
    node, family = path[0], architecture.family
    tensors = {tensor.role: tensor for tensor in architecture.tensors_of(node.name)}
    weight, bias = tensors.get("weight"), tensors.get("bias")
    if weight is None or set(tensors) - {"weight", "bias"}:
        raise ModelError(f"{node.name} of {family} has other tensors than a weight and a bias")
    spaces = {space.name: space for space in architecture.spaces}
    inputs, last = _inputs(weight.axes[1], spaces, where=f"{node.name} of {family}")
    active = next((n for n in path if n.activation is not None), None)
    return Stage(
        layer=node.name,
        outputs=_only(weight.axes[0], spaces, where=f"{node.name} of {family}"),
        inputs=inputs,
        kernel=_kernel_size(node, weight, inputs, where=f"{node.name} of {family}"),
        weight=weight,
        bias=bias,
        channels_last=last,
        activation=None if active is None else active.activation,
        w0=None if active is None else active.w0,
        maximum=any(n.op == "max_pool" for n in path),
        skips=skips,
    )


def _only(axis: Axis, spaces: dict[str, Space], *, where: str) -> Space:
    """An axis's space; pieces end to end, each permuted by itself, are one of a fixed order."""
    if axis.blocks:
        parts = [_only(block, spaces, where=where) for block in axis.blocks]
        name = " ".join(part.name for part in parts)
        return Space(name=name, size=axis.size, permutable=False)
    if len(axis.factors) != 1:
        raise ModelError(f"an axis of {where} lies in several spaces")
    return spaces[axis.factors[0].space]


def _inputs(axis: Axis, spaces: dict[str, Space], *, where: str) -> tuple[Space, bool]:
    """The space of channels, and whether positions come before it."""
    if axis.blocks or len(axis.factors) == 1:
        return _only(axis, spaces, where=where), False
    if len(axis.factors) != 2:
        raise ModelError(f"the inputs of {where} are not channels × positions")
    channel, position = axis.factors
    if spaces[position.space].permutable:
        channel, position = position, channel
    if spaces[position.space].permutable:
        raise ModelError(f"the inputs of {where} are a product of two orders of neurons")
    return spaces[channel.space], channel.stride < position.stride


def _kernel_size(
    node: Node, weight: TensorSpec, inputs: Space, *, where: str
) -> tuple[int, int] | None:
    if node.op == "conv2d":
        rows, columns = weight.shape[2:]
        return rows, columns
    positions = weight.shape[1] // inputs.size
    if node.as_conv is not None:
        _, _, rows, columns = node.as_conv
        if rows * columns != positions:
            raise ModelError(f"{where} has {positions} positions, its kernel {rows} × {columns}")
        return rows, columns
    return None if positions == 1 else (1, positions)


def _check(architecture: Architecture, stages: Sequence[Stage], *, tied: bool) -> None:
    """Each stage reads what the one before gives, and every tensor belongs to a stage.

    Unless layers may be `tied`, as those that a skip connection joins are, each has an order of
    neurons of its own.
    """
    family = architecture.family
    for before, after in pairwise(stages):
        if before.outputs != after.inputs:
            raise ModelError(f"{after.layer} of {family} does not read what {before.layer} gives")
    if not tied and len({stage.outputs.name for stage in stages}) < len(stages):
        raise ModelError(f"two layers of {family} share one order of neurons")
    if len(list(_owned(stages))) < len(architecture.tensors):
        raise ModelError(f"{family} has weights outside its layers")


def _owned(stages: Sequence[Stage]) -> Iterator[TensorSpec]:
    for stage in stages:
        yield stage.weight
        if stage.bias is not None:
            yield stage.bias


def _kernel(stage: Stage, weights: Float[Tensor, "b p"]) -> Float[Tensor, "b o i h w"]:
    flat = weights[:, stage.weight.offset : stage.weight.offset + stage.weight.size]
    out, channels, rows, columns = stage.shape
    if stage.channels_last:
        return flat.unflatten(1, (out, rows, columns, channels)).permute(0, 1, 4, 2, 3)
    return flat.unflatten(1, (out, channels, rows, columns))
