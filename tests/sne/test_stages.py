"""Descriptions as stages: what is read, that it computes the same, and what is refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from weight_cases import ARCH1, ARCH2, INFERRED, SIREN, attention, networks, product

from sne.baselines.stages import describe, read_stages, stage_weights, why_not_stages
from zoogen.archs import ARCHS
from zoogen.description import Architecture, Edge, Node

FLATTENED = "fc1.weight"


def test_kernels_spaces_and_activations_come_from_the_description():
    stages = read_stages(ARCH2)
    assert [s.shape for s in stages] == [
        (8, 3, 5, 5), (6, 8, 5, 5), (4, 6, 2, 2), (20, 4, 3, 3), (10, 20, 1, 1),
    ]  # fmt: skip
    assert [s.kernel for s in stages][3:] == [(3, 3), None]
    assert [s.inputs.permutable for s in stages] == [False, True, True, True, True]
    assert [s.outputs.permutable for s in stages] == [True, True, True, True, False]
    assert {s.activation for s in stages[:-1]} == {"config.activation"}
    assert stages[-1].activation is None
    assert [s.maximum for s in stages] == [True, True, False, False, False]
    assert describe(stages) == "3×8·5·5, 8×6·5·5, 6×4·2·2, 4×20·3·3, 20×10"
    sines = read_stages(SIREN)
    assert [(s.activation, s.w0) for s in sines] == [("sine", 30.0), ("sine", 30.0), (None, None)]
    assert [s.kernel for s in read_stages(ARCH1)] == [(3, 3)] * 3 + [None]


def test_weights_are_the_layers_own():
    group = networks(ARCH2, 2)
    stages = read_stages(ARCH2)
    weights, biases = stage_weights(stages, group.weights)
    for stage, weight, bias in zip(stages, weights, biases, strict=True):
        assert stage.bias is not None
        assert tuple(weight.shape[1:]) == stage.shape
        own = group.weights[:, stage.weight.offset :][:, : stage.weight.size]
        assert torch.equal(weight.flatten(1), own)
        assert torch.equal(bias, group.weights[:, stage.bias.offset :][:, : stage.bias.size])


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_linear_layer_behind_a_flatten_is_the_convolution_that_covers_the_map(channels_last):
    architecture = positions_first(ARCH2) if channels_last else ARCH2
    group = networks(architecture, 1)
    stage = read_stages(architecture)[3]
    assert stage.channels_last == channels_last
    maps = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    weights, biases = stage_weights([stage], group.weights)
    flat = maps.permute(0, 2, 3, 1).flatten(1) if channels_last else maps.flatten(1)
    own = group.weights[0, stage.weight.offset :][: stage.weight.size].view(20, 36)
    expected = F.linear(flat, own, biases[0][0])
    found = F.conv2d(maps, weights[0][0], biases[0][0]).flatten(1)
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_bias_that_is_not_there_is_zero():
    *others, last = SIREN.tensors
    assert last.name == "layer3.bias"
    architecture = replace(SIREN, tensors=tuple(others))
    stages = read_stages(architecture)
    assert stages[-1].bias is None
    _, biases = stage_weights(stages, networks(architecture, 2).weights)
    assert torch.equal(biases[-1], torch.zeros(2, 1))


def test_places_tell_apart_what_cannot_stand_for_another():
    stages = read_stages(ARCH2)
    assert [s.place for s in stages] == [s.place for s in read_stages(ARCH2)]
    assert stages[3].place != read_stages(positions_first(ARCH2))[3].place
    first, *others = ARCH2.spaces
    free = replace(ARCH2, spaces=(replace(first, permutable=True), *others))
    assert read_stages(free)[0].place != stages[0].place


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda: INFERRED, "state dict has stem_norm (batch_norm)"),
        (lambda: attention(), "what feeds what in written is not described"),
        (lambda: residual(SIREN), "siren is not one chain of layers"),
        (lambda: replace(SIREN, edges=SIREN.edges[:-1]), "siren is not one chain of layers"),
        (lambda: shared(SIREN), "two layers of siren share one order of neurons"),
        (lambda: scaled(SIREN), "layer1 of siren has other tensors than a weight and a bias"),
        (lambda: unread(SIREN), "layer2 of siren does not read what layer1 gives"),
    ],
)
def test_what_is_no_chain_is_refused_with_the_reason(change: Callable[[], Architecture], why: str):
    reason = why_not_stages(change())
    assert reason is not None
    assert reason == why
    assert why_not_stages(SIREN) is None


PARK = ARCHS["wildpark"].describe(
    input_shape=(3, 16, 16),
    classes=10,
    channels=(4, 3, 6, 4),
    kernels=(3, 5, 3, 3),
    activations=("relu", "none", "gelu", "relu"),
    residuals=(-1, -1, 0, 1),
)


def test_skip_connections_are_read_where_they_are_asked_for():
    stages = read_stages(PARK, skips=True)
    assert [s.shape[:2] for s in stages] == [(4, 3), (3, 4), (6, 3), (4, 6), (10, 4)]
    assert [s.skips for s in stages] == [(), (), (1,), (2,), ()]
    assert [s.activation for s in stages] == ["relu", None, "gelu", "relu", None]
    # The third layer's six channels are four that move with the first layer's, and two others.
    assert [s.outputs.permutable for s in stages] == [True, True, False, False, False]
    weights, _ = stage_weights(stages, networks(PARK, 2).weights)
    for stage, weight in zip(stages, weights, strict=True):
        assert tuple(weight.shape[1:]) == stage.shape
    assert why_not_stages(PARK) == "wildpark is not one chain of layers"
    assert [s.skips for s in read_stages(residual(SIREN), skips=True)] == [(), (), (1,)]
    assert read_stages(SIREN, skips=True) == read_stages(SIREN)


def test_a_skip_over_nothing_is_refused():
    edge = Edge(source="layer2", target="layer3", kind="residual")
    architecture = replace(SIREN, edges=(*SIREN.edges, edge))
    reason = why_not_stages(architecture, skips=True)
    assert reason == "layer3 of siren adds what it reads itself, or what comes later"


def positions_first(architecture: Architecture) -> Architecture:
    """The same layers, with a flatten that lays channels side by side."""
    axis = product(architecture.spaces, ("flatten.position", "conv3"))
    tensors = (
        replace(t, axes=(t.axes[0], axis)) if t.name == FLATTENED else t
        for t in architecture.tensors
    )
    return replace(architecture, tensors=tuple(tensors))


def residual(architecture: Architecture) -> Architecture:
    edge = Edge(source="layer1", target="layer3", kind="residual")
    return replace(architecture, edges=(*architecture.edges, edge))


def shared(architecture: Architecture) -> Architecture:
    """The second hidden layer has the first one's order, as on a residual stream."""
    axes = {
        "layer2.weight": ("layer1", "layer1"), "layer2.bias": ("layer1",),
        "layer3.weight": ("layer3", "layer1"),
    }  # fmt: skip
    return with_axes(architecture, axes)


def unread(architecture: Architecture) -> Architecture:
    return with_axes(architecture, {"layer2.weight": ("layer2", "layer2")})


def with_axes(architecture: Architecture, axes: dict[str, tuple[str, ...]]) -> Architecture:
    spaces = architecture.spaces
    tensors = (
        replace(t, axes=tuple(product(spaces, (name,)) for name in axes[t.name]))
        if t.name in axes
        else t
        for t in architecture.tensors
    )
    return replace(architecture, tensors=tuple(tensors))


def scaled(architecture: Architecture) -> Architecture:
    first, second, *others = architecture.tensors
    return replace(architecture, tensors=(first, replace(second, role="scale"), *others))


def test_other_layers_than_linear_and_conv2d_are_named():
    node = Node(name="norm", op="layer_norm")
    edges = (*SIREN.edges[:-1], Edge(source="layer3", target="norm"))
    edges = (*edges, Edge(source="norm", target="output"))
    architecture = replace(SIREN, nodes=(*SIREN.nodes, node), edges=edges)
    assert why_not_stages(architecture) == "siren has norm (layer_norm)"
