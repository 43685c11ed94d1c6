"""The forward pass from the description alone, against torch modules."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.zoogen.arch_cases import random_weights, smallest
from zoogen.archs import ARCHS, to_module
from zoogen.archs.chain import single
from zoogen.description import Architecture, Edge, Node, Space, TensorSpec
from zoogen.errors import PlanError
from zoogen.forward import ACTIVATIONS, forward, parameters_of, plan_forward

CASES = {
    "arch1-28": ("arch1", (1, 28, 28), 10, {}),
    "arch1-31": ("arch1", (1, 31, 31), 7, {}),
    "arch2-grey": ("arch2", (1, 28, 28), 10, {}),
    "arch2-colour": ("arch2", (3, 28, 28), 10, {}),
    "siren": ("siren", (1,), 1, {}),
    "siren-image": ("siren", (2,), 3, {"width": 8, "depth": 5}),
    **{name: name for name in ARCHS if name not in {"arch1", "arch2", "siren"}},
}
SITES = {
    **{"arch1": 3, "arch2": 4, "siren": 0, "schuerholt_small": 3, "schuerholt_large": 4, "mlp": 2},
    **{"vit": 5, "resnet": 0, "wildpark": 0},
}


@pytest.fixture(params=CASES)
def architecture(request) -> Architecture:
    case = CASES[request.param]
    if isinstance(case, str):
        return smallest(case)
    name, shape, classes, options = case
    return ARCHS[name].describe(input_shape=shape, classes=classes, **options)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2)


def _drawn(architecture: Architecture, rng: np.random.Generator) -> tuple[np.ndarray, Tensor]:
    """Weights and an input that leave every unit at work."""
    weights = random_weights(architecture, rng)
    return weights, torch.from_numpy(rng.normal(size=(6, *architecture.input_shape)))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_description_computes_what_the_module_computes(architecture, rng, activation):
    weights, x = _drawn(architecture, rng)
    config = {"activation": activation, "dropout": 0.5}
    expected = to_module(architecture, weights, config)(x)
    parameters = parameters_of(architecture, torch.from_numpy(weights))
    y = forward(architecture, parameters, x, config=config)
    assert y.shape == (6, architecture.output_size)
    assert torch.allclose(y, expected, rtol=0, atol=1e-6)
    assert y.std() > 1e-3


def test_the_comparison_sees_another_activation_and_another_weight(architecture, rng):
    weights, x = _drawn(architecture, rng)
    expected = to_module(architecture, weights, {"activation": "relu"})(x)
    changed = weights.copy()
    changed[0] += 0.1
    by_weight = forward(
        architecture,
        parameters_of(architecture, torch.from_numpy(changed)),
        x,
        config={"activation": "relu"},
    )
    assert not torch.allclose(by_weight, expected, rtol=0, atol=1e-6)
    if any(node.activation == "config.activation" for node in architecture.nodes):
        by_activation = forward(
            architecture,
            parameters_of(architecture, torch.from_numpy(weights)),
            x,
            config={"activation": "tanh"},
        )
        assert not torch.allclose(by_activation, expected, rtol=0, atol=1e-6)


class _Marked(nn.Module):
    """A stand-in for dropout whose effect tells its site."""

    def __init__(self, site: int) -> None:
        super().__init__()
        self.site = site

    def forward(self, x: Tensor) -> Tensor:
        return _mark(self.site, x)


def _mark(site: int, x: Tensor) -> Tensor:
    kept = (torch.arange(x.numel()).reshape(x.shape) % (site + 2)) != 0
    return x * kept * (site + 2)


def test_dropout_acts_where_the_modules_dropout_layers_stand(architecture, rng):
    weights, x = _drawn(architecture, rng)
    config = {"activation": "tanh", "dropout": 0.5}
    module = to_module(architecture, weights, config)
    sites = [name for name, part in module.named_modules() if isinstance(part, nn.Dropout)]
    for site, name in enumerate(sites):
        module.set_submodule(name, _Marked(site))
    called = []

    def dropout(site: int, activations: Tensor) -> Tensor:
        called.append(site)
        return _mark(site, activations)

    parameters = parameters_of(architecture, torch.from_numpy(weights))
    y = forward(architecture, parameters, x, config=config, dropout=dropout)
    assert called == list(range(SITES[architecture.family]))
    assert torch.allclose(y, module(x), rtol=0, atol=1e-6)
    if called:
        without = forward(architecture, parameters, x, config=config)
        assert not torch.allclose(y, without, rtol=0, atol=1e-6)


def test_dropout_sees_activations_not_what_goes_into_them(rng):
    architecture = ARCHS["arch2"].describe(input_shape=(1, 28, 28), classes=10)
    weights, x = _drawn(architecture, rng)
    seen = []

    def dropout(site: int, activations: Tensor) -> Tensor:
        seen.append(tuple(activations.shape))
        assert activations.min() >= 0
        return activations

    parameters = parameters_of(architecture, torch.from_numpy(weights))
    forward(architecture, parameters, x, config={"activation": "relu"}, dropout=dropout)
    assert seen == [(6, 8, 12, 12), (6, 6, 4, 4), (6, 4, 3, 3), (6, 20)]


def test_vmap_over_members_equals_one_after_the_other(architecture, rng):
    rows = [random_weights(architecture, rng) for _ in range(3)]
    weights = torch.from_numpy(np.stack(rows))
    _, x = _drawn(architecture, rng)
    network = plan_forward(architecture, {"activation": "relu"})

    def member(parameters: dict[str, Tensor]) -> Tensor:
        return network(parameters, x, _mark)

    together = torch.func.vmap(member)(parameters_of(architecture, weights))
    apart = torch.stack([member(parameters_of(architecture, row)) for row in weights])
    assert torch.allclose(together, apart, rtol=0, atol=1e-9)
    assert not torch.allclose(apart[0], apart[1], rtol=0, atol=1e-9)


def test_gradients_reach_every_parameter(architecture, rng):
    weights, x = _drawn(architecture, rng)
    flat = torch.from_numpy(weights).requires_grad_()
    parameters = parameters_of(architecture, flat)
    forward(architecture, parameters, x, config={"activation": "tanh"}).square().sum().backward()
    assert flat.grad is not None
    for t in architecture.tensors:
        grad = flat.grad[t.offset : t.offset + t.size]
        # A constant added to all keys leaves the softmax alone.
        assert (grad.abs() > 1e-12).any() == (not t.name.endswith("key.bias")), t.name
        # A ReLU of its own may be off for all of these inputs.
        if "relu" not in {n.activation for n in architecture.nodes} and "key" not in t.name:
            assert (grad != 0).all(), t.name


@pytest.mark.parametrize("name", ["arch1", "arch2"])
def test_channels_last_images_stay_channels_last(rng, name):
    architecture = ARCHS[name].describe(input_shape=(1, 28, 28), classes=10)
    weights, x = _drawn(architecture, rng)
    # One channel fits both layouts: the strides say which of them the first convolution sees.
    x = x.to(memory_format=torch.channels_last)
    maps = []

    def dropout(site: int, activations: Tensor) -> Tensor:
        if activations.dim() == 4:
            maps.append(activations.is_contiguous(memory_format=torch.channels_last))
        return activations

    tensors = {
        key: value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
        for key, value in parameters_of(architecture, torch.from_numpy(weights)).items()
    }
    forward(architecture, tensors, x, config={"activation": "relu"}, dropout=dropout)
    assert maps == [True, True, True]


def test_every_activation_has_a_module_that_computes_the_same(rng):
    x = torch.from_numpy(rng.normal(size=100))
    from zoogen.archs import modules

    assert set(modules.ACTIVATIONS) == set(ACTIVATIONS) - {"sine"}
    for name, kind in modules.ACTIVATIONS.items():
        assert torch.equal(kind()(x), ACTIVATIONS[name](x))


def _residual_net() -> Architecture:
    """a → b, b's input is added before b's activation; then c is the sum of a and b."""
    stream = single("stream", 4)
    axes = {
        "a": (stream, single("input", 3)),
        "b": (stream, stream),
        "c": (single("out", 2), stream),
    }
    tensors, offset = [], 0
    for level, (name, (out, into)) in enumerate(axes.items()):
        tensors.append(
            TensorSpec(
                name=f"{name}.weight", shape=(out.size, into.size), offset=offset,
                dtype="float32", role="weight", layer=name, layer_type="linear", level=level,
                axes=(out, into),
            )
        )  # fmt: skip
        offset += tensors[-1].size
    edges = [("input", "a"), ("a", "b"), ("a", "sum"), ("b", "sum"), ("sum", "c"), ("c", "output")]
    return Architecture(
        family="residual", input_shape=(3,), output_size=2,
        spaces=(
            Space(name="input", size=3, permutable=False),
            Space(name="stream", size=4, permutable=True),
            Space(name="out", size=2, permutable=False),
        ),
        tensors=tuple(tensors),
        nodes=(
            Node(name="input", op="input"),
            Node(name="a", op="linear", activation="relu", out_features=4),
            Node(name="b", op="linear", activation="tanh", out_features=4),
            Node(name="sum", op="add"),
            Node(name="c", op="linear", out_features=2),
            Node(name="output", op="output"),
        ),
        edges=(
            *(Edge(source=source, target=target) for source, target in edges),
            Edge(source="a", target="b", kind="residual"),
        ),
    )  # fmt: skip


def test_residual_edges_and_sums(rng):
    architecture = _residual_net()
    weights, x = _drawn(architecture, rng)
    a, b, c = (torch.from_numpy(w) for w in np.split(weights, [12, 28]))
    ya = torch.relu(x @ a.reshape(4, 3).T)
    yb = torch.tanh(ya @ b.reshape(4, 4).T + ya)
    expected = (ya + yb) @ c.reshape(2, 4).T
    parameters = parameters_of(architecture, torch.from_numpy(weights))
    y = forward(architecture, parameters, x, config={})
    assert torch.allclose(y, expected, rtol=0, atol=1e-12)
    without = replace(architecture, edges=architecture.edges[:-1])
    other = forward(without, parameters, x, config={})
    assert not torch.allclose(other, expected, rtol=0, atol=1e-3)


def test_nodes_out_of_computing_order_are_refused():
    architecture = _residual_net()
    a, b = architecture.nodes[1:3]
    wrong = replace(architecture, nodes=(architecture.nodes[0], b, a, *architecture.nodes[3:]))
    with pytest.raises(PlanError, match="node 'b' stands before 'a', which feeds it"):
        plan_forward(wrong, {})


def test_node_that_nothing_feeds_is_refused():
    wrong = replace(_residual_net(), edges=_residual_net().edges[1:])
    with pytest.raises(PlanError, match="nothing feeds node 'a'"):
        plan_forward(wrong, {})


def test_unknown_operation_names_itself_and_the_way_out():
    architecture = _residual_net()
    nodes = tuple(
        replace(node, op="concat") if node.name == "b" else node for node in architecture.nodes
    )
    with pytest.raises(PlanError, match=r"knows no 'concat' \(node 'b'\).*family's module"):
        plan_forward(replace(architecture, nodes=nodes), {})


def test_missing_activation_is_named():
    architecture = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
    with pytest.raises(PlanError, match=r"node 'conv1' needs config.activation"):
        plan_forward(architecture, {})


def test_graphs_that_are_no_chain_have_a_module_too(rng):
    architecture = _residual_net()
    nodes = tuple(replace(n, op="linear") if n.name in "abc" else n for n in architecture.nodes)
    architecture = replace(architecture, nodes=nodes)
    weights, x = _drawn(architecture, rng)
    y = to_module(architecture, weights, {})(x)
    parameters = parameters_of(architecture, torch.from_numpy(weights))
    assert torch.allclose(y, forward(architecture, parameters, x, config={}), atol=1e-12)


def _with_training_norms(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.train()
    return module


def test_batch_norms_train_as_torch_has_them(rng):
    """Outputs by the batch, and new running statistics, for one network and for several."""
    architecture = smallest("resnet")
    rows = [random_weights(architecture, rng) for _ in range(2)]
    x = torch.from_numpy(rng.normal(size=(6, *architecture.input_shape)))
    network = plan_forward(architecture, {})

    def train(parameters: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        statistics: dict[str, Tensor] = {}
        return network(parameters, x, None, statistics), statistics

    stacked = parameters_of(architecture, torch.from_numpy(np.stack(rows)))
    outputs, statistics = torch.func.vmap(train)(stacked)
    for i, row in enumerate(rows):
        module = _with_training_norms(to_module(architecture, row, {}))
        assert torch.allclose(outputs[i], module(x), rtol=0, atol=1e-9)
        state = module.state_dict()
        buffers = {t.name for t in architecture.tensors if t.role == "buffer"}
        assert set(statistics) == buffers
        for name in buffers:
            assert torch.allclose(statistics[name][i], state[name], rtol=0, atol=1e-9)
    in_evaluation = network(parameters_of(architecture, torch.from_numpy(rows[0])), x)
    assert not torch.allclose(in_evaluation, outputs[0], rtol=0, atol=1e-3)


STRIDED = """
import torch
import torch.nn.functional as F
from zoogen.description import Node
from zoogen.operations import OPERATIONS

