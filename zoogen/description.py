"""An architecture as data: tensors, the spaces their axes lie in, and a small graph of layers.

A description is all that encoding, permuting or drawing a network needs; no code of any one
architecture. It leaves out the weights (rows of a zoo) and how a network was trained (the plan).

Two ideas carry it:

* Every axis of every tensor lies in a *space*. Axes that share a permutable space move together:
  that is the permutation group of the network. An axis may be a product of spaces with strides,
  as behind a flatten (channel × position) or in an attention head (head × channel), and several
  such axes may lie end to end in one, as in a fused q/k/v projection.
* Layers form a small graph: nodes that compute, edges that say what feeds what.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any, Literal, TypeAlias

from zoogen.errors import PlanError

Role: TypeAlias = Literal["weight", "bias", "scale", "shift", "embedding", "token", "buffer"]
EdgeKind: TypeAlias = Literal["feed", "residual", "flatten", "pool"]
Operation: TypeAlias = Literal[
    "input", "conv2d", "linear", "max_pool", "mean_pool", "flatten", "add", "concat",
    "batch_norm", "layer_norm", "attention", "embedding", "class_token", "output",
]  # fmt: skip
CONFIG_PREFIX = "config."
"""A node's activation that starts so is the name of a config column, drawn for each member."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """One set of indices that axes share, for instance the output channels of a convolution."""

    name: str
    size: int
    permutable: bool
    """True: reordering all axes in this space together leaves the function unchanged."""
    sign_flips: bool = False
    """True: the neurons feed an odd function (sine, tanh), so a neuron's sign may flip."""
    rescalable: bool = False
    """True: the neurons feed a positively homogeneous function (ReLU)."""
    within: str | None = None
    """For a space that is permuted anew inside each index of another (channels in a head)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Factor:
    """One space's share in an axis: index on the axis = sum of stride × index in the space."""

    space: str
    stride: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One axis of a tensor: a space, a product of spaces with strides, or several end to end."""

    size: int
    factors: tuple[Factor, ...] = ()
    blocks: tuple["Axis", ...] = ()
    """Axes laid end to end, instead of factors: q, k and v in one projection, whose channels are
    permuted together in q and k but not in v."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSpec:
    """One named parameter or buffer and its place in the flat weight vector."""

    name: str
    shape: tuple[int, ...]
    offset: int
    dtype: str
    role: Role
    layer: str
    """Name of the node that owns it."""
    layer_type: str
    """conv2d, linear, batch_norm, layer_norm, attention, embedding, …"""
    level: int
    """Depth of the layer, counted from 0 at the input over layers that own parameters."""
    axes: tuple[Axis, ...]

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One computing step. Fields that an operation does not use are None."""

    name: str
    op: Operation
    activation: str | None = None
    """A name (relu, tanh, sine, …) or `config.…`: the config column that holds the name."""
    dropout: str | None = None
    """`config.…` column holding the rate of the dropout that follows the activation."""
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    padding: tuple[int, int] | None = None
    w0: float | None = None
    """Frequency factor of a sine layer: sin(w0·(Wx + b))."""
    output_offset: float | None = None
    """Constant added to the layer's output (0.5 in the published SIRENs)."""
    heads: int | None = None
    out_features: int | None = None
    as_conv: tuple[int, int, int, int] | None = None
    """A linear layer behind a flatten as the convolution (out, in, kh, kw) that covers the map."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """`source` feeds `target`; a residual edge is added before the target's activation."""

    source: str
    target: str
    kind: EdgeKind = "feed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """The whole description of one architecture.

    Raises:
        PlanError: the parts contradict one another; the message names tensor and axis.
    """

    family: str
    """What `--arch` calls it, or where an imported one comes from."""
    input_shape: tuple[int, ...]
    """(channels, height, width) of an image network, (features,) of an INR."""
    output_size: int
    spaces: tuple[Space, ...]
    tensors: tuple[TensorSpec, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What `family` needs to build the module again: channels, widths, depth."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def parameters(self) -> int:
        """Length of the flat weight vector, buffers included."""
        return sum(t.size for t in self.tensors)

    @property
    def trained(self) -> int:
        """Length of the part that is trained: what stands before the first buffer.

        Raises:
            PlanError: a parameter stands behind a buffer.
        """
        sizes = [t.size for t in self.tensors if t.role != "buffer"]
        if any(t.role == "buffer" for t in self.tensors[: len(sizes)]):
            raise PlanError(f"{self.family}: buffers must stand behind all parameters")
        return sum(sizes)

    @property
    def content_id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON: the same for equal content."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def space(self, name: str) -> Space:
        """The space of that name."""
        return next(s for s in self.spaces if s.name == name)

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(n for n in self.nodes if n.name == name)

    def tensors_of(self, layer: str) -> Iterator[TensorSpec]:
        """The tensors that one node owns, in storage order."""
        return (t for t in self.tensors if t.layer == layer)

    def to_json(self) -> dict[str, Any]:
        """Plain values only: what `architectures.parquet` keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Architecture":
        """The inverse of `to_json`, also after a round trip through JSON text."""
        return cls(
            family=value["family"],
            input_shape=tuple(value["input_shape"]),
            output_size=value["output_size"],
            spaces=tuple(Space(**s) for s in value["spaces"]),
            tensors=tuple(_tensor_from_json(t) for t in value["tensors"]),
            nodes=tuple(Node(**{k: _tupled(v) for k, v in n.items()}) for n in value["nodes"]),
            edges=tuple(Edge(**e) for e in value["edges"]),
            options={k: _tupled(v) for k, v in value["options"].items()},
        )


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _tensor_from_json(value: Mapping[str, Any]) -> TensorSpec:
    shape, axes = tuple(value["shape"]), tuple(_axis_from_json(a) for a in value["axes"])
    changed: dict[str, Any] = {"shape": shape, "axes": axes}
    return TensorSpec(**{**value, **changed})


