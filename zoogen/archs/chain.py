"""Sequential networks as data: a tuple of layers becomes an `Architecture`.

Conventions, which `zoogen.forward` and `zoogen.archs.modules` follow:

* A node computes op, then activation, then dropout. What the source prints as "conv, pool, ReLU"
  is a conv2d node without activation and a max_pool node that carries activation and dropout.
* The first node is `input`, the last one `output`; neither computes anything.
* Tensors are named `{layer}.weight` and `{layer}.bias`, weight first, kernels as (out, in, kh, kw).
* A hidden layer's output channels are a permutable space with the layer's name. Input channels
  (`input`), kernel rows and columns, positions behind a flatten and the last layer's outputs are
  fixed.
* The edge into a pool node is of kind `pool`, into a flatten node `flatten`, otherwise `feed`.

No space here is rescalable: a ReLU drawn for each member (`config.activation`) scales, the tanh
drawn for its neighbour does not, and a description speaks for both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, runtime_checkable

from zoogen.description import (
    Architecture,
    Axis,
    Edge,
    EdgeKind,
    Factor,
    Node,
    Role,
    Space,
    TensorSpec,
)
from zoogen.errors import PlanError

ACTIVATION = "config.activation"
DROPOUT = "config.dropout"


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """What one layer hands to the next."""

    shape: tuple[int, ...]
    """(channels, height, width) or (features,)."""
    axis: Axis
    """The axis in which a following layer reads the channels or features."""
    unflattened: tuple[int, ...] | None = None
    """(channels, height, width) just behind a flatten: a linear layer is also a convolution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One layer's share in the description."""

    node: Node
    flow: Flow
    spaces: tuple[Space, ...] = ()
    tensors: tuple[tuple[str, Role, tuple[Axis, ...]], ...] = ()
    edge: EdgeKind = "feed"


@runtime_checkable
class Layer(Protocol):
    """One element of a chain."""

    def step(self, flow: Flow, *, last: bool) -> Step:
        """Describe this layer behind what flows in; the last layer's outputs are fixed."""
        ...


