"""Neural functionals: which orders they do not see, which they do, and what they cannot take."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from functional_cases import CNN, INR, SIREN, inputs_reversed, made, moved_by, permuted, spread
from nfn.common import WeightSpaceFeatures
from nfn.layers import NPAttention
from torch import Tensor
from weight_cases import ARCH1

from sne.baselines.functionals import network_spec
from sne.baselines.nft import NftConfig
from sne.baselines.stages import read_stages
from sne.errors import ModelError, SettingError
from sne.model import Group
from sne.models import model_kind
from zoogen.archs import ARCHS
from zoogen.description import Architecture

NFNS: dict[str, Any] = {"channels": (4, 4), "head": (16, 16)}
SMALL: Mapping[str, Mapping[str, Any]] = {
    "nfn_np": NFNS,
    "nfn_hnp": NFNS,
    "nft": {"width": 8, "blocks": 2, "heads": 2, "head": (16, 16)},
}
ONE_WAVE = ARCHS["siren"].describe(input_shape=(1,), classes=1)


@pytest.mark.parametrize("architecture", [CNN, INR, ARCH1], ids=lambda a: a.family)
@pytest.mark.parametrize("name", SMALL)
def test_every_declared_permutation_is_unseen_and_a_wrong_one_is_not(name, architecture):
    module, batch = made(name, architecture, **SMALL[name]), spread(architecture, 4)
    assert moved_by(module, batch, permuted(batch, functional=True)) < 1e-4
    # Attention that nobody trained is nearly even, and sees little.
    assert moved_by(module, batch, permuted(batch, functional=False)) > 1e-3


def test_only_np_without_places_does_not_see_the_order_of_inputs():
    batch = spread(INR, 4)
    other = inputs_reversed(batch)
    unplaced = made("nfn_np", INR, **NFNS, positions=False, pool="np")
    assert moved_by(unplaced, batch, other) < 1e-4
    for name, settings in SMALL.items():
        assert moved_by(made(name, INR, **settings), batch, other) > 1e-2, name


@pytest.mark.parametrize(
    ("name", "architecture", "count"),
    [
        ("nfn_np", ARCH1, 2_031_390),
        ("nfn_hnp", ARCH1, 2_811_743),
        ("nfn_np", ONE_WAVE, 1_055_590),
        ("nfn_hnp", ONE_WAVE, 1_059_882),
        ("nft", ONE_WAVE, 3_566_073),
    ],
)
def test_sizes_are_the_published_ones(name, architecture, count):
    assert sum(p.numel() for p in made(name, architecture).parameters()) == count


@pytest.mark.parametrize("name", SMALL)
def test_all_at_once_is_one_after_another(name):
    module, (group,) = made(name, CNN, **SMALL[name]), spread(CNN, 3)
    single = [module([Group(architecture=CNN, weights=w[None])]).prediction for w in group.weights]
    assert torch.allclose(module([group]).prediction, torch.cat(single), atol=1e-6)


def free_inputs() -> Architecture:
    first, *others = INR.spaces
    return replace(INR, spaces=(replace(first, permutable=True), *others))


@pytest.mark.parametrize(
    ("architecture", "why"),
    [
        (free_inputs(), "and inputs or outputs of siren come in no order"),
        (replace(INR, edges=()), "and what feeds what in siren is not described"),
    ],
)
@pytest.mark.parametrize("name", SMALL)
def test_what_has_no_stages_or_no_places_is_refused(name, architecture, why):
    with pytest.raises(ModelError, match=f"{name} takes chains of at least two .* {why}: choose"):
        made(name, architecture, **SMALL[name])


def test_other_sizes_are_refused_and_named():
    refusal = getattr(made("nfn_hnp", SIREN, **NFNS), "refusal")  # noqa: B009
    assert refusal(INR) == (
        "nfn_hnp has weights for each layer of siren (1×8, 8×8, 8×1); siren has 2×8, 8×8, 8×8, 8×3:"
        " choose a model that takes any architecture, or a zoo of one"
    )


@pytest.mark.parametrize("name", ["nfn_np", "nfn_hnp"])
def test_sizes_that_are_none_are_refused(name):
    config = model_kind(name).config
    for wrong in ({"channels": ()}, {"head": (0,)}):
        with pytest.raises(SettingError, match=f"{name} has channels and head of at least 1"):
            config(**wrong)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"heads": 3}, "the width is even and a multiple of the heads"),
        ({"head": ()}, "nft has sizes of at least 1"),
        ({"dropout": 1.0}, r"dropout is in \[0, 1\)"),
        ({"frequency": 0.0}, "frequencies are above 0"),
    ],
)
def test_settings_that_are_none_are_refused(settings, text):
    with pytest.raises(SettingError, match=text):
        NftConfig(**settings)


@pytest.mark.parametrize("architecture", [CNN, INR], ids=lambda a: a.family)
def test_weights_may_enter_as_sines(architecture):
    module = made("nft", architecture, **SMALL["nft"], entry="fourier")
    batch = spread(architecture, 4)
    assert moved_by(module, batch, permuted(batch, functional=True)) < 1e-4
    assert "_B" in "".join(module.state_dict())


def test_a_block_adds_attention_and_feed_forward_to_what_came_in():
    """Without what they add, features pass through; places are added before the first one."""
    module: Any = made("nft", INR, **SMALL["nft"])
    features = module.read(spread(INR, 2))
    entry, places, block, _ = module.layers
    entered = places(entry(features))
    for number, (weight, bias) in enumerate(entered):
        before_weight, before_bias = entry(features)[number]
        added = (weight - before_weight).std((0, 2, 3))
        # Only the first weight differs along inputs, only the last along outputs.
        assert (added > 1e-6).any() == (number in (0, 3))
        assert ((bias - before_bias).std((0, 2)) > 1e-6).any() == (number == 3)
    silent = copy.deepcopy(block)
    for part in silent.parameters():
        part.zero_()
    for found, given in zip(silent(entered), entered, strict=True):
        assert all(torch.equal(f, g) for f, g in zip(found, given, strict=True))
    for found, given in zip(block(entered), entered, strict=True):
        assert not any(torch.allclose(f, g) for f, g in zip(found, given, strict=True))


def test_attention_is_that_of_the_paper():
    """Against a loop over networks, heads, spaces of neurons, and pairs of tokens."""
    spec = network_spec(read_stages(SIREN))
    torch.manual_seed(4)
    layer = NPAttention(spec, 4, num_heads=2)
    weights = [torch.randn(2, 4, *shape.shape) for shape in spec.weight_spec]
    biases = [torch.randn(2, 4, *shape.shape) for shape in spec.bias_spec]
    with torch.no_grad():
        found = layer(WeightSpaceFeatures(weights, biases))
        expected = attended(layer, weights, biases)
    for number in range(len(spec)):
        assert torch.allclose(found.weights[number], expected[0][number], atol=1e-5)
        assert torch.allclose(found.biases[number], expected[1][number], atol=1e-5)


def attended(
    layer: Any, weights: list[Tensor], biases: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Attention between weights as the paper writes it, token by token."""
    wide = layer.ch
    out = [torch.zeros_like(w) for w in weights], [torch.zeros_like(b) for b in biases]
    for network, head in product(range(len(weights[0])), range(layer.nh)):
        own = slice(3 * wide * head, 3 * wide * (head + 1))
        ws, bs = ([projected(layer, x[network], own) for x in part] for part in (weights, biases))
        to = slice(wide * head, wide * (head + 1))
        into_w, into_b = ([x[network, to] for x in part] for part in out)
        means = [w.mean((1, 2)) for w in ws] + [b.mean(1) for b in bs]
        for place, value in zip([*into_w, *into_b], over(means, wide), strict=True):
            place += value.view(wide, *[1] * (place.dim() - 1))
        for space in range(len(ws) + 1):
            tokens, places = (tokens_of(*part, space) for part in ((ws, bs), (into_w, into_b)))
            for place, value in zip(places, over(tokens, wide), strict=True):
                place += value
    return out


def projected(layer: Any, x: Tensor, own: slice) -> Tensor:
    """One head's queries, keys and values, side by side as channels."""
    project = layer.to_qkv.linear
    return (x.movedim(0, -1) @ project.weight[own].T + project.bias[own]).movedim(-1, 0)


def tokens_of(weights: list[Tensor], biases: list[Tensor], space: int) -> list[Tensor]:
    """Columns before a space of neurons, the bias and the rows behind: (channels, neurons)."""
    found: list[Tensor] = []
    if space > 0:
        found += [*weights[space - 1].unbind(2), biases[space - 1]]
    if space < len(weights):
        found += weights[space].unbind(1)
    return found


def over(tokens: list[Tensor], wide: int) -> list[Tensor]:
    """Each token's values of all, by the softmax of its scores."""
    found: list[Tensor] = []
    for token in tokens:
        query = token[:wide]
        scores = torch.stack([(query * other[wide : 2 * wide]).sum() for other in tokens])
        shares = (scores / query.numel() ** 0.5).softmax(0)
        values = torch.stack([other[2 * wide :] for other in tokens])
        found.append(torch.tensordot(shares, values, dims=1))
    return found
