"""What a step learns from: the batch, the symmetries, the penalty, and micro-batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import small_config

from sne.config import Symmetry
from sne.lesson import NetworkLesson, pick
from sne.material import make_module, read_material
from sne.recipes import default_config


@pytest.fixture(scope="module")
def config(sine_zoo):
    return small_config(sine_zoo, recipe="inr")


@pytest.fixture(scope="module")
def material(config):
    return read_material(config, device=torch.device("cpu"))


def lesson_for(config, material, *, seed=0, micro_batch=None, **symmetry) -> NetworkLesson:
    training = replace(config.training, seed=seed, micro_batch=micro_batch)
    return NetworkLesson(
        make_module(config, material),
        material.target,
        train=material.pools["train"],
        validation=material.pools["val"],
        training=training,
        symmetry=Symmetry(**symmetry),
    )


def losses(lesson: NetworkLesson, epoch: int = 0, step: int = 0) -> dict[str, float]:
    lesson.module.zero_grad()
    return {name: float(loss) for name, loss in lesson.backward(epoch, step).items()}


def gradient(lesson: NetworkLesson) -> torch.Tensor:
    return torch.cat([p.grad.reshape(-1) for p in lesson.module.parameters() if p.grad is not None])


def test_steps_follow_from_seed_epoch_and_step(config, material):
    lesson = lesson_for(config, material, augment=True)
    assert lesson.steps == 8
    first = losses(lesson)
    assert losses(lesson_for(config, material, augment=True)) == first
    assert losses(lesson, 0, 1) != first
    assert losses(lesson, 1, 0) != first
    assert losses(lesson) == first


def test_augmentation_moves_the_batch(config, material):
    plain = losses(lesson_for(config, material))
    moved = losses(lesson_for(config, material, augment=True))
    flipped = losses(lesson_for(config, material, augment=True, sign_flips=True))
    assert len({found["loss"] for found in (plain, moved, flipped)}) == 3


def test_dropout_follows_from_the_seed_and_leaves_the_global_generator(config, material):
    lesson = lesson_for(config, material)
    lesson.module.train()
    lesson.module.register_forward_hook(
        lambda *given: replace(given[2], prediction=F.dropout(given[2].prediction, 0.5))
    )
    before = torch.random.get_rng_state()
    first = losses(lesson)
    torch.rand(3)
    assert losses(lesson) == first
    assert losses(lesson, 0, 1) != first
    torch.random.set_rng_state(before)
    losses(lesson)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_penalty_is_added_with_its_weight(config, material):
    found = losses(lesson_for(config, material, invariance=0.5))
    assert found["invariance"] > 0
    assert found["loss"] == pytest.approx(found["task"] + 0.5 * found["invariance"])
    assert found["task"] == pytest.approx(losses(lesson_for(config, material))["loss"])
    part = losses(lesson_for(config, material, invariance=0.5, invariance_share=0.25))
    assert part["invariance"] > 0
    assert part["invariance"] != found["invariance"]
    for place in ("encoding", "probability"):
        other = losses(lesson_for(config, material, invariance=0.5, invariance_at=place))
        assert other["task"] == pytest.approx(found["task"])


def test_an_order_blind_model_has_no_penalty(sine_zoo, config, material):
    blind = replace(default_config([str(sine_zoo)], model="deepsets"), training=config.training)
    found = losses(lesson_for(blind, material, invariance=1.0, invariance_copies=2))
    assert found["invariance"] == pytest.approx(0, abs=1e-8)
    assert found["task"] > 0


@pytest.mark.parametrize("micro_batch", [1, 3, 8])
def test_micro_batches_add_up_to_the_step(config, material, micro_batch):
    whole = lesson_for(config, material)
    parts = lesson_for(config, material, micro_batch=micro_batch)
    assert losses(parts)["loss"] == pytest.approx(losses(whole)["loss"], rel=1e-5)
    assert torch.allclose(gradient(parts), gradient(whole), rtol=1e-3, atol=1e-6)
    losses(parts, 0, 1)
    assert not torch.allclose(gradient(parts), gradient(whole), rtol=1e-3, atol=1e-6)


def test_bf16_computes_a_loss_near_that_of_float32(config, material):
    exact = losses(lesson_for(config, material))["loss"]
    half = replace(config, training=replace(config.training, precision="bf16"))
    found = losses(lesson_for(half, material))["loss"]
    assert found == pytest.approx(exact, rel=0.05)
    assert found != exact


def test_networks_are_picked_by_their_place_in_the_batch(material):
    pool = material.pools["train"]
    batch = [*pool.batch(np.arange(3)), *pool.batch(np.arange(10, 12))]
    picked = pick(batch, np.array([1, 3, 4]))
    assert [len(group.weights) for group in picked] == [1, 2]
    assert torch.equal(picked[0].weights[0], pool.weights[0][1])
    assert torch.equal(picked[1].weights[1], pool.weights[0][11])


def test_validation_is_the_mean_over_zoos(config, material):
    lesson = lesson_for(config, material)
    lesson.module.eval()
    found = lesson.validate()
    assert found is not None
    pool = material.pools["val"]
    zoo = pool.zoo.copy()
    zoo[:2] = 1
    split = replace(material, pools={**material.pools, "val": replace(pool, zoo=zoo)})
    again = lesson_for(config, split)
    again.module.load_state_dict(lesson.module.state_dict())
    # Two networks now count as much as the other six.
    assert again.validate() != pytest.approx(found)
