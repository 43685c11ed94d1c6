"""Every architecture by name: its description, its module, and what it refuses."""

import json
import re
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.zoogen.arch_cases import smallest
from zoogen.archs import ARCHS, arch_family, to_module
from zoogen.archs.chain import Conv, Flatten, Linear, describe_chain
from zoogen.archs.family import SequentialFamily
from zoogen.archs.modules import build, flat_weights
from zoogen.description import Architecture
from zoogen.errors import PlanError

CASES = {
    "arch1-28": ("arch1", (1, 28, 28), 10, {}, 4_970),
    "arch1-32": ("arch1", (1, 32, 32), 10, {}, 4_970),
    "arch1-15x40": ("arch1", (1, 15, 40), 4, {}, 4_868),
    "arch2-grey": ("arch2", (1, 28, 28), 10, {}, 2_464),
    "arch2-colour": ("arch2", (3, 28, 28), 10, {}, 2_864),
    "siren": ("siren", (1,), 1, {}, 1_153),
    "siren-image": ("siren", (2,), 3, {"width": 8, "depth": 5}, 3 * 8 + 3 * 72 + 27),
    "siren-shallow": ("siren", (1,), 1, {"depth": 2}, 64 + 33),
    "schuerholt-small": ("schuerholt_small", (3, 28, 28), 10, {}, 2_864),
    "schuerholt-large": ("schuerholt_large", (3, 32, 32), 10, {}, 10_853),
    "vit-tiny": ("vit", (1, 28, 28), 10, {}, 20_682),
    "vit-s-chh": ("vit", (1, 28, 28), 10, {"embedding": 64, "blocks": 6, "heads": 4}, 210_058),
    "resnet8": ("resnet", (3, 32, 32), 10, {}, 19_954 + 336),
    "wildpark": ("wildpark", (3, 16, 16), 10, {}, 224 + 804 + 296 + 90),
    "resnet14": ("resnet", (1, 16, 16), 4, {"width": 4, "blocks": 2}, 11_480),
    "mlp": ("mlp", (1, 4, 4), 3, {"width": 5}, 16 * 5 + 5 + 30 + 18),
    "mlp-linear": ("mlp", (3, 4, 4), 3, {"depth": 1}, 48 * 3 + 3),
}
CHAINS = {name for name, family in ARCHS.items() if isinstance(family, SequentialFamily)}
CONFIG = {"activation": "tanh", "dropout": 0.25}


@pytest.fixture(params=CASES)
def case(request) -> tuple[Architecture, int]:
    name, shape, classes, options, parameters = CASES[request.param]
    described = ARCHS[name].describe(input_shape=shape, classes=classes, **options)
    return described, parameters


def layers(architecture: Architecture, config: dict[str, Any]) -> nn.Sequential:
    module = build(architecture, config)
    assert isinstance(module, nn.Sequential)
    return module


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_every_name_is_its_familys_and_is_described_here():
    assert {name: family.name for name, family in ARCHS.items()} == {n: n for n in ARCHS}
    assert {arch for arch, *_ in CASES.values()} == set(ARCHS)  # with their published sizes
    assert all(smallest(name).family == name for name in ARCHS)
    assert all(family.summary for family in ARCHS.values())


def test_number_of_parameters_is_the_published_one(case):
    architecture, parameters = case
    assert architecture.parameters == parameters


def test_description_survives_json(case):
    architecture, _ = case
    again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert again == architecture
    assert again.content_id == architecture.content_id


def test_content_ids_differ_between_the_cases():
    described = (
        ARCHS[name].describe(input_shape=shape, classes=classes, **options)
        for name, shape, classes, options, _ in CASES.values()
    )
    assert len({architecture.content_id for architecture in described}) == len(CASES)


def test_description_holds_what_describes_it_again(case):
    architecture, _ = case
    again = ARCHS[architecture.family].describe(
        input_shape=architecture.input_shape,
        classes=architecture.output_size,
        **architecture.options,
    )
    assert again == architecture


