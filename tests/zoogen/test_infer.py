"""Descriptions of networks from anywhere: modules, and state dicts known by names alone."""

import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer, get_model

from zoogen.archs import ARCHS
from zoogen.archs.modules import flat_weights
from zoogen.errors import PlanError
from zoogen.infer import Inferred, infer_architecture, infer_module


def small_vit() -> nn.Module:
    return VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=3, hidden_dim=48, mlp_dim=96
    )


def from_names(state: dict[str, torch.Tensor], **options: Any) -> Inferred:
    return infer_architecture(
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        dtypes={name: str(tensor.dtype).removeprefix("torch.") for name, tensor in state.items()},
        **options,
    )


def roles(inferred: Inferred) -> dict[str, tuple[str, str]]:
    return {t.name: (t.layer_type, t.role) for t in inferred.architecture.tensors}


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    with torch.device("meta"):
        return get_model("resnet18")


def test_a_resnet_is_described(resnet):
    architecture = infer_module(resnet).architecture
    assert architecture.family == "ResNet"
    counts = Counter((t.layer_type, t.role) for t in architecture.tensors)
    assert counts == {
        ("conv2d", "weight"): 20,
        ("batch_norm", "scale"): 20,
        ("batch_norm", "shift"): 20,
        ("batch_norm", "buffer"): 40,
        ("linear", "weight"): 1,
        ("linear", "bias"): 1,
    }
    assert architecture.parameters == 11_689_512 + 9_600  # and running statistics
    assert architecture.input_shape == (3,)
    assert architecture.output_size == 1000
    assert not any(space.permutable for space in architecture.spaces)
    levels = {t.layer: t.level for t in architecture.tensors}
    assert (levels["conv1"], levels["bn1"], levels["layer1.0.conv1"], levels["fc"]) == (0, 1, 2, 40)
    # Buffers last, each after its own order.
    assert [t.role == "buffer" for t in architecture.tensors] == [False] * 62 + [True] * 40


def test_a_vision_transformer_is_described():
    found = infer_module(small_vit())
    kinds = roles(found)
    assert kinds["class_token"] == ("embedding", "token")
    assert kinds["encoder.pos_embedding"] == ("embedding", "embedding")
    block = "encoder.layers.encoder_layer_0"
    assert kinds[f"{block}.ln_1.weight"] == ("layer_norm", "scale")
    assert kinds[f"{block}.ln_1.bias"] == ("layer_norm", "shift")
    assert kinds[f"{block}.self_attention.in_proj_weight"] == ("attention", "weight")
    assert kinds[f"{block}.self_attention.in_proj_bias"] == ("attention", "bias")
    assert kinds[f"{block}.self_attention.out_proj.bias"] == ("attention", "bias")
    assert kinds[f"{block}.mlp.0.weight"] == ("linear", "weight")
    layers = {t.name: t.layer for t in found.architecture.tensors}
    assert layers[f"{block}.self_attention.out_proj.weight"] == f"{block}.self_attention"
    assert any("Encoder, VisionTransformer" in sentence for sentence in found.assumed)


def test_names_and_shapes_say_the_same_as_the_module(resnet):
    for module in (resnet, small_vit()):
        wanted = infer_module(module).architecture
        found = from_names(module.state_dict(), family=wanted.family)
        assert found.architecture == wanted
        assert "no code to ask" in found.assumed[0]


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "mobilenet_v3_small", "vit_b_16"])
def test_sorted_names_come_back_in_order(name):
    with torch.device("meta"):
        state = get_model(name).state_dict()
    wanted = [t.name for t in from_names(state).architecture.tensors]
    shuffled = {key: state[key] for key in sorted(state)}
    assert [t.name for t in from_names(shuffled).architecture.tensors] != wanted
    found = from_names(shuffled, ordered=False)
    assert [t.name for t in found.architecture.tensors] == wanted
    assert "sorted by name" in found.assumed[1]


def test_classes_say_what_names_cannot():
    net = nn.Sequential(nn.Embedding(10, 4), nn.GroupNorm(2, 4), nn.Conv1d(4, 6, 3), nn.PReLU())
    kinds = [t.layer_type for t in infer_module(net).architecture.tensors]
    assert kinds == ["embedding", "layer_norm", "layer_norm", "conv2d", "conv2d", "layer_norm"]
    blind = from_names(net.state_dict()).architecture
    assert blind.tensors[0].layer_type == "linear"


def test_names_of_other_libraries():
    def shapes(*names: str) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(names, (8, 8))

    kinds = roles(
        infer_architecture(
            shapes(
                "blocks.0.attn.qkv.weight",
                "blocks.0.attn.proj.weight",
                "h.0.self_attn.q_proj.weight",
                "embeddings.word_embeddings.weight",
                "transformer.wte.weight",
                "pos_embed",
                "reg_tokens",
                "head.weight",
            )
        )
    )
    assert [kind for kind, _ in kinds.values()] == [
        *["attention"] * 3, *["embedding"] * 4, "linear",
    ]  # fmt: skip
    assert kinds["pos_embed"][1] == kinds["transformer.wte.weight"][1] == "embedding"


def test_recurrent_layers_are_linear_layers_of_their_own():
    found = infer_module(nn.LSTM(3, 4, num_layers=2)).architecture
    assert [(t.layer, t.role) for t in found.tensors][:4] == [
        ("ih_l0", "weight"), ("hh_l0", "weight"), ("ih_l0", "bias"), ("hh_l0", "bias"),
    ]  # fmt: skip


def test_what_is_left_out_and_converted_is_said():
    net = nn.Sequential(nn.Linear(3, 4).half(), nn.BatchNorm1d(4))
    said = " ".join(infer_module(net).assumed)
    assert "2 tensors of float16 are read as float32" in said
    assert "left out 1 tensors (int64): 1.num_batches_tracked" in said


def test_buffers_of_a_module_come_last():
    net = nn.Linear(2, 2)
    net.register_buffer("mask", torch.ones(5))
    found = infer_module(nn.Sequential(net, nn.Linear(2, 1))).architecture
    assert [(t.name, t.role) for t in found.tensors][-1] == ("0.mask", "buffer")


def test_nothing_to_describe():
    with pytest.raises(PlanError, match="state dict has no tensor of floating-point numbers"):
        infer_architecture({"step": ()}, dtypes={"step": "int64"})
    with pytest.raises(PlanError, match="its 0 tensors: none"):
        infer_architecture({})


def test_weights_flatten_by_the_description():
    module = small_vit()
    architecture = infer_module(module).architecture
    flat = flat_weights(module, architecture)
    tensor = next(t for t in architecture.tensors if t.name == "heads.head.weight")
    wanted = module.state_dict()["heads.head.weight"].numpy().reshape(-1)
    assert np.array_equal(flat[tensor.offset : tensor.offset + tensor.size], wanted)


def test_a_zoos_network_reads_as_its_own_description_says():
    described = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
    module = ARCHS["arch1"].build(described, {"activation": "relu", "dropout": 0.1})
    found = infer_module(module).architecture

    def facts(architecture):
        return [
            (t.name, t.shape, t.offset, t.role, t.layer, t.layer_type, t.level)
            for t in architecture.tensors
        ]

    assert facts(found) == facts(described)


def test_inference_loads_no_torch():
    code = "import sys, zoogen.infer; sys.exit({!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code.format("torch")]).returncode == 0
    assert subprocess.run([sys.executable, "-c", code.format("zoogen.description")]).returncode == 1
