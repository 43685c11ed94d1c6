"""A network's output from its description and its tensors: no module, no code of one architecture.

A node computes op (`zoogen.operations`), then adds what residual edges bring, then activation, then
a SIREN's output offset, then dropout. In training, batch norms normalise by the batch and hand new
running statistics back; otherwise they use those in the parameters.

Under `torch.func.vmap` the parameters may carry a leading axis of members, mapped away by vmap.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from zoogen.description import CONFIG_PREFIX, Architecture, Node
from zoogen.errors import PlanError
from zoogen.operations import OPERATIONS, Operation, Parameters, Statistics

Dropout: TypeAlias = Callable[[int, Tensor], Tensor]
"""(site, activations) to activations; sites are counted from 0 in node order."""
Elementwise: TypeAlias = Callable[[Tensor], Tensor]

ACTIVATIONS: Mapping[str, Elementwise] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "sine": torch.sin,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "leaky_relu": F.leaky_relu,
}


def forward(
    architecture: Architecture,
    parameters: Parameters,
    x: Float[Tensor, "b ..."],
    *,
    config: Mapping[str, Any],
    dropout: Dropout | None = None,
) -> Float[Tensor, "b o"]:
    """The network's output; `plan_forward` is the same for many calls.

    Args:
        architecture: a description whose operations are known here.
        parameters: one tensor for each name in the description, whatever its dtype.
        x: images (b, channels, height, width) or coordinates (b, features).
        config: the member's configuration, for activations that the description leaves to it.
        dropout: called at every site in node order with (site, activations); None: no dropout.

    Raises:
        PlanError: an operation or an activation is not known.
    """
    return plan_forward(architecture, config)(parameters, x, dropout)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    name: str
    run: Operation
    sources: tuple[str, ...]
    residuals: tuple[str, ...]
    finish: Elementwise | None
    site: int | None
    """Number of the dropout site, if there is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """One architecture under one configuration, ready to be called many times."""

    steps: tuple[_Step, ...]
    uses: Mapping[str, int]
    """How many edges leave each node: a value is let go when all of them are served."""

    def __call__(
        self,
        parameters: Parameters,
        x: Float[Tensor, "b ..."],
        dropout: Dropout | None = None,
        statistics: Statistics | None = None,
    ) -> Float[Tensor, "b o"]:
        """See `forward`; `statistics`, empty, is filled by batch norms, which then train."""
        left = dict(self.uses)
        values: dict[str, Tensor] = {}
        y = x

        def take(name: str) -> Tensor:
            left[name] -= 1
            return values[name] if left[name] else values.pop(name)

        for step in self.steps:
            y = step.run(parameters, [take(name) for name in step.sources] or [x], statistics)
            for name in step.residuals:
                y = _add_residual(y, take(name))
            if step.finish is not None:
                y = step.finish(y)
            if dropout is not None and step.site is not None:
                y = dropout(step.site, y)
            values[step.name] = y
        return y


def _add_residual(y: Tensor, residual: Tensor) -> Tensor:
    """Maps of different width share their first channels only."""
    if y.shape == residual.shape:
        return y + residual
    shared = min(y.shape[1], residual.shape[1])
    return torch.cat([y[:, :shared] + residual[:, :shared], y[:, shared:]], dim=1)


def plan_forward(architecture: Architecture, config: Mapping[str, Any]) -> Network:
    """Resolve operations and activations once.

    Raises:
        PlanError: an operation or an activation is not known, or the nodes are out of order.
    """
    sites = (n.name for n in architecture.nodes if n.dropout)
    site_of = {name: site for site, name in enumerate(sites)}
    steps = tuple(_step(architecture, node, config, site_of) for node in architecture.nodes)
    _check_order(architecture)
    return Network(steps=steps, uses=Counter(edge.source for edge in architecture.edges))


def activation_name(node: Node, config: Mapping[str, Any]) -> str | None:
    """What a node's activation is for the member with this configuration.

    Raises:
        PlanError: the configuration does not name one, or none that is known.
    """
    name = node.activation
    if name is not None and name.startswith(CONFIG_PREFIX):
        name = config.get(name.removeprefix(CONFIG_PREFIX))
        if name is None:
            raise PlanError(f"node {node.name!r} needs {node.activation}, which is not given")
    if name is not None and name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise PlanError(f"node {node.name!r}: no activation {name!r}; there are: {known}")
    return name


def parameters_of(
    architecture: Architecture, weights: Float[Tensor, "*members p"]
) -> dict[str, Tensor]:
    """Views of flat weight vectors as named tensors; leading axes stay in front."""
    return {
        t.name: weights[..., t.offset : t.offset + t.size].unflatten(-1, t.shape)
        for t in architecture.tensors
    }


def _check_order(architecture: Architecture) -> None:
    seen: set[str] = set()
    for node in architecture.nodes:
        sources = {edge.source for edge in architecture.edges if edge.target == node.name}
        if not sources and node.op != "input":
            raise PlanError(f"{architecture.family}: nothing feeds node {node.name!r}")
        if missing := sources - seen:
            raise PlanError(
                f"{architecture.family}: node {node.name!r} stands before {min(missing)!r}, "
                "which feeds it; nodes must be listed in computing order"
            )
        seen.add(node.name)


def _step(
    architecture: Architecture, node: Node, config: Mapping[str, Any], site_of: Mapping[str, int]
) -> _Step:
    if node.op not in OPERATIONS:
        raise PlanError(
            f"{architecture.family}: the forward pass from the description knows no {node.op!r} "
            f"(node {node.name!r}), only {', '.join(OPERATIONS)}: use the family's module"
        )
    edges = [edge for edge in architecture.edges if edge.target == node.name]
    return _Step(
        name=node.name,
        run=OPERATIONS[node.op](node),
        sources=tuple(e.source for e in edges if e.kind != "residual"),
        residuals=tuple(e.source for e in edges if e.kind == "residual"),
        finish=_finish(node, config),
        site=site_of.get(node.name),
    )


def _finish(node: Node, config: Mapping[str, Any]) -> Elementwise | None:
    name = activation_name(node, config)
    parts = [ACTIVATIONS[name]] if name else []
    if node.w0 is not None:
        parts.insert(0, partial(torch.mul, other=node.w0))
    if node.output_offset is not None:
        parts.append(partial(torch.add, other=node.output_offset))
    if len(parts) < 2:
        return parts[0] if parts else None
    return partial(_in_turn, tuple(parts))


def _in_turn(parts: tuple[Elementwise, ...], x: Tensor) -> Tensor:
    for part in parts:
        x = part(x)
    return x