def test_graph_is_a_chain_from_input_to_output(case):
    architecture, _ = case
    names = [node.name for node in architecture.nodes]
    assert (names[0], names[-1]) == ("input", "output")
    if architecture.family not in CHAINS:
        return
    assert [(e.source, e.target) for e in architecture.edges] == list(pairwise(names))
    kinds = {"max_pool": "pool", "mean_pool": "pool", "flatten": "flatten"}
    for edge in architecture.edges:
        assert edge.kind == kinds.get(architecture.node(edge.target).op, "feed")


def test_input_output_and_places_are_fixed_and_hidden_spaces_are_not(case):
    architecture, _ = case
    owners = [node.name for node in architecture.nodes if node.op in {"conv2d", "linear"}]
    if architecture.family not in CHAINS:
        return  # test_permute proves those of other graphs
    assert [s.name for s in architecture.spaces if s.permutable] == owners[:-1]
    assert not any(s.rescalable for s in architecture.spaces)
    flips = [s.name for s in architecture.spaces if s.sign_flips]
    assert flips == (owners[:-1] if architecture.family == "siren" else [])


def test_levels_count_the_layers_that_own_parameters(case):
    architecture, _ = case
    parameters = [t for t in architecture.tensors if t.role != "buffer"]
    assert list(dict.fromkeys(t.level for t in parameters)) == list(
        range(len({t.layer for t in parameters}))
    )


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_module_has_the_tensors_of_the_description(case, activation):
    architecture, _ = case
    module = ARCHS[architecture.family].build(architecture, {**CONFIG, "activation": activation})
    held = [(name, tuple(p.shape)) for name, p in module.named_parameters()]
    tensors = architecture.tensors
    assert held == [(t.name, t.shape) for t in tensors if t.role != "buffer"]
    # Torch's batch norms count their batches, which is no part of a network.
    names = {name for name in module.state_dict() if not name.endswith("num_batches_tracked")}
    assert names == {t.name for t in tensors}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_go_into_a_module_and_come_back(case, rng, dtype):
    architecture, parameters = case
    weights = rng.standard_normal(parameters).astype(dtype)
    weights.setflags(write=False)  # as Parquet hands them out
    module = to_module(architecture, weights, CONFIG)
    back = flat_weights(module, architecture)
    assert back.dtype == dtype
    assert np.array_equal(back, weights)
    for tensor in architecture.tensors:
        part = weights[tensor.offset : tensor.offset + tensor.size].reshape(tensor.shape)
        assert np.array_equal(module.state_dict()[tensor.name].numpy(), part)


def test_module_owns_its_weights_and_can_be_trained(case, rng):
    architecture, parameters = case
    weights = rng.standard_normal(parameters).astype(np.float32)
    module = to_module(architecture, weights, CONFIG)
    before = flat_weights(module, architecture).copy()
    assert all(p.requires_grad and p.is_leaf for p in module.parameters())
    weights += 1
    with torch.no_grad():
        next(module.parameters()).mul_(2)
    after = flat_weights(module, architecture)
    first = architecture.tensors[0].size
    assert np.array_equal(after[first:], before[first:])
    assert np.array_equal(after[:first], 2 * before[:first])


def test_parameters_of_a_module_share_no_memory(case, rng):
    """Savers such as safetensors refuse tensors that are views of one buffer."""
    architecture, parameters = case
    module = to_module(architecture, rng.standard_normal(parameters), CONFIG)
    state = module.state_dict()
    storages = {state[t.name].untyped_storage().data_ptr() for t in architecture.tensors}
    assert len(storages) == len(architecture.tensors)


def test_ready_module_draws_no_random_number_and_drops_nothing(rng):
    architecture = ARCHS["arch2"].describe(input_shape=(1, 28, 28), classes=10)
    state = torch.get_rng_state()
    module = to_module(architecture, rng.standard_normal(2_464).astype(np.float32), CONFIG)
    assert torch.equal(torch.get_rng_state(), state)
    assert not module.training
    build(architecture, CONFIG)
    assert not torch.equal(torch.get_rng_state(), state)  # a fresh one does draw


