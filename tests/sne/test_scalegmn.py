"""ScaleGMN: what it does not see (order, signs, scales) and what it does; as node by node."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from weight_cases import ARCH1, ARCH2, SIREN, networks

from sne.baselines.equivariant import Equivariant, Kind, Style, kind_of
from sne.baselines.graphs import Link
from sne.baselines.scalegmn import Layer, ScaleGmn, alike, in_phase, kinds_in
from sne.baselines.stages import read_stages, stage_weights
from sne.errors import SettingError
from sne.model import ACTIVATIONS, Batch, Group, Preparation, prepare
from sne.models import model_kind
from sne.scaling import no_scaling
from sne.symmetry import move_batch
from zoogen.archs import ARCHS
from zoogen.description import Architecture
from zoogen.forward import forward, parameters_of

KIND = model_kind("scalegmn")
INR = ARCHS["siren"].describe(input_shape=(2,), classes=3, width=8, depth=4)
COLUMN = "config.activation"
PARK = ARCHS["wildpark"].describe(
    input_shape=(3, 8, 8),
    classes=10,
    channels=(4, 3, 6, 5),
    kernels=(3, 5, 3, 3),
    activations=("relu", "relu", "relu", "tanh"),
    residuals=(-1, -1, 0, -1),
)
"""The third layer adds the first one's output; the others have symmetries of their own."""


def made(*architectures: Architecture, **settings: Any) -> ScaleGmn:
    preparation = Preparation(architectures=architectures, scaling=no_scaling(), task="share")
    config = KIND.config(**{"width": 16, **settings})
    module = prepare(KIND, preparation, config=config, seed=1).eval().double()
    assert isinstance(module, ScaleGmn)
    return module


def group_of(architecture: Architecture, name: str | None = None, count: int = 3) -> Group:
    """Networks in double precision, all with one activation."""
    group = networks(architecture, count)
    known = {} if name is None else {COLUMN: torch.full((count,), ACTIVATIONS.index(name))}
    return replace(group, weights=0.3 * group.weights.double(), activations=known)


def predicted(module: ScaleGmn, batch: Batch) -> Tensor:
    with torch.no_grad():
        return module(batch).prediction


def apart(module: ScaleGmn, group: Group, weights: Tensor) -> float:
    """How far predictions are from those of other weights, as a share of their spread."""
    plain = predicted(module, [group])
    other = predicted(module, [group.with_weights(weights)])
    return float((other - plain).abs().max() / plain.std())


def turned(group: Group, factors: list[Tensor | None]) -> Tensor:
    """The outputs of each hidden layer times its factors, undone in what reads them."""
    weights = group.weights.clone()
    stages = read_stages(group.architecture, skips=True)
    kernels, biases = stage_weights(stages, weights)
    for level, factor in enumerate(factors):
        if factor is not None:
            kernels[level].mul_(factor[:, None, None, None])
            biases[level].mul_(factor)
            kernels[level + 1].div_(factor[:, None, None])
    return weights


def drawn(architecture: Architecture, kind: Kind, seed: int = 4) -> list[Tensor | None]:
    """Factors of this kind for every hidden layer."""
    generator = torch.Generator().manual_seed(seed)
    found: list[Tensor | None] = []
    for stage in read_stages(architecture, skips=True)[:-1]:
        random = torch.rand(stage.outputs.size, generator=generator, dtype=torch.float64)
        found.append(torch.where(random < 0.5, -1.0, 1.0) if kind == "sign" else 0.2 + 3 * random)
    return found


