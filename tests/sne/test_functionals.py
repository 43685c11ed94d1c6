"""Neural functionals: which orders they do not see, which they do, and what they cannot take."""

from dataclasses import replace

import pytest
import torch
from functional_cases import CNN, INR, SIREN, inputs_reversed, made, moved_by, permuted, spread
from weight_cases import ARCH1

from sne.errors import ModelError, SettingError
from sne.model import Group
from sne.models import model_kind
from zoogen.archs import ARCHS
from zoogen.description import Architecture

NAMES = ("nfn_np", "nfn_hnp")
SMALL = {"channels": (4, 4), "head": (16, 16)}
ONE_WAVE = ARCHS["siren"].describe(input_shape=(1,), classes=1)


@pytest.mark.parametrize("architecture", [CNN, INR, ARCH1], ids=lambda a: a.family)
@pytest.mark.parametrize("name", NAMES)
def test_every_declared_permutation_is_unseen_and_a_wrong_one_is_not(name, architecture):
    module, batch = made(name, architecture, **SMALL), spread(architecture, 4)
    assert moved_by(module, batch, permuted(batch, functional=True)) < 1e-4
    assert moved_by(module, batch, permuted(batch, functional=False)) > 1e-2


def test_only_np_without_places_does_not_see_the_order_of_inputs():
    batch = spread(INR, 4)
    other = inputs_reversed(batch)
    unplaced = made("nfn_np", INR, **SMALL, positions=False, pool="np")
    assert moved_by(unplaced, batch, other) < 1e-4
    assert moved_by(made("nfn_np", INR, **SMALL), batch, other) > 1e-2
    assert moved_by(made("nfn_hnp", INR, **SMALL), batch, other) > 1e-2


@pytest.mark.parametrize(
    ("name", "architecture", "count"),
    [
        ("nfn_np", ARCH1, 2_031_390),
        ("nfn_hnp", ARCH1, 2_811_743),
        ("nfn_np", ONE_WAVE, 1_055_590),
        ("nfn_hnp", ONE_WAVE, 1_059_882),
    ],
)
def test_sizes_are_the_published_ones(name, architecture, count):
    assert sum(p.numel() for p in made(name, architecture).parameters()) == count


@pytest.mark.parametrize("name", NAMES)
def test_all_at_once_is_one_after_another(name):
    module, (group,) = made(name, CNN, **SMALL), spread(CNN, 3)
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
@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_stages_or_no_places_is_refused(name, architecture, why):
    with pytest.raises(ModelError, match=f"{name} takes chains of at least two .* {why}: choose"):
        made(name, architecture, **SMALL)


def test_other_sizes_are_refused_and_named():
    refusal = getattr(made("nfn_hnp", SIREN, **SMALL), "refusal")  # noqa: B009
    assert refusal(INR) == (
        "nfn_hnp has weights for each layer of siren (1×8, 8×8, 8×1); siren has 2×8, 8×8, 8×8, 8×3:"
        " choose a model that takes any architecture, or a zoo of one"
    )


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_are_none_are_refused(name):
    config = model_kind(name).config
    for wrong in ({"channels": ()}, {"head": (0,)}):
        with pytest.raises(SettingError, match=f"{name} has channels and head of at least 1"):
            config(**wrong)