def test_layers_of_arch2_stand_in_the_order_of_the_table():
    architecture = ARCHS["arch2"].describe(input_shape=(3, 28, 28), classes=10)
    kinds = [type(part).__name__ for part in layers(architecture, CONFIG)]
    behind = ["Tanh", "Dropout"]
    pooled = ["Conv2d", "MaxPool2d", *behind]
    assert kinds == [
        *pooled, *pooled, "Conv2d", *behind, "Flatten", "Linear", *behind, "Linear",
    ]  # fmt: skip


def test_layers_of_arch1_stand_in_the_order_of_the_table():
    architecture = ARCHS["arch1"].describe(input_shape=(1, 32, 32), classes=10)
    module = layers(architecture, {"activation": "relu", "dropout": 0.1})
    conv = ["Conv2d", "ReLU", "Dropout"]
    assert [type(part).__name__ for part in module] == [*conv * 3, "Sequential", "Linear"]
    assert {part.p for part in module if isinstance(part, nn.Dropout)} == {0.1}


def test_no_dropout_layers_where_the_configuration_has_no_rate():
    architecture = ARCHS["arch1"].describe(input_shape=(1, 32, 32), classes=10)
    module = layers(architecture, {"activation": "relu"})
    assert not [part for part in module if isinstance(part, nn.Dropout)]


def test_linear_layer_behind_the_flatten_is_a_convolution_over_the_map(rng):
    architecture = ARCHS["arch2"].describe(input_shape=(3, 28, 28), classes=10)
    node = architecture.node("fc1")
    assert node.as_conv == (20, 4, 3, 3)
    assert [n.name for n in architecture.nodes if n.as_conv] == ["fc1"]
    weight, _ = architecture.tensors_of("fc1")
    assert [(f.space, f.stride) for f in weight.axes[1].factors] == [
        ("conv3", 9), ("flatten.position", 1),
    ]  # fmt: skip
    kernel = torch.from_numpy(rng.standard_normal(weight.shape))
    x = torch.from_numpy(rng.standard_normal((5, 4, 3, 3)))
    by_conv = nn.functional.conv2d(x, kernel.reshape(20, 4, 3, 3)).flatten(1)
    assert torch.allclose(by_conv, x.flatten(1) @ kernel.T)


def test_siren_by_hand(rng):
    architecture = ARCHS["siren"].describe(input_shape=(1,), classes=1)
    weights = rng.uniform(-0.1, 0.1, 1_153)
    module = to_module(architecture, weights, {})
    w1, b1, w2, b2, w3, b3 = np.split(weights, np.cumsum([32, 32, 1024, 32, 32]))
    x = np.linspace(-np.pi, np.pi, 11)[:, None]
    hidden = np.sin(30 * (x @ w1[None] + b1))
    hidden = np.sin(30 * (hidden @ w2.reshape(32, 32).T + b2))
    expected = hidden @ w3[:, None] + b3 + 0.5
    with torch.no_grad():
        assert np.allclose(module(torch.from_numpy(x)).numpy(), expected, atol=1e-12)


def test_map_of_one_position_can_be_flattened():
    layers = (
        Conv(name="conv", channels=4, kernel=3),
        Flatten(name="flat"),
        Linear(name="fc", features=2),
    )
    architecture = describe_chain("tiny", input_shape=(1, 3, 3), layers=layers, options={})
    assert architecture.node("fc").as_conv == (2, 4, 1, 1)