def function_of(group: Group, weights: Tensor, activation: str) -> Tensor:
    """The first network's output."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(4, *group.architecture.input_shape, generator=generator, dtype=torch.float64)
    parameters = parameters_of(group.architecture, weights[0])
    return forward(group.architecture, parameters, x, config={"activation": activation})


@pytest.mark.parametrize("settings", [{}, {"readout": "outputs"}, {"symmetrize": True}])
@pytest.mark.parametrize(
    ("architecture", "activation", "kind"),
    [(ARCH1, "relu", "scale"), (ARCH2, "relu", "scale"), (ARCH1, "tanh", "sign")],
    ids=lambda value: getattr(value, "family", value),
)
def test_signs_and_scales_that_change_no_function_are_not_seen(
    architecture, activation, kind, settings
):
    group, module = group_of(architecture, activation), made(architecture, **settings)
    weights = turned(group, drawn(architecture, kind))
    before = function_of(group, group.weights, activation)
    assert torch.allclose(function_of(group, weights, activation), before)
    assert apart(module, group, weights) < 1e-8


@pytest.mark.parametrize(("activation", "kind"), [("relu", "scale"), ("tanh", "sign")])
def test_the_same_in_single_precision(activation, kind):
    group = group_of(ARCH1, activation)
    weights = turned(group, drawn(ARCH1, kind))
    single = group.with_weights(group.weights.float())
    assert apart(made(ARCH1).float(), single, weights.float()) < 1e-4


@pytest.mark.parametrize(("activation", "kind"), [("relu", "sign"), ("tanh", "scale")])
@pytest.mark.parametrize("settings", [{}, {"symmetrize": True}])
def test_signs_of_relus_and_scales_of_tanh_are_seen(activation, kind, settings):
    group = group_of(ARCH1, activation)
    assert apart(made(ARCH1, **settings), group, turned(group, drawn(ARCH1, kind))) > 1e-3


def test_signs_before_a_maximum_are_seen_and_those_behind_are_not():
    group, module = group_of(ARCH2, "tanh"), made(ARCH2)
    conv1, conv2, conv3, fc1 = drawn(ARCH2, "sign")
    before = function_of(group, group.weights, "tanh")
    for factors, free in (([conv1, conv2, None, None], True), ([None, None, conv3, fc1], False)):
        weights = turned(group, factors)
        assert torch.allclose(function_of(group, weights, "tanh"), before) != free
        assert (apart(module, group, weights) > 1e-3) == free


@pytest.mark.parametrize("settings", [{}, KIND.usual["inr"].settings])
@pytest.mark.parametrize("architecture", [SIREN, INR], ids=["one", "image"])
def test_order_signs_and_phases_of_sines_are_not_seen_and_other_orders_are(architecture, settings):
    group, module = group_of(architecture), made(architecture, **{**settings, "width": 16})
    generator = torch.Generator().manual_seed(3)
    plain = predicted(module, [group])
    moved = move_batch([group], generator=generator, flip_signs=True)
    assert torch.allclose(predicted(module, moved), plain, rtol=0, atol=1e-12)
    assert apart(module, group, shifted(group)) < 1e-6
    # A fresh model with few layers sees other orders, but little of them.
    control = move_batch([group], generator=generator, functional=False)
    assert (predicted(module, control) - plain).abs().max() > 1e-9


def shifted(group: Group) -> Tensor:
    """The first layer's phases by half periods: one, three, five, …"""
    weights = group.weights.clone()
    first, second = read_stages(group.architecture)[:2]
    (kernels,), (bias,) = (
        stage_weights([second], weights)[0],
        stage_weights([first], weights)[1],
    )
    turns = 2 * torch.arange(first.outputs.size, dtype=torch.float64) + 1
    bias.add_(turns * torch.pi / 30)
    kernels.neg_()
    assert torch.allclose(
        function_of(group, weights, "sine"), function_of(group, group.weights, "sine"), atol=1e-8
    )
    return weights


def test_phases_are_within_half_a_period_and_the_function_is_the_same():
    group, stages = group_of(INR), read_stages(INR)
    found = in_phase(stages, group.weights)
    assert not torch.equal(found, group.weights)
    _, biases = stage_weights(stages[:-1], found)
    assert all((30 * bias).abs().max() <= torch.pi / 2 + 1e-9 for bias in biases)
    before = function_of(group, group.weights, "sine")
    assert torch.allclose(function_of(group, found, "sine"), before, atol=1e-8)


def test_declared_permutations_of_classifiers_are_not_seen():
    group, module = group_of(ARCH2, "relu"), made(ARCH2)
    check_order(module, group, least=1e-3)


def check_order(module: ScaleGmn, group: Group, *, least: float) -> None:
    """Declared permutations are not seen, and others as this share of predictions' spread."""
    generator = torch.Generator().manual_seed(3)
    plain = predicted(module, [group])
    moved = move_batch([group], generator=generator)
    assert torch.allclose(predicted(module, moved), plain, atol=1e-10)
    control = move_batch([group], generator=generator, functional=False)
    assert (predicted(module, control) - plain).abs().max() / plain.std() > least


@pytest.mark.parametrize("settings", [{}, KIND.usual["inr"].settings])
def test_what_a_skip_connection_ties_has_permutations_alone(settings):
    module, group = made(PARK, **{**settings, "width": 16}), group_of(PARK)
    assert kinds_in(PARK) == {"free", "scale", "sign"}
    before = function_of(group, group.weights, "")
    scales, signs = drawn(PARK, "scale"), drawn(PARK, "sign")
    weights = turned(group, [None, scales[1], None, signs[3]])
    assert torch.allclose(function_of(group, weights, ""), before)
    assert apart(module, group, weights) < 1e-8
    for level in (0, 2):
        weights = turned(group, [scales[level] if at == level else None for at in range(4)])
        assert not torch.allclose(function_of(group, weights, ""), before)
        assert apart(module, group, weights) > 1e-4
    check_order(module, group, least=1e-4)
    plain = predicted(module, [group])
    # Where the output goes is seen, though no weight says it.
    options = {**PARK.options, "residuals": (-1, -1, -1, 1)}
    other = ARCHS["wildpark"].describe(input_shape=(3, 8, 8), classes=10, **options)
    assert (predicted(module, [replace(group, architecture=other)]) - plain).abs().min() > 1e-8


