"""DWSNet: maps between all tensors as the paper has them, and what they do not see."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from functional_cases import INR, inputs_reversed, made, moved_by, permuted, spread
from torch import Tensor

from sne.baselines.dwsnet import DwsLayer, Dwsnet, DwsnetConfig
from sne.errors import ModelError, SettingError
from zoogen.archs import ARCHS

WAVE = ARCHS["siren"].describe(input_shape=(1,), classes=1)
SMALL = {"width": 8, "layers": 2, "heads": 2}


def dwsnet(architecture: Any = INR, **settings: Any) -> Dwsnet:
    module = made("dwsnet", architecture, **{**SMALL, **settings})
    assert isinstance(module, Dwsnet)
    return module


def one_by_one(layer: DwsLayer, features: list[Tensor]) -> list[Tensor]:
    """The published form: for each pair pool anew, map, repeat to the target's shape, add."""
    maps = iter(layer.maps)
    sizes = {
        name: x.shape[axis]
        for along, x in zip(layer.along, features, strict=True)
        for axis, name in enumerate(along.neurons, 1)
    }
    found: list[Tensor] = []
    for target in layer.along:
        total = torch.tensor(0.0)
        for source, x in zip(layer.along, features, strict=True):
            kept = [name for name in source.neurons if name in target.neurons]
            for axis in reversed(range(len(source.neurons))):
                if source.neurons[axis] not in kept:
                    x = x.max(axis + 1).values
            x = next(maps)(x)
            for axis, name in enumerate(target.neurons, 1):
                if name not in kept:
                    x = x.unsqueeze(axis).repeat_interleave(sizes[name], axis)
            total = total + x
        found.append(total / len(layer.along))
    return found


@pytest.mark.parametrize("architecture", [INR, WAVE], ids=["image", "wave"])
def test_a_layer_is_the_sum_of_its_maps(architecture):
    module = dwsnet(architecture)
    features = list(module.first(module._read(spread(architecture, 3))))
    for layer in module.layers:
        assert isinstance(layer, DwsLayer)
        expected = one_by_one(layer, features)
        for found, wanted in zip(layer(features), expected, strict=True):
            assert found.shape == wanted.shape
            assert torch.allclose(found, wanted, atol=1e-5)


def test_every_declared_permutation_is_unseen_and_a_wrong_one_is_not():
    module, batch = dwsnet(), spread(INR, 4)
    assert moved_by(module, batch, permuted(batch, functional=True)) < 1e-4
    assert moved_by(module, batch, permuted(batch, functional=False)) > 1e-2
    assert moved_by(module, batch, inputs_reversed(batch)) > 1e-2


def test_inputs_that_are_declared_to_have_no_order_get_none():
    first, *others = INR.spaces
    free = replace(INR, spaces=(replace(first, permutable=True), *others))
    module, batch = dwsnet(free), spread(free, 4)
    assert moved_by(module, batch, inputs_reversed(batch)) < 1e-4
    assert moved_by(module, batch, permuted(batch, functional=True)) < 1e-4


def test_the_size_is_the_published_one():
    assert sum(p.numel() for p in made("dwsnet", WAVE).parameters()) == 1_526_785


def test_initial_values_are_the_published_ones():
    """From n to m features of variance 2/(n + m) · 2n/m, each part of a SAB by itself."""
    layer = DwsLayer(dwsnet().first.along, 64, 64, heads=8, scale=1.0)
    values = layer.state_dict()
    weights = [value for name, value in values.items() if name.endswith(".project.weight")]
    square = [w for w in weights if w.shape == (192, 64)]
    assert len(square) > 5
    assert float(torch.stack(square).std()) == pytest.approx((2 / 128 * 2) ** 0.5, rel=0.05)
    biases = [value for name, value in values.items() if name.endswith("bias")]
    assert torch.cat(biases).abs().max() <= 1e-4


def test_batch_norms_learn_in_training_and_are_fixed_afterwards():
    module = copy.deepcopy(dwsnet()).train()
    batch = spread(INR, 6)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    module(batch)
    after = module.state_dict()
    assert any(not torch.equal(after[k], v) for k, v in before.items() if "running_mean" in k)
    module.eval()
    whole = module(batch).prediction
    (group,) = batch
    single = [module([replace(group, weights=w[None])]).prediction for w in group.weights]
    assert torch.allclose(whole, torch.cat(single), atol=1e-4)


def test_convolutions_are_refused_by_name():
    with pytest.raises(ModelError, match=r"takes chains of linear layers, .* conv1 of arch2 has a"):
        dwsnet(ARCHS["arch2"].describe(input_shape=(1, 28, 28), classes=10))
    with pytest.raises(ModelError, match="what feeds what in siren is not described: choose a mo"):
        dwsnet(replace(INR, edges=()))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"width": 12}, "a width that is a multiple of the heads"),
        ({"layers": 0}, "sizes of at least 1"),
        ({"dropout": 1.0}, r"dropout is in \[0, 1\)"),
        ({"initial_scale": 0.0}, "the initial scale above 0"),
    ],
)
def test_settings_that_are_none_are_refused(settings, text):
    with pytest.raises(SettingError, match=text):
        DwsnetConfig(**settings)