@pytest.mark.parametrize(
    ("name", "shape", "classes", "options", "sentence"),
    [
        ("arch1", (3, 32, 32), 10, {}, "arch1 wants grey images (1, height, width), "
         "got (3, 32, 32): choose a recipe that turns the images grey"),
        ("arch1", (1, 28, 14), 10, {}, "arch1 wants images of at least 15 pixels a side, "
         "got (1, 28, 14): choose a recipe with larger images"),
        ("arch1", (1,), 10, {}, "arch1 wants grey images (1, height, width), got (1,): "
         "choose a recipe that turns the images grey"),
        ("arch2", (3, 32, 32), 10, {}, "arch2 wants images (1, 28, 28) or (3, 28, 28), "
         "got (3, 32, 32): choose a recipe that resizes the images to 28"),
        ("arch2", (1, 28, 28), 10, {"width": 3}, "arch2 has no option 'width'; its options: none"),
        ("siren", (1, 28, 28), 1, {}, "siren wants (coordinates,), for instance (1,) for a wave or "
         "(2,) for an image, got (1, 28, 28): use it with signals, as in --dataset sine"),
        ("siren", (1,), 1, {"depth": 1}, "siren wants a width of at least 1 and a depth of at "
         "least 2 layers, the last one included, got width=32 depth=1"),
        ("siren", (1,), 1, {"hight": 1}, "siren has no option 'hight'; its options: width, depth"),
        ("arch1", (1, 28, 28), 0, {}, "arch1 wants at least one output, got 0"),
        ("schuerholt_large", (3, 28, 28), 10, {}, "schuerholt_large wants images (1, 32, 32) or "
         "(3, 32, 32), got (3, 28, 28): choose a recipe that resizes the images to 32"),
        ("vit", (1, 30, 28), 10, {}, "vit wants images (channels, height, width) that patches of 4 "
         "pixels cover, got (1, 30, 28): choose a recipe with another side or patch"),
        ("vit", (1, 28, 28), 10, {"heads": 3}, "vit wants an embedding that its heads divide, got "
         "32 channels and 3 heads"),
        ("resnet", (3, 2, 2), 10, {}, "resnet wants images (channels, height, width) of at least 4 "
         "pixels a side, got (3, 2, 2)"),
        ("mlp", (2,), 1, {}, "mlp wants images (channels, height, width), got (2,)"),
        ("mlp", (1, 8, 8), 2, {"depth": 0}, "mlp wants a width of at least 1 and at least 1 layer, "
         "the last one included, got width=32 depth=0"),
    ],
)  # fmt: skip
def test_wrong_inputs_get_one_sentence(name, shape, classes, options, sentence):
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        ARCHS[name].describe(input_shape=shape, classes=classes, **options)


def test_unknown_name_lists_the_known_ones():
    assert arch_family("arch2") is ARCHS["arch2"]
    with pytest.raises(PlanError, match=r"no architecture 'vgg'; there are: arch1, arch2, siren"):
        arch_family("vgg")


def test_weights_of_another_length_are_refused():
    architecture = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
    with pytest.raises(PlanError, match=r"arch1 has 4,970 weights, got an array of shape \(3,\)"):
        to_module(architecture, np.zeros(3, np.float32), CONFIG)


def test_module_of_another_network_is_refused():
    architecture = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
    with pytest.raises(PlanError, match=r"tensor 'conv1.weight' should .* the module has None"):
        flat_weights(nn.Linear(2, 3), architecture)


def test_activation_must_be_given_and_known():
    architecture = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
    with pytest.raises(PlanError, match=r"node 'conv1' needs config.activation, which is not"):
        build(architecture, {})
    with pytest.raises(PlanError, match=r"no activation 'step'; there are: relu, tanh, sine"):
        build(architecture, {"activation": "step"})


def _loads_torch(statement: str) -> bool:
    probe = f"import sys; {statement}; print('torch' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", probe], check=True, capture_output=True, text=True
    ).stdout
    return out.strip() == "True"


def test_descriptions_and_symmetries_need_no_torch():
    assert not _loads_torch(
        "import zoogen.permute; from zoogen.archs import ARCHS;"
        "ARCHS['arch1'].describe(input_shape=(1, 28, 28), classes=10)"
    )


def test_the_probe_sees_torch_where_it_is_loaded():
    assert _loads_torch("import zoogen.archs.modules")
