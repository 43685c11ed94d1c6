"""`wildpark`: random CNNs, each network of a zoo another one.

Convolutions with stride 1 and same padding, each with its own width, kernel and activation (or
none); from the third on, one may add the output of an earlier layer, other than the one before it,
before its activation, on the first channels that both have. Then the mean over the map and one
linear layer. No norms, no dropout.

What may be permuted: channels of layers that a residual joins move together where they meet. So a
layer's channels are cut at the width of every residual that touches it, also through other layers,
and each piece is a space with its partners.

Source: Kofinas et al. 2024 (arXiv:2403.12143), the published generator of the CNN Wild Park.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from zoogen.archs.builder import GraphBuilder, axis
from zoogen.archs.family import GraphFamily
from zoogen.description import Architecture, Axis, Node
from zoogen.errors import PlanError

if TYPE_CHECKING:
    import torch

NONE = -1
"""As a residual: the layer adds nothing."""
NO_ACTIVATION = "none"
Piece = tuple[int, int]
"""(layer, first channel)."""
OPTIONS: Mapping[str, Any] = {
    "channels": (8, 4, 8),
    "kernels": (3, 5, 3),
    "activations": ("relu", "none", "gelu"),
    "residuals": (NONE, NONE, 0),
}
SPACE = ("layers", "channels", "kernels", "activations")


def _check(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> None:
    if len(input_shape) != 3:
        raise PlanError(f"wildpark wants images (channels, height, width), got {input_shape}")
    lengths = {name: len(values) for name, values in options.items()}
    if len(set(lengths.values())) != 1 or not options["channels"]:
        raise PlanError(f"wildpark wants one value for each layer in every option, got {lengths}")
    for layer, source in enumerate(options["residuals"]):
        if source != NONE and not 0 <= source < layer - 1:
            raise PlanError(
                f"wildpark: layer {layer} may add an earlier layer than the one before it, or "
                f"{NONE} for none, got {source}"
            )
    if any(kernel % 2 == 0 for kernel in options["kernels"]):
        raise PlanError(f"wildpark wants odd kernels, got {options['kernels']}")


def _describe(
    input_shape: tuple[int, ...],
    classes: int,
    *,
    channels: Sequence[int],
    kernels: Sequence[int],
    activations: Sequence[str],
    residuals: Sequence[int],
) -> Architecture:
    options = {
        "channels": tuple(channels),
        "kernels": tuple(kernels),
        "activations": tuple(activations),
        "residuals": tuple(residuals),
    }
    _check(input_shape, options)
    net = GraphBuilder(family="wildpark", input_shape=input_shape)
    outputs = channel_axes(net, channels, residuals)
    at, into = "input", axis(net.spaces["input"])
    for layer, (out, kernel, activation, source) in enumerate(
        zip(outputs, kernels, activations, residuals, strict=True)
    ):
        node = Node(
            name=_name(layer),
            op="conv2d",
            activation=None if activation == NO_ACTIVATION else activation,
            kernel=(kernel, kernel),
            stride=(1, 1),
            padding=(kernel // 2, kernel // 2),
            out_features=out.size,
        )
        residual = None if source == NONE else _name(source)
        at, into = net.conv(node, at, (out, into), bias=True, residual=residual), out
    at = net.add(Node(name="pool", op="mean_pool"), at, kind="pool")
    logits = net.space("classes", classes, permutable=False)
    at = net.linear(Node(name="fc", op="linear", out_features=classes), at, (axis(logits), into))
    return net.describe(at, outputs=classes, options=options)


def _name(layer: int) -> str:
    return f"conv{layer + 1}"


def channel_axes(
    net: GraphBuilder, channels: Sequence[int], residuals: Sequence[int]
) -> tuple[Axis, ...]:
    """The axis of each layer's output channels: pieces end to end, shared with their partners."""
    joins = [
        (layer, source, min(channels[layer], channels[source]))
        for layer, source in enumerate(residuals)
        if source != NONE
    ]
    cuts = _cuts(channels, joins)
    partner = _partners(cuts, joins)
    axes: list[Axis] = []
    for layer, starts in enumerate(cuts):
        pieces: list[Axis] = []
        for start, stop in zip(starts, [*starts[1:], channels[layer]], strict=True):
            first, at = partner[layer, start]
            name = _name(first) if len(cuts[first]) == 1 else f"{_name(first)}.{at}"
            space = net.spaces.get(name) or net.space(name, stop - start)
            pieces.append(axis(space))
        whole = Axis(size=channels[layer], blocks=tuple(pieces))
        axes.append(pieces[0] if len(pieces) == 1 else whole)
    return tuple(axes)


def _cuts(channels: Sequence[int], joins: Sequence[tuple[int, int, int]]) -> list[list[int]]:
    """Where each layer's pieces begin: what cuts one side of a residual cuts the other."""
    cuts = [{0} for _ in channels]
    size = 0
    while size != sum(map(len, cuts)):
        size = sum(map(len, cuts))
        for one, other, shared in joins:
            both = {at for at in cuts[one] | cuts[other] | {shared} if at <= shared}
            for layer in (one, other):
                cuts[layer] |= {at for at in both if at < channels[layer]}
    return [sorted(of_layer) for of_layer in cuts]


def _partners(
    cuts: Sequence[Sequence[int]], joins: Sequence[tuple[int, int, int]]
) -> dict[Piece, Piece]:
    """For each piece the first of those that it moves with, itself if it is the first."""
    partner = {(layer, at): (layer, at) for layer, starts in enumerate(cuts) for at in starts}
    for one, other, shared in joins:
        for at in cuts[one]:
            if at < shared:
                pair = partner[one, at], partner[other, at]
                for piece, first in partner.items():
                    if first in pair:
                        partner[piece] = min(pair)
    return partner


@dataclass(frozen=True, kw_only=True, slots=True)
class WildParkFamily:
    """The family; unlike others it draws a network for each member."""

    name: str = "wildpark"
    summary: str = "random CNNs, another one for each network, with residuals between any layers"
    options: Mapping[str, Any] = field(default_factory=lambda: dict(OPTIONS))
    """Of one network: for each layer its width, kernel, activation and what it adds."""

    def describe(
        self, *, input_shape: tuple[int, ...], classes: int, **options: Any
    ) -> Architecture:
        """See `ArchFamily.describe`."""
        return self._graph.describe(input_shape=input_shape, classes=classes, **options)

    def build(self, architecture: Architecture, config: Mapping[str, Any]) -> "torch.nn.Module":
        """See `ArchFamily.build`."""
        return self._graph.build(architecture, config)

    def draw(self, rng: np.random.Generator, space: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options of one network.

        Args:
            rng: the only source of chance.
            space: `layers` (fewest, most), and the `channels`, `kernels` and `activations` that
                each layer chooses from, all uniformly.

        Raises:
            PlanError: something else is in the space, or missing.
        """
        if set(space) != set(SPACE):
            raise PlanError(f"wildpark draws from {', '.join(SPACE)}, got {', '.join(space)}")
        low, high = space["layers"]
        depth = int(rng.integers(low, high + 1))

        def each(name: str) -> tuple[Any, ...]:
            return tuple(space[name][i] for i in rng.integers(0, len(space[name]), depth))

        drawn = {name: each(name) for name in SPACE[1:]}
        residuals = tuple(int(rng.integers(NONE, max(0, layer - 1))) for layer in range(depth))
        return {**drawn, "residuals": residuals}

    @property
    def _graph(self) -> GraphFamily:
        return GraphFamily(
            name=self.name,
            summary=self.summary,
            describe_graph=_describe,
            options=self.options,
        )


WILDPARK = WildParkFamily()
