"""Networks of several zoos together: rows, targets and weights stay with one another."""

import numpy as np
import pytest

from sne.model import ACTIVATIONS
from sne.networks import Which, read_networks
from sne.pool import Pool, pool_networks
from sne.targets import choose_target
from sne.zoo import open_zoo


@pytest.fixture(scope="module")
def pool(digits_zoo, arch2_zoo) -> Pool:
    zoos = [open_zoo(path) for path in (digits_zoo, arch2_zoo, digits_zoo)]
    target = choose_target(zoos, None)
    splits = ("train", "train", "val")
    chosen = [
        read_networks(zoo, split=split, which=Which(), columns=[target.column])
        for zoo, split in zip(zoos, splits, strict=True)
    ]
    return pool_networks(chosen, target)


def test_one_matrix_for_each_architecture(pool, digits_zoo, arch2_zoo):
    assert [a.family for a in pool.architectures] == ["arch1", "arch2"]
    assert [len(w) for w in pool.weights] == [24 + 6, 12]
    assert pool.zoo.tolist() == [0] * 24 + [2] * 6 + [1] * 12
    zoos = pool.rows.column("zoo").to_pylist()
    assert zoos == [str(digits_zoo)] * 30 + [str(arch2_zoo)] * 12
    assert len(pool) == 42


def test_a_batch_has_the_weights_and_targets_of_its_rows(pool):
    rows = np.array([2, 25, 29, 30, 41])
    batch = pool.batch(rows)
    assert [(g.architecture.family, len(g.weights)) for g in batch] == [("arch1", 3), ("arch2", 2)]
    got = [w.numpy() for group in batch for w in group.weights]
    for row, weights in zip(rows.tolist(), got, strict=True):
        known = pool.rows.slice(row, 1).to_pylist()[0]
        wanted = open_zoo(known["zoo"]).row(known["member"])
        assert np.array_equal(weights, wanted["weights"])
        assert pool.target[row] == wanted["test_accuracy"]


def test_a_batch_of_one_architecture_has_one_group(pool):
    assert [g.architecture.family for g in pool.batch(np.array([31, 32]))] == ["arch2"]
    assert [g.architecture.family for g in pool.batch(np.array([0]))] == ["arch1"]


def test_all_rows_in_order(pool):
    seen = list(pool.batches(16))
    assert np.concatenate([rows for rows, _ in seen]).tolist() == list(range(42))
    assert [sum(len(g.weights) for g in batch) for _, batch in seen] == [16, 16, 10]


def test_networks_come_with_their_own_activations(pool, digits_zoo):
    rows = np.array([2, 25, 29, 31])
    batch = pool.batch(rows)
    numbers = [n for group in batch for n in group.activations["config.activation"].tolist()]
    for row, number in zip(rows.tolist(), numbers, strict=True):
        known = pool.rows.slice(row, 1).to_pylist()[0]
        member = open_zoo(known["zoo"]).row(known["member"])
        assert ACTIVATIONS[number] == member["config.activation"]
    assert set(numbers) == {0, 1}


def test_an_activation_that_is_to_be_predicted_is_not_known(digits_zoo):
    zoo = open_zoo(digits_zoo)
    target = choose_target([zoo], "activation")
    chosen = read_networks(zoo, split="train", which=Which(), columns=[target.column])
    target = target.fitted(chosen.column(target.column), where="here")
    assert pool_networks([chosen], target).batch(np.array([0]))[0].activations == {}
