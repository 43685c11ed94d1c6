"""Torch modules from descriptions that are no chain: residual sums, norms, attention.

A `GraphModule` has one submodule for each node that owns parameters and walks the graph as
`zoogen.forward` does. Its operations are torch's modules, attention written out, so that it is an
independent check of the engines' forward pass.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zoogen.archs.parts import operation
from zoogen.description import CONFIG_PREFIX, Architecture, Node
from zoogen.forward import ACTIVATIONS, activation_name

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Of a node's tensors, by their names behind the node's."""


class Tokens(nn.Module):
    """A map's positions as tokens with their place, behind a class token without one."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(count, width))
        self.token = nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b n d"]:
        """Row by row; n = 1 + h·w."""
        patches = x.flatten(2).transpose(1, 2) + self.position
        return torch.cat([self.token.expand(len(x), 1, -1), patches], dim=1)


class FirstToken(nn.Module):
    """The class token alone."""

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b d"]:
        """What stands first."""
        return x[:, 0]


class Attention(nn.Module):
    """Self-attention with query, key, value and output projections of their own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """softmax(q·kᵀ/√(d/heads))·v in each head."""
        b, n, d = x.shape
        split = (b, n, self.heads, d // self.heads)
        q, k, v = (
            part(x).view(split).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5, dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, d))


class GraphModule(nn.Module):
    """A network by its description; see the module."""

    def __init__(self, architecture: Architecture, config: Mapping[str, Any]) -> None:
        super().__init__()
        self._nodes = architecture.nodes
        self._edges = architecture.edges
        self._finish: dict[str, Callable[[Tensor], Tensor]] = {}
        for node in architecture.nodes:
            part = _module(architecture, node)
            if part is not None:
                self.add_module(node.name, part)
            if (name := activation_name(node, config)) is not None:
                self._finish[node.name] = ACTIVATIONS[name]
            rate = config.get(node.dropout.removeprefix(CONFIG_PREFIX)) if node.dropout else None
            if rate is not None:
                self.add_module(f"{node.name}_dropout", nn.Dropout(rate))

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b o"]:
        """The output node's value."""
        values: dict[str, Tensor] = {}
        y = x
        for node in self._nodes:
            edges = [e for e in self._edges if e.target == node.name]
            inputs = [values[e.source] for e in edges if e.kind != "residual"] or [x]
            own = self._modules.get(node.name)
            y = inputs[0] if own is None else own(inputs[0])
            for more in inputs[1:]:
                y = y + more
            for edge in edges:
                if edge.kind == "residual":
                    y = add_first_channels(y, values[edge.source])
            if node.name in self._finish:
                y = self._finish[node.name](y)
            if (dropout := self._modules.get(f"{node.name}_dropout")) is not None:
                y = dropout(y)
            values[node.name] = y
        return y


def add_first_channels(y: Tensor, residual: Tensor) -> Tensor:
    """A residual of fewer or more channels is added to the channels that both have."""
    shared = min(y.shape[1], residual.shape[1])
    if shared == y.shape[1]:
        return y + residual[:, :shared]
    return torch.cat([y[:, :shared] + residual[:, :shared], y[:, shared:]], dim=1)


def _module(architecture: Architecture, node: Node) -> nn.Module | None:
    """The node's own module; None for those that only pass on or add."""
    if node.op in {"input", "output", "add"}:
        return None
    if node.op in MODULES:
        tensors = architecture.tensors_of(node.name)
        shapes = {t.name.removeprefix(f"{node.name}."): t.shape for t in tensors}
        return MODULES[node.op](node, shapes)
    return operation(architecture, node)


MODULES: Mapping[str, Callable[[Node, Shapes], nn.Module]] = {
    "embedding": lambda node, shapes: Tokens(*shapes["position"]),
    "class_token": lambda node, shapes: FirstToken(),
    "attention": lambda node, shapes: Attention(shapes["out.weight"][0], node.heads or 1),
    "layer_norm": lambda node, shapes: nn.LayerNorm(list(shapes["weight"])),
    "batch_norm": lambda node, shapes: nn.BatchNorm2d(shapes["weight"][0]),
}