def test_a_layer_with_skips_is_that_of_messages_one_by_one():
    style = Style(hidden=8, kinds=frozenset({"scale", "free"}))
    layer: Any = Layer(5, style, skip=True, updates_edges=True, only_outputs=False).double()
    nodes = [torch.randn(1, size, 5, dtype=torch.float64) for size in (2, 3, 4)]
    kinds: list[Kind] = ["free", "scale", "free"]
    links = [
        Link(source=0, target=1, features=torch.randn(1, 3, 2, 5, dtype=torch.float64)),
        Link(source=1, target=2, features=torch.randn(1, 4, 3, 5, dtype=torch.float64)),
        Link(source=0, target=2, features=torch.randn(1, 2, 1, 5, dtype=torch.float64), alike=True),
    ]
    with torch.no_grad():
        found, next_links = layer(nodes, links, kinds)
        for level, size in enumerate((2, 3, 4)):
            for neuron in range(size):
                x, gathered = nodes[level][0, neuron], torch.zeros(5, dtype=torch.float64)
                for other, edge in edges_into(links, level, neuron):
                    source = layer.of_nodes(nodes[other[0]][0, other[1]])
                    gathered = gathered + layer.message(layer.of_edges(edge) * source, kinds[level])
                new = layer.update(torch.cat([x, gathered]), kinds[level]) + layer.skip(x)
                assert torch.allclose(found[level][0, neuron], new)
                for (other, edge), (_, after) in zip(
                    edges_into(links, level, neuron),
                    edges_into(next_links, level, neuron),
                    strict=True,
                ):
                    ends = [
                        layer.edges.invariant(nodes[at][0, n], kinds[at])
                        for at, n in (other, (level, neuron))
                    ]
                    factor = layer.edges.factor(torch.cat(ends))
                    assert torch.allclose(after, layer.edges.linear(edge) * factor)


def edges_into(links: list[Link], level: int, neuron: int) -> list[tuple[tuple[int, int], Tensor]]:
    """(level, neuron) that each edge into a neuron comes from, and its feature."""
    found: list[tuple[tuple[int, int], Tensor]] = []
    for link in links:
        if link.target == level and link.alike and neuron < link.count:
            found.append(((link.source, neuron), link.features[0, neuron, 0]))
        elif link.target == level and not link.alike:
            features = link.features[0, neuron]
            found += [((link.source, n), features[n]) for n in range(len(features))]
    return found


def test_networks_are_computed_by_their_own_activation_and_keep_their_order():
    module = made(ARCH1)
    mixed = networks(ARCH1, 5)
    mixed = mixed.with_weights(0.3 * mixed.weights.double())
    assert mixed.activations[COLUMN].tolist() == [0, 1, 0, 1, 0]
    single = torch.cat([predicted(module, [mixed.rows(slice(i, i + 1))]) for i in range(5)])
    assert torch.allclose(predicted(module, [mixed]), single)
    other = replace(mixed, activations={COLUMN: 1 - mixed.activations[COLUMN]})
    assert not torch.isclose(predicted(module, [other]), single).any()


def test_what_is_not_known_has_permutations_alone():
    module, group = made(ARCH1), group_of(ARCH1)
    ((index, kinds),) = alike(group, read_stages(ARCH1))
    assert index is None
    assert kinds == ["free"] * 5
    assert apart(module, group, turned(group, drawn(ARCH1, "scale"))) > 1e-3
    moved = move_batch([group], generator=torch.Generator().manual_seed(3))
    assert torch.allclose(predicted(module, moved), predicted(module, [group]), atol=1e-10)


def test_kinds_follow_from_activations_and_maxima():
    assert [kind_of(name, maximum=False) for name in ("relu", "tanh", "sine", "gelu", None)] == [
        "scale", "sign", "sign", "free", "free",
    ]  # fmt: skip
    assert [kind_of(name, maximum=True) for name in ("relu", "tanh")] == ["scale", "free"]
    assert kinds_in(SIREN) == {"sign"}
    assert kinds_in(ARCH1) == {"sign", "scale", "free"}


