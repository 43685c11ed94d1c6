"""NeuralGraph: invariant to what descriptions declare and to nothing else; as edge by edge."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from weight_cases import ARCH1, ARCH2, GREY_ARCH2, SIREN, networks

from sne.baselines.graphs import padded
from sne.baselines.neuralgraph import NeuralGraph
from sne.baselines.relational import RelationalTransformer
from sne.baselines.stages import read_stages, stage_weights
from sne.errors import ModelError, SettingError
from sne.model import ACTIVATIONS, Batch, Preparation, prepare
from sne.models import model_kind
from sne.scaling import no_scaling
from sne.symmetry import move_batch
from zoogen.archs import ARCHS
from zoogen.description import Architecture

KIND = model_kind("neuralgraph")
INR = ARCHS["siren"].describe(input_shape=(1,), classes=1)
PARK = ARCHS["wildpark"].describe(
    input_shape=(3, 16, 16),
    classes=10,
    channels=(4, 3, 6, 4, 5),
    kernels=(3, 5, 3, 3, 3),
    activations=("relu", "none", "gelu", "tanh", "relu"),
    residuals=(-1, -1, 0, 0, 2),
)
"""Skip connections: two from the first layer, to a wider one and to one as wide; one onward."""
SMALL: Mapping[str, Any] = {"width": 16}


def made(*architectures: Architecture, **settings: Any) -> NeuralGraph:
    preparation = Preparation(architectures=architectures, scaling=no_scaling(), task="share")
    config = KIND.config(**{**SMALL, **settings})
    module = prepare(KIND, preparation, config=config, seed=1).eval()
    assert isinstance(module, NeuralGraph)
    return module


def batch_of(architecture: Architecture, count: int = 3) -> Batch:
    group = networks(architecture, count)
    return [group.with_weights(0.3 * group.weights)]


def predicted(module: NeuralGraph, batch: Batch) -> Tensor:
    with torch.no_grad():
        return module(batch).prediction


@pytest.mark.parametrize(
    ("architecture", "settings", "count"),
    [
        # With NG-GNN's three norms; by the layers of the published code, as are the others.
        (ARCH1, {"width": 256, "activation_embedding": True}, 5_587_969),
        (INR, {"width": 32, "reversed_edges": True}, 91_681),
        (
            ARCH1,
            {
                "variant": "transformer",
                "width": 128,
                "linear_as_conv": True,
                "activation_embedding": True,
            },
            1_807_873,
        ),
        # One hidden layer of the head more than the published one for INRs: 128·128 + 128.
        (INR, {"variant": "transformer", "width": 64}, 375_361 + 16_512),
    ],
)
def test_sizes_are_the_published_ones(architecture, settings, count):
    assert sum(p.numel() for p in made(architecture, **settings).parameters()) == count


@pytest.mark.parametrize("variant", ["gnn", "transformer"])
@pytest.mark.parametrize("reversed_edges", [False, True])
@pytest.mark.parametrize("architecture", [ARCH1, ARCH2, SIREN, PARK], ids=lambda a: a.family)
def test_declared_permutations_change_nothing_and_others_do(variant, reversed_edges, architecture):
    module = made(architecture, variant=variant, reversed_edges=reversed_edges)
    batch = batch_of(architecture)
    generator = torch.Generator().manual_seed(3)
    moved = move_batch(batch, generator=generator, copies=2)
    control = move_batch(batch, generator=generator, functional=False)
    assert torch.allclose(
        predicted(module, moved), predicted(module, batch).repeat(2, 1), atol=1e-4
    )
    # A fresh model says nearly the same of all networks: what tells them apart shows in doubles.
    module, batch, moved, control = module.double(), *map(doubled, (batch, moved, control))
    plain = predicted(module, batch)
    assert torch.allclose(predicted(module, moved), plain.repeat(2, 1), atol=1e-12)
    assert (predicted(module, control) - plain).abs().min() > 1e-8


def doubled(batch: Batch) -> Batch:
    return [group.with_weights(group.weights.double()) for group in batch]


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        (ARCH1, {}),
        (ARCH1, {"linear_as_conv": True}),
        (SIREN, {"layers": 3}),
        (SIREN, {"layers": 3, "reversed_edges": True}),
        (PARK, {"layers": 3}),
        (PARK, {"layers": 3, "linear_as_conv": True, "reversed_edges": True}),
    ],
)
def test_messages_are_those_of_a_walk_along_edges(architecture, settings):
    module = made(architecture, **{"layers": 2, **settings})
    batch = batch_of(architecture, 1 if architecture is ARCH1 else 2)
    found = predicted(module, batch)[:, 0]
    expected = [walked(module, architecture, weights) for weights in batch[0].weights]
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)


def walked(module: NeuralGraph, architecture: Architecture, weights: Tensor) -> Tensor:
    """One network as a list of edges, as published: gathered, and aggregated node by node."""
    with torch.no_grad():
        return _walk(module, architecture, weights)


def _walk(module: NeuralGraph, architecture: Architecture, weights: Tensor) -> Tensor:
    edges, features = edge_list(module, architecture, weights)
    stages = read_stages(architecture, skips=True)
    biases = torch.cat([b[0] for b in stage_weights(stages, weights[None])[1]])
    inputs, outputs = stages[0].inputs.size, stages[-1].outputs.size
    x = module.node(torch.cat([torch.zeros(inputs), biases])[:, None])
    hidden = [inputs + level for level, s in enumerate(stages[:-1]) for _ in range(s.outputs.size)]
    first = inputs + module.limits.hidden
    x = x + module.places[[*range(inputs), *hidden, *range(first, first + outputs)]]
    graph: Any = module.graph
    degrees = [sum(target == node for _, target in edges) for node in range(len(x))]
    mean = sum(math.log(d + 1) for d in degrees) / len(degrees)
    for number, layer in enumerate(graph.layers):
        messages = []
        for (source, target), feature in zip(edges, features, strict=True):
            scale, shift = layer.modulate(feature).chunk(2)
            messages.append(scale * layer.message(torch.cat([x[target], x[source]])) + shift)
        rows = []
        for node, degree in enumerate(degrees):
            own = [m for m, (_, target) in zip(messages, edges, strict=True) if target == node]
            rows.append(aggregated(own, x.shape[1], math.log(degree + 1) / mean))
        x = layer.last(layer.update(torch.cat([x, torch.stack(rows)], dim=1)))
        if number < len(graph.updates):
            norm, update = graph.norms[number], graph.updates[number]
            x = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() * norm.weight + norm.bias
            x = F.silu(x)
            features = [
                update.last(F.silu(update.edge(f) + update.source(x[s]) + update.target(x[t])))
                for (s, t), f in zip(edges, features, strict=True)
            ]
    return module.predict(torch.relu(module.encode(x[-outputs:].flatten())))[0]


def edge_list(
    module: NeuralGraph, architecture: Architecture, weights: Tensor
) -> tuple[list[tuple[int, int]], list[Tensor]]:
    """Pairs (source, target) of neurons, counted over the network, and their features."""
    stages = read_stages(architecture, skips=True)
    pairs: list[tuple[int, int]] = []
    features: list[Tensor] = []

    def connect(source: int, target: int, w: Tensor, project: Any) -> None:
        if not module.config.reversed_edges:
            pairs.append((source, target))
            features.append(project(w))
            return
        pairs.extend([(source, target), (target, source)])
        nothing = torch.zeros_like(w)
        features.append(project(torch.cat([w, nothing, w])))
        features.append(project(torch.cat([nothing, w, w])))

    starts = {"input": 0}
    start = 0
    for stage, kernels in zip(stages, stage_weights(stages, weights[None])[0], strict=True):
        starts[stage.layer] = start + stage.inputs.size
        for i in range(stage.inputs.size):
            for o in range(stage.outputs.size):
                plain = stage.kernel is None and module.linear is not None
                kernel = kernels[:, o : o + 1, i : i + 1]
                w = (kernel if plain else padded(kernel, module.limits.kernel)).flatten()
                project = module.linear if plain else module.kernel
                connect(start + i, starts[stage.layer] + o, w, project)
        start = starts[stage.layer]
    one = torch.zeros(module.limits.kernel, module.limits.kernel)
    if module.limits.kernel:
        one[module.limits.kernel // 2, module.limits.kernel // 2] = 1
    for edge in architecture.edges:
        if edge.kind == "residual":
            widths = [
                architecture.node(name).out_features or 0 for name in (edge.source, edge.target)
            ]
            for c in range(min(widths)):
                connect(
                    starts[edge.source] + c, starts[edge.target] + c, one.flatten(), module.kernel
                )
    return pairs, features


def aggregated(messages: list[Tensor], width: int, amplified: float) -> Tensor:
    if not messages:
        return torch.zeros(8 * width)
    m = torch.stack(messages)
    spread = (m.square().mean(0) - m.mean(0).square()).clamp(min=1e-5).sqrt()
    spread[spread <= math.sqrt(1e-5)] = 0
    found = torch.cat([m.mean(0), m.amin(0), m.amax(0), spread])
    return torch.cat([found, amplified * found])


def test_attention_is_that_of_pairs_one_by_one():
    module = made(SIREN, variant="transformer", width=8, heads=2, layers=1)
    batch = batch_of(SIREN, 1)
    seen: dict[str, Tensor] = {}
    layer: Any = module.graph.layers[0]
    layer.register_forward_hook(
        lambda _, given, found: seen.update(x=given[0], pairs=given[1], found=found)
    )
    predicted(module, batch)
    x, pairs = seen["x"][0], seen["pairs"][0]
    with torch.no_grad():
        q, k, v = layer.of_nodes(x).chunk(3, dim=1)
        rows = []
        for i in range(len(x)):
            heads = []
            for h in range(2):
                at = slice(8 * h, 8 * h + 8)
                qe, ke, ve, me = layer.of_edges(pairs[i]).chunk(4, dim=1)
                scores = ((q[i, at] + qe[:, at]) * (k[:, at] + ke[:, at])).sum(1) / 4
                heads.append(scores.softmax(0) @ (v[:, at] * me[:, at] + ve[:, at]))
            rows.append(torch.cat(heads))
        y = layer.first(x + layer.after(layer.join(torch.stack(rows))))
        y = layer.second(y + layer.narrow(F.gelu(layer.wide(y))))
    assert torch.allclose(seen["found"][0], y, atol=1e-5)
    # Neurons 0 (the input) and 1: an edge; 1 and 0: none, as 1 and 2.
    assert not torch.allclose(pairs[0, 1], pairs[1, 0])
    assert torch.equal(pairs[1, 0], pairs[1, 2])


def test_pairs_of_a_skip_connection_are_those_of_like_neurons():
    module = made(PARK, variant="transformer", layers=1)
    assert isinstance(module.graph, RelationalTransformer)
    seen: list[Tensor] = []
    module.graph.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[1][0]))
    predicted(module, batch_of(PARK, 1))
    (pairs,) = seen
    first, third, fourth = 3, 3 + 4 + 3, 3 + 4 + 3 + 6
    one = pairs[first, third]
    equal = (pairs[first : first + 4, third : fourth + 4] == one).all(2)
    like, none = torch.eye(4, dtype=torch.bool), torch.zeros(4, 2, dtype=torch.bool)
    assert torch.equal(equal, torch.cat([like, none, like], dim=1))
    # The other way there is no edge, as there is none from a neuron to itself.
    assert torch.equal(pairs[third, first], pairs[first, first])
    assert not torch.allclose(one, pairs[first, first])


@pytest.mark.parametrize("variant", ["gnn", "transformer"])
def test_skip_connections_are_told_apart(variant):
    """The same weights, with what is added elsewhere: another function, and another graph."""
    options = {**PARK.options, "residuals": (-1, -1, -1, 0, 1)}
    other = ARCHS["wildpark"].describe(input_shape=(3, 16, 16), classes=10, **options)
    assert other.parameters == PARK.parameters
    module = made(PARK, other, variant=variant).double()
    (group,) = doubled(batch_of(PARK))
    moved = predicted(module, [replace(group, architecture=other)]) - predicted(module, [group])
    assert moved.abs().min() > 1e-8


def test_kernels_are_centred():
    kernel = torch.arange(1.0, 5).view(1, 1, 1, 2, 2)
    assert padded(kernel, 5).view(5, 5).nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert padded(torch.ones(1, 1, 1, 1, 1), 3).flatten().tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_sizes_are_declared_and_larger_graphs_are_refused():
    small, declared = made(ARCH1), made(ARCH1, kernel=5, inputs=3, hidden=4)
    assert declared.refusal(ARCH2) is None
    assert predicted(declared, batch_of(ARCH2)).isfinite().all()
    assert predicted(made(ARCH2), batch_of(ARCH1)).isfinite().all()
    assert small.refusal(ARCH2) == (
        "neuralgraph was prepared for kernels of side 3, and arch2 has 5: train with "
        "--neuralgraph.kernel 5, or choose a model that takes any architecture"
    )
    reason = made(ARCH1, kernel=5).refusal(GREY_ARCH2) or ""
    assert "hidden layers, up to 3, and arch2 has 4: train with --neuralgraph.hidden 4" in reason
    assert "from 10 output neurons, each at its place, and siren has 1" in (
        small.refusal(SIREN) or ""
    )
    with pytest.raises(ModelError, match="from 10 output neurons"):
        made(ARCH1, SIREN)
    with pytest.raises(SettingError, match="a multiple of the heads"):
        KIND.config(width=10)


def test_two_architectures_in_a_batch_are_each_by_itself():
    module = made(ARCH1, GREY_ARCH2)
    one, other = batch_of(ARCH1, 2), batch_of(GREY_ARCH2, 2)
    together = predicted(module, [*one, *other])
    apart = torch.cat([predicted(module, one), predicted(module, other)])
    assert torch.allclose(together, apart, atol=1e-6)


def test_activations_are_told_only_where_asked():
    (group,) = batch_of(ARCH1)
    numbers = torch.tensor([ACTIVATIONS.index(name) for name in ("relu", "tanh", "relu")])
    known = replace(group, activations={"config.activation": numbers})
    other = replace(group, activations={"config.activation": numbers.flip(0) * 0 + 1})
    blind, told = made(ARCH1), made(ARCH1, activation_embedding=True)
    assert torch.equal(predicted(blind, [known]), predicted(blind, [group]))
    different = predicted(told, [known]) != predicted(told, [other])
    assert different[:, 0].tolist() == [True, False, True]
    assert predicted(told, [group]).isfinite().all()


def test_weights_are_disturbed_in_training_alone():
    module = made(ARCH1, noise=0.1, drop=0.05)
    batch = batch_of(ARCH1)
    plain = predicted(module, batch)
    assert torch.equal(plain, predicted(module, batch))
    module.train()
    assert not torch.equal(predicted(module, batch), predicted(module, batch))
    assert torch.equal(predicted(made(ARCH1).train(), batch), plain)
