"""Descriptions of networks that are no chain, put together node by node.

Conventions beyond those of `zoogen.archs.chain`: parameters stand in the order of their nodes, all
buffers behind them; a residual edge is added before its target's activation, and before its
dropout, so a branch that has dropout of its own ends in an `add` node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

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

Tensors: TypeAlias = Sequence[tuple[str, Role, tuple[Axis, ...]]]
"""(name behind the node's, role, axes)."""


def axis(*spaces: Space) -> Axis:
    """The product of spaces; the last one's index runs fastest."""
    sizes = [space.size for space in spaces]
    factors = tuple(
        Factor(space=space.name, stride=prod(sizes[i + 1 :])) for i, space in enumerate(spaces)
    )
    return Axis(size=prod(sizes), factors=factors)


@dataclass(kw_only=True, slots=True)
class GraphBuilder:
    """Collects nodes, edges, spaces and tensors."""

    family: str
    input_shape: tuple[int, ...]
    spaces: dict[str, Space] = field(default_factory=dict[str, Space])
    nodes: list[Node] = field(default_factory=list[Node])
    edges: list[Edge] = field(default_factory=list[Edge])
    owned: list[tuple[Node, Tensors]] = field(default_factory=list[tuple[Node, Tensors]])

    def __post_init__(self) -> None:
        self.space("input", self.input_shape[0], permutable=False)
        self.nodes.append(Node(name="input", op="input"))

    def space(
        self, name: str, size: int, *, permutable: bool = True, within: str | None = None
    ) -> Space:
        """A new space."""
        made = Space(name=name, size=size, permutable=permutable, within=within)
        self.spaces[name] = made
        return made

    def add(
        self,
        node: Node,
        source: str,
        *,
        residual: str | None = None,
        kind: EdgeKind = "feed",
        tensors: Tensors = (),
    ) -> str:
        """Append a node that one other feeds, and maybe a residual; returns its name."""
        self.nodes.append(node)
        self.edges.append(Edge(source=source, target=node.name, kind=kind))
        if residual is not None:
            self.edges.append(Edge(source=residual, target=node.name, kind="residual"))
        if tensors:
            self.owned.append((node, tensors))
        return node.name

    def conv(
        self, node: Node, source: str, axes: tuple[Axis, Axis], *, bias: bool, **more: Any
    ) -> str:
        """A convolution from the second axis' channels to the first's."""
        assert node.kernel is not None
        places = tuple(
            axis(self.space(f"{node.name}.{name}", side, permutable=False))
            for name, side in zip(("rows", "columns"), node.kernel, strict=True)
        )
        tensors: list[tuple[str, Role, tuple[Axis, ...]]] = [("weight", "weight", (*axes, *places))]
        if bias:
            tensors.append(("bias", "bias", axes[:1]))
        return self.add(node, source, tensors=tensors, **more)

    def linear(self, node: Node, source: str, axes: tuple[Axis, Axis], **more: Any) -> str:
        """A linear layer with bias from the second axis to the first."""
        return self.add(node, source, tensors=affine(*axes), **more)

    def describe(self, last: str, *, outputs: int, options: Mapping[str, Any]) -> Architecture:
        """The whole; `last` feeds the output."""
        self.add(Node(name="output", op="output"), last)
        return Architecture(
            family=self.family,
            input_shape=self.input_shape,
            output_size=outputs,
            spaces=tuple(self.spaces.values()),
            tensors=self._tensors(),
            nodes=tuple(self.nodes),
            edges=tuple(self.edges),
            options=options,
        )

    def _tensors(self) -> tuple[TensorSpec, ...]:
        rows = [
            (node, level, tensor)
            for level, (node, tensors) in enumerate(self.owned)
            for tensor in tensors
        ]
        found: list[TensorSpec] = []
        offset = 0
        for node, level, (name, role, axes) in sorted(rows, key=lambda r: r[2][1] == "buffer"):
            found.append(
                TensorSpec(
                    name=f"{node.name}.{name}",
                    shape=tuple(a.size for a in axes),
                    offset=offset,
                    dtype="float32",
                    role=role,
                    layer=node.name,
                    layer_type=node.op,
                    level=level,
                    axes=axes,
                )
            )
            offset += found[-1].size
        return tuple(found)


def affine(out: Axis, into: Axis, prefix: str = "") -> Tensors:
    """Weight and bias of a linear map."""
    return (f"{prefix}weight", "weight", (out, into)), (f"{prefix}bias", "bias", (out,))


def norm(of: Axis) -> Tensors:
    """Scale and shift."""
    return ("weight", "scale", (of,)), ("bias", "shift", (of,))


def running(of: Axis) -> Tensors:
    """A batch norm's statistics."""
    return ("running_mean", "buffer", (of,)), ("running_var", "buffer", (of,))