def single(space: str, size: int) -> Axis:
    """An axis that lies in one space."""
    return Axis(size=size, factors=(Factor(space=space),))


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv:
    """Convolution with bias and without padding."""

    name: str
    channels: int
    kernel: int
    stride: int = 1
    activation: str | None = None
    dropout: str | None = None

    def step(self, flow: Flow, *, last: bool) -> Step:
        """See `Layer`."""
        _, *sides = flow.shape
        shape = (self.channels, *((side - self.kernel) // self.stride + 1 for side in sides))
        if len(sides) != 2 or min(shape) < 1:
            raise PlanError(f"{self.name}: a {self.kernel}-wide kernel does not fit {flow.shape}")
        out = single(self.name, self.channels)
        rows, columns = f"{self.name}.rows", f"{self.name}.columns"
        return Step(
            node=Node(
                name=self.name,
                op="conv2d",
                activation=self.activation,
                dropout=self.dropout,
                kernel=(self.kernel, self.kernel),
                stride=(self.stride, self.stride),
                padding=(0, 0),
                out_features=self.channels,
            ),
            flow=Flow(shape=shape, axis=out),
            spaces=(
                Space(name=self.name, size=self.channels, permutable=not last),
                Space(name=rows, size=self.kernel, permutable=False),
                Space(name=columns, size=self.kernel, permutable=False),
            ),
            tensors=(
                (
                    "weight",
                    "weight",
                    (out, flow.axis, single(rows, self.kernel), single(columns, self.kernel)),
                ),
                ("bias", "bias", (out,)),
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxPool:
    """Maximum over squares that do not overlap; a rest at the border is dropped."""

    name: str
    kernel: int
    activation: str | None = None
    dropout: str | None = None

    def step(self, flow: Flow, *, last: bool) -> Step:
        """See `Layer`."""
        channels, height, width = flow.shape
        square = (self.kernel, self.kernel)
        node = Node(
            name=self.name,
            op="max_pool",
            activation=self.activation,
            dropout=self.dropout,
            kernel=square,
            stride=square,
            padding=(0, 0),
        )
        shape = (channels, height // self.kernel, width // self.kernel)
        return Step(node=node, flow=Flow(shape=shape, axis=flow.axis), edge="pool")


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanPool:
    """Mean over the whole map: what is left are the channels."""

    name: str

    def step(self, flow: Flow, *, last: bool) -> Step:
        """See `Layer`."""
        node = Node(name=self.name, op="mean_pool")
        return Step(node=node, flow=Flow(shape=flow.shape[:1], axis=flow.axis), edge="pool")


@dataclass(frozen=True, kw_only=True, slots=True)
class Flatten:
    """(channels, height, width) to one axis, the product channel × position."""

    name: str

    def step(self, flow: Flow, *, last: bool) -> Step:
        """See `Layer`."""
        positions = prod(flow.shape[1:])
        position = Space(name=f"{self.name}.position", size=positions, permutable=False)
        (channel,) = flow.axis.factors
        axis = Axis(
            size=prod(flow.shape),
            factors=(
                Factor(space=channel.space, stride=positions),
                Factor(space=position.name),
            ),
        )
        return Step(
            node=Node(name=self.name, op="flatten"),
            flow=Flow(shape=(axis.size,), axis=axis, unflattened=flow.shape),
            spaces=(position,),
            edge="flatten",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """Fully connected layer with bias."""

    name: str
    features: int
    activation: str | None = None
    dropout: str | None = None
    w0: float | None = None
    output_offset: float | None = None
    sign_flips: bool = False
    """The activation is odd whatever the member's configuration says."""

    def step(self, flow: Flow, *, last: bool) -> Step:
        """See `Layer`."""
        out = single(self.name, self.features)
        as_conv = None
        if flow.unflattened:
            channels, height, width = flow.unflattened
            as_conv = (self.features, channels, height, width)
        return Step(
            node=Node(
                name=self.name,
                op="linear",
                activation=self.activation,
                dropout=self.dropout,
                w0=self.w0,
                output_offset=self.output_offset,
                out_features=self.features,
                as_conv=as_conv,
            ),
            flow=Flow(shape=(self.features,), axis=out),
            spaces=(
                Space(
                    name=self.name,
                    size=self.features,
                    permutable=not last,
                    sign_flips=self.sign_flips and not last,
                ),
            ),
            tensors=(("weight", "weight", (out, flow.axis)), ("bias", "bias", (out,))),
        )


def describe_chain(
    family: str,
    *,
    input_shape: tuple[int, ...],
    layers: Sequence[Layer],
    options: Mapping[str, Any],
) -> Architecture:
    """Describe the network that puts the layers one behind another."""
    flow = Flow(shape=input_shape, axis=single("input", input_shape[0]))
    steps: list[Step] = []
    for number, layer in enumerate(layers, start=1):
        steps.append(layer.step(flow, last=number == len(layers)))
        flow = steps[-1].flow
    names = ["input", *(step.node.name for step in steps), "output"]
    kinds: list[EdgeKind] = [*(step.edge for step in steps), "feed"]
    return Architecture(
        family=family,
        input_shape=input_shape,
        output_size=prod(flow.shape),
        spaces=(
            Space(name="input", size=input_shape[0], permutable=False),
            *(space for step in steps for space in step.spaces),
        ),
        tensors=_tensors(steps),
        nodes=(
            Node(name="input", op="input"),
            *(step.node for step in steps),
            Node(name="output", op="output"),
        ),
        edges=tuple(
            Edge(source=source, target=target, kind=kind)
            for source, target, kind in zip(names, names[1:], kinds, strict=False)
        ),
        options=options,
    )


def _tensors(steps: Sequence[Step]) -> tuple[TensorSpec, ...]:
    tensors: list[TensorSpec] = []
    offset = 0
    for level, step in enumerate(s for s in steps if s.tensors):
        for suffix, role, axes in step.tensors:
            tensor = TensorSpec(
                name=f"{step.node.name}.{suffix}",
                shape=tuple(axis.size for axis in axes),
                offset=offset,
                dtype="float32",
                role=role,
                layer=step.node.name,
                layer_type=step.node.op,
                level=level,
                axes=axes,
            )
            tensors.append(tensor)
            offset += tensor.size
    return tuple(tensors)
