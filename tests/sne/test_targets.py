"""Which column is learnt, as what kind of value, and what is refused."""

import numpy as np
import pytest

from sne.errors import DataError
from sne.targets import Target, chance_level, choose_target, target_columns
from sne.zoo import open_zoo


@pytest.fixture(scope="module")
def digits(digits_zoo):
    return open_zoo(digits_zoo)


@pytest.fixture(scope="module")
def sine(sine_zoo):
    return open_zoo(sine_zoo)


def test_usual_targets(digits, sine):
    accuracy = choose_target([digits], None)
    assert accuracy == Target(column="test_accuracy", kind="share")
    assert chance_level(digits, accuracy) == pytest.approx(0.124)
    frequency = choose_target([sine], None)
    assert frequency == Target(column="frequency", kind="number")
    assert chance_level(sine, frequency) is None


@pytest.mark.parametrize(
    ("name", "column", "kind", "log10"),
    [
        ("generalization_gap", "generalization_gap", "number", False),
        ("learning_rate", "config.learning_rate", "number", True),
        ("config.learning_rate", "config.learning_rate", "number", True),
        ("dropout", "config.dropout", "number", False),
        ("epoch", "epoch", "number", False),
        ("optimizer", "config.optimizer", "category", False),
        ("activation", "config.activation", "category", False),
        ("dataset", "config.dataset", "category", False),
        ("train_accuracy", "train_accuracy", "share", False),
    ],
)
def test_any_column(digits, name, column, kind, log10):
    assert choose_target([digits], name) == Target(column=column, kind=kind, log10=log10)


def test_what_is_no_target_is_refused_with_those_that_are(digits, sine):
    with pytest.raises(DataError) as caught:
        choose_target([digits], "frequency")
    message = str(caught.value)
    assert message.startswith(f"{digits.store.uri} has no target 'frequency'; there are: epoch, ")
    assert "learning_rate, " in message
    assert "member" not in message
    assert set(target_columns(digits)).isdisjoint({"weights", "seed", "arch", "split"})
    with pytest.raises(DataError, match="no target 'seed'"):
        choose_target([digits], "seed")
    with pytest.raises(DataError, match=r"targets differ \(frequency, test_accuracy\): name one"):
        choose_target([digits, sine], None)
    # Both drew a step size; only one did so log-uniformly, which holds for both.
    assert choose_target([sine, digits], "learning_rate").log10


def test_numbers_are_centred_and_scaled_by_the_training_split():
    target = Target(column="x", kind="number", log10=True).fitted([1.0, 10.0, 100.0], where="zoo")
    assert target.mean == pytest.approx(1.0)
    assert target.scale == pytest.approx(np.sqrt(2 / 3))
    assert target.values([1000.0]).tolist() == pytest.approx([3.0])
    assert target.label == "log10 x"
    assert Target.from_json(target.to_json()) == target


def test_categories_are_numbered_and_unknown_ones_marked():
    target = Target(column="config.optimizer", kind="category")
    target = target.fitted(["sgd", "adam", "sgd"], where="zoo")
    assert target.classes == ("adam", "sgd")
    assert target.outputs == 2
    assert target.values(["sgd", "rmsprop", "adam"]).tolist() == [1, -1, 0]
    assert target.label == "optimizer"
    assert Target.from_json(target.to_json()) == target


def test_what_cannot_be_learnt_is_refused():
    number = Target(column="config.momentum", kind="number")
    with pytest.raises(DataError) as caught:
        number.fitted([0.0, 0.0, 0.0], where="zoos/a")
    assert str(caught.value) == (
        "zoos/a: 'config.momentum' has one value only (0.0) among the 3 training networks, so "
        "there is nothing to learn: choose another --target"
    )
    with pytest.raises(DataError, match=r"one value only \(none\) among the 0 training"):
        number.fitted([], where="zoos/a")
    with pytest.raises(DataError, match=r"holds 0\.0, which has no logarithm"):
        Target(column="x", kind="number", log10=True).fitted([0.0, 1.0], where="zoos/a")
