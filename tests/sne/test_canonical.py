"""Canonical order: one for all copies of a network, its function untouched, seen by every model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import quick_config
from test_symmetry import change
from weight_cases import ARCH1, ARCH2, SIREN, attention, networks

from sne.canonical import canonical_batch, canonical_weights, put_in_order
from sne.checkpoint import load_run
from sne.invariance import measure_invariance
from sne.material import make_module, read_material
from sne.model import Preparation, prepare
from sne.models import model_kind
from sne.scaling import no_scaling
from sne.symmetry import draw, functional_move, move_batch
from sne.train import train
from zoogen.description import Architecture

CASES = {"arch1": (ARCH1, "tanh"), "arch2": (ARCH2, "relu"), "siren": (SIREN, None)}
CPU = torch.device("cpu")


def moved_by(architecture: Architecture, weights: torch.Tensor, *, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    there = draw(architecture, len(weights), generator=generator, flip_signs=True)
    return functional_move(architecture, there, count=len(weights), device=CPU)(weights)


@pytest.mark.parametrize("architecture", [ARCH1, ARCH2, SIREN, attention()], ids=lambda a: a.family)
def test_all_copies_of_a_network_have_one_order_and_one_sign(architecture):
    weights = networks(architecture, 5).weights
    ordered = canonical_weights(architecture, weights)
    assert not torch.equal(ordered, weights)
    for seed in range(3):
        copies = moved_by(architecture, weights, seed=seed)
        assert not torch.equal(copies, weights)
        torch.testing.assert_close(canonical_weights(architecture, copies), ordered, rtol=0, atol=0)
    torch.testing.assert_close(canonical_weights(architecture, ordered), ordered, rtol=0, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_a_network_in_order_is_the_same_function(case):
    architecture, activation = CASES[case]
    group = networks(architecture, 4)
    (ordered,) = canonical_batch([group])
    assert change(group, ordered, activation).max() < 1e-5


def test_neurons_ascend_by_their_norm_in_the_smallest_matrix_with_positive_sums():
    ordered = canonical_weights(SIREN, networks(SIREN, 3).weights)
    found = {t.name: ordered[:, t.offset : t.offset + t.size].unflatten(1, t.shape)
             for t in SIREN.tensors if len(t.shape) == 2}  # fmt: skip
    entering, leaving = found["layer1.weight"][:, :, 0], found["layer3.weight"][:, 0]
    for weights in (entering, leaving):
        assert (weights.diff(dim=1) >= 0).all()
        assert (weights >= 0).all()


def test_a_change_that_is_no_symmetry_is_still_seen():
    group = networks(SIREN, 3)
    generator = torch.Generator().manual_seed(0)
    wrong = move_batch([group], generator=generator, functional=False)
    ours, other = (canonical_batch(b)[0].weights for b in ([group], wrong))
    assert (ours - other).abs().max() > 0.1


@pytest.mark.parametrize("model", ["sne", "mlp"])
def test_a_model_that_sees_networks_in_order_is_invariant(model):
    preparation = Preparation(architectures=(SIREN,), scaling=no_scaling(), task="number")
    module = prepare(model_kind(model), preparation).eval()
    group = networks(SIREN, 4)
    copies = replace(group, weights=moved_by(SIREN, group.weights, seed=1))

    def change_of_output() -> float:
        with torch.no_grad():
            plain, other = (module([g]).prediction for g in (group, copies))
        return float((plain - other).abs().max())

    before = change_of_output()
    put_in_order(module)
    assert change_of_output() < 1e-6 < before


def test_a_run_keeps_the_order_in_training_and_when_it_is_read_again(sine_zoo: Path, tmp_path):
    config = quick_config(sine_zoo)
    config = replace(config, symmetry=replace(config.symmetry, canonical=True, invariance=0.0))
    train(config, tmp_path / "run")
    run = load_run(tmp_path / "run")
    pool = read_material(config, device=CPU).pools["val"]
    found = measure_invariance(run.module, pool, flip_signs=True)
    assert found.functional is not None
    assert found.control is not None
    assert found.functional < 1e-8
    assert found.control > 1e-4


def test_without_the_setting_a_model_sees_networks_as_they_are(sine_zoo: Path):
    config = quick_config(sine_zoo)
    module = make_module(config, read_material(config, device=CPU))
    assert not module._forward_pre_hooks