torch.set_num_threads(2)
node = Node(name="c", op="conv2d", kernel=(1, 1), stride=({0}, {1}), padding=(0, 0))
layout = torch.channels_last
for images in (5, 9):
    x = torch.randn(images, 8, 16, 16).contiguous(memory_format=layout).requires_grad_()
    w = torch.randn(16, 8, 1, 1).contiguous(memory_format=layout).requires_grad_()
    b = torch.randn(16, requires_grad=True)
    exact = F.conv2d(x.double(), w.double(), b.double(), ({0}, {1}))
    expected = torch.autograd.grad(exact.sin().sum(), (x, w, b))
    for _ in range(40):
        y = OPERATIONS["conv2d"](node)({{"c.weight": w, "c.bias": b}}, (x,), None)
        found = torch.autograd.grad(y.sin().sum(), (x, w, b))
        assert y.shape == exact.shape
        for mine, true in zip((y, *found), (exact, *expected), strict=True):
            assert (mine - true).abs().max() <= 1e-4 * true.abs().max()
"""


@pytest.mark.parametrize("stride", [(2, 2), (2, 1), (3, 3)])
def test_strided_kernels_of_one_position_train_on_two_threads(stride: tuple[int, int]) -> None:
    """oneDNN's own way of it ends the process, so this one has a process of its own."""
    code = STRIDED.format(*stride)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
