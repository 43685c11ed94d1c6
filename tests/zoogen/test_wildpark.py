"""Random CNNs: which channels move together, what is drawn, and a zoo of many architectures."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.zoogen.arch_cases import random_weights
from tests.zoogen.engine_cases import few_images, image_job, train
from zoogen.archs import to_module
from zoogen.archs.wildpark import NONE, WILDPARK
from zoogen.description import Architecture
from zoogen.errors import PlanError
from zoogen.members import draw_member
from zoogen.permute import Symmetry, draw_symmetry, permute
from zoogen.recipes import RECIPES, ClassifierRecipe

SPACE = {"layers": (2, 6), "channels": (2, 3, 5), "kernels": (3,), "activations": ("tanh", "none")}


def park(channels: tuple[int, ...], residuals: tuple[int, ...]) -> Architecture:
    depth = len(channels)
    return WILDPARK.describe(
        input_shape=(1, 6, 6), classes=4, channels=channels, residuals=residuals,
        kernels=(3,) * depth, activations=("tanh",) * depth,
    )  # fmt: skip


def pieces(architecture: Architecture) -> dict[str, list[tuple[str, int]]]:
    """For each convolution the spaces of its output channels, end to end."""
    found = {}
    for tensor in architecture.tensors:
        if tensor.name.endswith(".bias") and tensor.layer != "fc":
            axis = tensor.axes[0]
            parts = axis.blocks or (axis,)
            found[tensor.layer] = [(p.factors[0].space, p.size) for p in parts]
    return found


def test_layers_without_residuals_have_a_space_each() -> None:
    architecture = park((3, 5), (NONE, NONE))
    assert pieces(architecture) == {"conv1": [("conv1", 3)], "conv2": [("conv2", 5)]}


def test_equal_layers_that_a_residual_joins_share_one_space() -> None:
    found = pieces(park((4, 3, 4), (NONE, NONE, 0)))
    assert found["conv3"] == found["conv1"] == [("conv1", 4)]
    assert found["conv2"] == [("conv2", 3)]


def test_layers_of_different_width_share_their_first_channels() -> None:
    found = pieces(park((5, 3, 2), (NONE, NONE, 0)))
    assert found["conv1"] == [("conv1.0", 2), ("conv1.2", 3)]
    assert found["conv3"] == [("conv1.0", 2)]


def test_a_cut_goes_on_through_other_residuals() -> None:
    """Layer 4 adds layer 2, which adds layer 0: 2 of 5 channels, so all three are cut at 2."""
    found = pieces(park((2, 3, 5, 3, 5), (NONE, NONE, 0, NONE, 2)))
    assert found["conv1"] == [("conv1", 2)]
    assert found["conv3"] == found["conv5"] == [("conv1", 2), ("conv3.2", 3)]


def _change(architecture: Architecture, old: np.ndarray, new: np.ndarray, x: torch.Tensor) -> float:
    with torch.no_grad():
        before, after = (to_module(architecture, w, {})(x) for w in (old, new))
    return float((after - before).abs().max() / before.abs().max())


def test_declared_symmetries_of_random_networks_are_theirs() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(3, 1, 6, 6)))
    joined = 0
    for _ in range(25):
        options = WILDPARK.draw(rng, SPACE)
        architecture = WILDPARK.describe(input_shape=(1, 6, 6), classes=4, **options)
        weights = random_weights(architecture, rng)
        symmetry = draw_symmetry(architecture, rng)
        moved = permute(architecture, symmetry, weights)
        assert _change(architecture, weights, moved, x) < 1e-10
        joined += any(source != NONE for source in options["residuals"])
    assert joined > 5


def test_the_proof_fails_for_a_residual_that_was_overlooked() -> None:
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(size=(3, 1, 6, 6)))
    right = park((4, 3, 4), (NONE, NONE, 0))
    apart = park((4, 3, 4), (NONE, NONE, NONE))
    wrong = replace(right, tensors=apart.tensors, spaces=apart.spaces)
    weights = random_weights(right, rng)
    order = np.array([1, 2, 3, 0])
    moved = permute(wrong, Symmetry(orders={"conv3": order}, signs={}), weights)
    assert _change(right, weights, moved, x) > 1e-4
    moved = permute(right, Symmetry(orders={"conv1": order}, signs={}), weights)
    assert _change(right, weights, moved, x) < 1e-10


def test_draws_follow_the_published_rule() -> None:
    rng = np.random.default_rng(2)
    recipe = RECIPES["wild-park-v3"]
    assert isinstance(recipe, ClassifierRecipe)
    drawn = [WILDPARK.draw(rng, recipe.options) for _ in range(400)]
    depths = Counter(len(d["channels"]) for d in drawn)
    assert set(depths) == set(range(2, 9))
    assert min(depths.values()) > 25
    assert {c for d in drawn for c in d["channels"]} == {4, 8, 16, 32, 64}
    assert {k for d in drawn for k in d["kernels"]} == {3, 5, 7}
    assert {a for d in drawn for a in d["activations"]} == set(recipe.options["activations"])
    for d in drawn:
        assert d["residuals"][:2] == (NONE, NONE)
        assert all(NONE <= s < layer - 1 for layer, s in enumerate(d["residuals"]) if layer > 1)
    fourth = Counter(d["residuals"][3] for d in drawn if len(d["residuals"]) > 3)
    assert set(fourth) == {NONE, 0, 1}
    assert min(fourth.values()) > 0.25 * sum(fourth.values())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"channels": (4,)}, "wildpark wants one value for each layer in every option"),
        ({"residuals": (NONE, 0, NONE)}, "layer 1 may add an earlier layer than the one before it"),
        ({"kernels": (3, 4, 3)}, "wildpark wants odd kernels"),
    ],
)
def test_networks_that_cannot_be(options, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        WILDPARK.describe(input_shape=(1, 8, 8), classes=2, **options)
    with pytest.raises(PlanError, match="wildpark draws from layers, channels, kernels, activ"):
        WILDPARK.draw(np.random.default_rng(0), {"layers": (1, 2)})


@pytest.mark.parametrize("engine", ["loop", "vmap"])
def test_members_train_as_they_would_alone(engine: str) -> None:
    recipe = RECIPES["quick-wildpark"]
    members = [
        draw_member(recipe, zoo_seed=4, index=i, dataset="digits", arch="wildpark")
        for i in range(2)
    ]
    own = {
        m.index: WILDPARK.describe(
            input_shape=(1, 16, 16), classes=10, **WILDPARK.draw(m.stream("arch"), SPACE)
        )
        for m in members
    }
    job = image_job("wildpark", epochs=1, batch_size=12, data=few_images("wildpark"))
    together = train(engine, replace(job, network_of=lambda m: own[m.index]), members)
    for member in members:
        alone = train("loop", replace(job, architecture=own[member.index]), [member])
        ours = together[member.index, 1].weights
        assert ours.shape == (own[member.index].parameters,)
        assert np.allclose(ours, alone[member.index, 1].weights, atol=1e-5)
    assert own[0].parameters != own[1].parameters