def _axis_from_json(value: Mapping[str, Any]) -> Axis:
    return Axis(
        size=value["size"],
        factors=tuple(Factor(**f) for f in value["factors"]),
        blocks=tuple(_axis_from_json(b) for b in value["blocks"]),
    )


def _check(arch: Architecture) -> None:
    spaces = {s.name: s for s in arch.spaces}
    nodes = {n.name for n in arch.nodes}
    if len(spaces) != len(arch.spaces) or len(nodes) != len(arch.nodes):
        raise PlanError(f"{arch.family}: two spaces or two nodes share one name")
    offset = 0
    for tensor in arch.tensors:
        where = f"{arch.family}, tensor {tensor.name!r}"
        if tensor.offset != offset:
            raise PlanError(f"{where}: offset {tensor.offset}, wanted {offset} (no gaps)")
        offset += tensor.size
        if tensor.layer not in nodes:
            raise PlanError(f"{where}: its layer {tensor.layer!r} is not among the nodes")
        if tuple(a.size for a in tensor.axes) != tensor.shape:
            raise PlanError(f"{where}: shape {tensor.shape} does not fit its axes")
        for axis in tensor.axes:
            _check_axis(axis, spaces, where)
    for edge in arch.edges:
        if not {edge.source, edge.target} <= nodes:
            raise PlanError(f"{arch.family}: edge {edge.source} -> {edge.target} has no such node")


def _check_axis(axis: Axis, spaces: Mapping[str, Space], where: str) -> None:
    """An axis is covered once: by blocks end to end, or by factors that form a product."""
    if axis.blocks:
        total = sum(block.size for block in axis.blocks)
        if axis.factors:
            raise PlanError(f"{where}: an axis has either blocks or factors, this one has both")
        if total != axis.size:
            raise PlanError(f"{where}: blocks add up to {total}, the axis has {axis.size}")
        for block in axis.blocks:
            _check_axis(block, spaces, where)
        return
    _check_product(axis, spaces, where)


def _check_product(axis: Axis, spaces: Mapping[str, Space], where: str) -> None:
    """Sorted by stride, each factor's stride is the product of the sizes below."""
    names = {factor.space for factor in axis.factors}
    if unknown := names - set(spaces):
        raise PlanError(f"{where}: unknown space {min(unknown)!r}")
    below = 1
    # A space of size 1 has the stride of its neighbour: it comes first.
    for factor in sorted(axis.factors, key=lambda f: (f.stride, spaces[f.space].size)):
        if factor.stride != below:
            raise PlanError(f"{where}: stride {factor.stride} of {factor.space!r}, wanted {below}")
        outer = spaces[factor.space].within
        if outer is not None and outer not in names:
            raise PlanError(f"{where}: {factor.space!r} lies within {outer!r}, which is not there")
        below *= spaces[factor.space].size
    if below != axis.size:
        raise PlanError(f"{where}: spaces multiply to {below}, the axis has {axis.size}")
