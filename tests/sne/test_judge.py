"""Losses of single networks, the best constant, and when a model counts as trained."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from sne.judge import best_constant, judge_training, losses_of, networks_of
from sne.lesson import labels_of
from sne.losses import TASKS
from sne.pool import Pool
from sne.predict import Predictions, in_units
from sne.targets import Target

SHARE = Target(column="test_accuracy", kind="share")
NUMBER = Target(column="frequency", kind="number", mean=5.0, scale=2.0)
CATEGORY = Target(column="optimizer", kind="category", classes=("adam", "rmsprop", "sgd"))
CASES = [(SHARE, 1), (NUMBER, 1), (CATEGORY, 3)]


def values_for(target: Target, rng: np.random.Generator, n: int = 40) -> np.ndarray:
    if target.kind == "category":
        return rng.integers(0, 3, n).astype(float)
    return rng.random(n) if target.kind == "share" else rng.normal(5, 2, n)


def pool_for(values: np.ndarray, members: np.ndarray | None = None) -> Pool:
    members = np.arange(values.size) if members is None else members
    rows = pa.table({"zoo": ["z"] * values.size, "member": members})
    zoo = np.zeros(values.size, dtype=np.int64)
    return Pool(architectures=(), weights=(), target=values, zoo=zoo, rows=rows)


@pytest.mark.parametrize(("target", "outputs"), CASES)
def test_losses_of_networks_average_to_the_training_loss(rng, target, outputs):
    values, raw = values_for(target, rng), rng.normal(size=(40, outputs))
    wanted = TASKS[target.kind].loss(torch.from_numpy(raw).float(), labels_of(target, values))
    assert losses_of(target, values, raw).mean() == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize(("target", "outputs"), CASES)
def test_the_best_constant_is_the_best(rng, target, outputs):
    values = values_for(target, rng)
    if target.kind == "number":
        target = replace(target, mean=float(values.mean()), scale=float(values.std()))
    best = best_constant(target, values)
    least = losses_of(target, values, best).mean()
    for _ in range(20):
        other = best + 0.3 * rng.normal(size=(1, outputs))
        assert losses_of(target, values, other).mean() > least


@pytest.mark.parametrize(("target", "outputs"), CASES)
def test_a_model_is_trained_once_it_beats_the_constant(rng, target, outputs):
    values = values_for(target, rng)
    pool, labels = pool_for(values), labels_of(target, values).double().numpy()
    noise = rng.normal(size=(40, outputs))
    if target.kind == "category":
        good = 3 * np.eye(3)[values.astype(int)]
    else:
        good = (6 * (labels - 0.5) if target.kind == "share" else labels)[:, None]
    encoding = np.zeros((40, 1))
    nothing = best_constant(target, values) + 1e-3 * noise
    assert judge_training(target, pool, Predictions(raw=good, encoding=encoding)).enough
    assert not judge_training(target, pool, Predictions(raw=nothing, encoding=encoding)).enough


def test_predictions_in_the_targets_unit():
    raw = np.array([[-1000.0], [0.0], [1000.0]])
    assert in_units(SHARE, raw).tolist() == [0.0, 0.5, 1.0]
    assert in_units(NUMBER, raw[1:2] + 1).tolist() == [7.0]
    logs = in_units(CATEGORY, np.array([[1000.0, 0.0, 1000.0]]))
    assert np.exp(logs).tolist() == [[0.5, 0.0, 0.5]]


def test_checkpoints_of_one_network_share_a_number():
    values = np.zeros(4)
    assert networks_of(pool_for(values)) is None
    numbers = networks_of(pool_for(values, np.array([7, 3, 7, 3])))
    assert numbers is not None
    assert numbers.tolist() == [0, 1, 0, 1]