@pytest.mark.parametrize("symmetrize", [False, True])
def test_layers_turn_as_their_features_do(symmetrize):
    style = Style(hidden=8, kinds=frozenset({"sign", "scale", "free"}), symmetrize=symmetrize)
    layer = Equivariant(5, 6, style).double()
    x = torch.randn(7, 5, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(layer(-x, "sign"), -layer(x, "sign"))
        assert torch.allclose(layer(3 * x, "scale"), 3 * layer(x, "scale"))
        assert not torch.allclose(layer(-x, "scale"), -layer(x, "scale"))
        assert not torch.allclose(layer(3 * x, "sign"), 3 * layer(x, "sign"))
        assert not torch.allclose(layer(-x, "free"), -layer(x, "free"))


def test_other_symmetries_and_scalings_that_lose_them_are_refused():
    inr = ARCHS["siren"].describe(input_shape=(1,), classes=10)
    reason = made(inr, kernel=3, hidden=3).refusal(ARCH1)
    assert reason is not None
    assert "prepared for neurons with sign symmetry, and arch1 has some with scale" in reason
    assert "kernels of side 3, and arch2 has 5" in (made(ARCH1).refusal(ARCH2) or "")
    for how in ("compressed", "magnitude"):
        preparation = Preparation(architectures=(ARCH1,), scaling=no_scaling(how), task="share")
        with pytest.raises(SettingError, match="choose none or standard"):
            prepare(KIND, preparation)
    with pytest.raises(SettingError, match="sizes are at least 1"):
        KIND.config(layers=0)


def test_messages_are_those_of_a_walk_along_edges():
    module = made(SIREN, layers=2, readout="outputs", edge_places=True)
    group = group_of(SIREN, count=2)
    expected = [walked(module, weights) for weights in group.weights]
    assert torch.allclose(predicted(module, [group])[:, 0], torch.stack(expected))


def walked(module: ScaleGmn, weights: Tensor) -> Tensor:
    """One SIREN, neuron by neuron."""
    stages = read_stages(SIREN)
    with torch.no_grad():
        return _walk(module, stage_weights(stages, in_phase(stages, weights[None])))


def _walk(module: Any, tensors: tuple[list[Tensor], list[Tensor]]) -> Tensor:
    kernels, biases = tensors
    sizes = [1, 8, 8, 1]
    level_of = [level for level, size in enumerate(sizes) for _ in range(size)]
    starts = [0, 1, 9, 17]
    bias = torch.cat([torch.zeros(1, dtype=torch.float64), *(b[0] for b in biases)])
    kinds = ["free", "sign", "sign", "free"]
    x = []
    for node, level in enumerate(level_of):
        own, place = module.node.weight[:, 0] * bias[node], module.places[level]
        x.append(own * place if kinds[level] == "sign" else own + place)
    pairs = [
        (starts[s] + i, starts[s + 1] + o, kernels[s][0, o, i, 0, 0], s)
        for s in range(3)
        for i in range(sizes[s])
        for o in range(sizes[s + 1])
    ]
    edges = [module.edge.weight[:, 0] * w * module.edge_places[s] for _, _, w, s in pairs]
    for layer in module.layers:
        new = []
        for node, level in enumerate(level_of):
            messages = [
                layer.message(layer.of_edges(e) * layer.of_nodes(x[s]), kinds[level])
                for (s, t, _, _), e in zip(pairs, edges, strict=True)
                if t == node and not (layer.only_outputs and level < 3)
            ]
            gathered = torch.stack(messages).sum(0) if messages else torch.zeros_like(x[node])
            if layer.only_outputs and level < 3:
                new.append(x[node])
                continue
            update = layer.update(torch.cat([x[node], gathered]), kinds[level])
            new.append(update + layer.skip(x[node]))
        if layer.edges is not None:
            factor = layer.edges
            ends = [
                (
                    factor.invariant(x[s], kinds[level_of[s]]),
                    factor.invariant(x[t], kinds[level_of[t]]),
                )
                for s, t, _, _ in pairs
            ]
            edges = [
                factor.linear(e) * factor.factor(torch.cat(both))
                for e, both in zip(edges, ends, strict=True)
            ]
        x = new
    encoding = torch.nn.functional.silu(module.norm(module.encode(x[-1])))
    return module.predict(encoding)[0]


@pytest.mark.parametrize(
    ("architecture", "recipe", "count"),
    [
        (ARCH1, "cnn", 610_817),
        (ARCHS["siren"].describe(input_shape=(1,), classes=1), "inr", 580_225),
    ],
)
def test_sizes_are_those_of_the_table(architecture, recipe, count):
    module = made(architecture, **{"width": 64, **KIND.usual[recipe].settings})
    assert sum(p.numel() for p in module.parameters()) == count
