"""Statistics of a zoo's networks against plain numpy; what a forest finds in configurations."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from zoogen.look.explain import Explanation, Unexplained, explain, varying
from zoogen.look.spread import curve, final_rows, spread, spread_by_split, status_counts, worst

# --- spreads


def test_spread_by_hand() -> None:
    values = np.array([0.1, np.nan, 0.3, 0.2, 0.4, 0.5])
    found = spread(values, thresholds=(0.2, 0.05))
    assert found is not None
    assert found.networks == 5
    assert (found.minimum, found.median, found.maximum) == (0.1, 0.3, 0.5)
    assert found.p10 == pytest.approx(0.14)
    assert found.p90 == pytest.approx(0.46)
    assert found.mean == pytest.approx(0.3)
    assert found.at_or_below == {0.2: 0.4, 0.05: 0.0}


def test_spread_of_nothing() -> None:
    assert spread(np.array([np.nan, np.nan])) is None
    assert spread(np.zeros(0)) is None


def test_chance_counts_whole_images() -> None:
    """62 of 500 images right is chance, whichever way the quotient is rounded."""
    found = spread(np.array([62 / 500, 61 / 500 + 1 / 500, 63 / 500]), thresholds=(0.124,))
    assert found is not None
    assert found.at_or_below[0.124] == pytest.approx(2 / 3)


def test_final_rows_are_the_last_of_each_network(rng: np.random.Generator) -> None:
    rows = [
        {"member": m, "epoch": e, "status": "diverged" if (m, e) == (2, 1) else "ok"}
        for m, last in ((0, 3), (1, 3), (2, 1))
        for e in range(last + 1)
    ]
    table = pa.Table.from_pylist([rows[i] for i in rng.permutation(len(rows))])
    final = final_rows(table)
    assert final.select(["member", "epoch"]).to_pylist() == [
        {"member": 0, "epoch": 3},
        {"member": 1, "epoch": 3},
        {"member": 2, "epoch": 1},
    ]
    assert status_counts(final) == {"ok": 2, "diverged": 1, "unfitted": 0}


def test_splits_and_checkpoints() -> None:
    table = pa.table(
        {
            "member": [0, 0, 1, 1],
            "epoch": [0, 5, 0, 5],
            "split": ["train", "train", "test", "test"],
            "test_accuracy": [0.1, 0.5, 0.2, None],
        }
    )
    by_split = spread_by_split(final_rows(table), "test_accuracy")
    assert {name: each.mean for name, each in by_split.items()} == {"all": 0.5, "train": 0.5}
    over = curve(table, "test_accuracy", (0, 1, 5))
    assert {c: (s.networks, s.median) for c, s in over.items()} == {
        0: (2, pytest.approx(0.15)),
        5: (1, 0.5),
    }


def test_worst() -> None:
    values = np.array([0.2, np.nan, 0.9, 0.9, 0.1])
    assert worst(values, count=3, largest=True).tolist() == [2, 3, 0]
    assert worst(values, count=9, largest=False).tolist() == [4, 0, 2, 3]


# --- explanations


def configured(rng: np.random.Generator, count: int) -> tuple[Any, np.ndarray]:
    """Networks whose result follows from the learning rate and the optimizer together."""
    rate = 10 ** rng.uniform(-3, -1, count)
    optimizer = rng.choice(["adam", "sgd"], count)
    table = pa.table(
        {
            "member": np.arange(count),
            "config.learning_rate": rate,
            "config.optimizer": optimizer.tolist(),
            "config.dropout": rng.uniform(0, 0.5, count),
            "config.epochs": np.full(count, 86),
            "config.image": np.arange(count),
        }
    )
    result = np.where(optimizer == "adam", -np.log10(rate), 0.3) + rng.normal(0, 0.05, count)
    return table, result


def test_explanation_ranks_what_matters(rng: np.random.Generator) -> None:
    table, result = configured(rng, 200)
    answer = explain(table, result, name="result", leave_out=("image",))
    assert isinstance(answer, Explanation)
    assert answer.r2 > 0.9
    assert {i.name for i in answer.importances[:2]} == {"learning_rate", "optimizer"}
    assert answer.importances[1].drop > 0.2
    assert answer.importances[2].name == "dropout"
    assert abs(answer.importances[2].drop) < 0.05


def test_noise_is_not_explained(rng: np.random.Generator) -> None:
    table, result = configured(rng, 200)
    answer = explain(table, rng.permutation(result), name="result")
    assert isinstance(answer, Explanation)
    assert answer.r2 < 0.2


def test_explanation_is_the_same_again(rng: np.random.Generator) -> None:
    table, result = configured(rng, 60)
    assert explain(table, result, name="r") == explain(table, result, name="r")


def test_too_few_networks(rng: np.random.Generator) -> None:
    table, result = configured(rng, 40)
    result[:11] = np.nan
    answer = explain(table, result, name="result")
    assert answer == Unexplained(
        reason="29 measured networks are too few to say which hyperparameters explain result: "
        "at least 30 are needed"
    )


def test_nothing_to_explain(rng: np.random.Generator) -> None:
    table, result = configured(rng, 40)
    assert explain(table, np.full(40, 0.1), name="accuracy") == Unexplained(
        reason="accuracy is 0.1 for every network"
    )
    assert explain(table.select(["config.epochs"]), result, name="accuracy") == Unexplained(
        reason="no hyperparameter varies, so none explains accuracy"
    )


def test_only_hyperparameters_that_vary(rng: np.random.Generator) -> None:
    table, _ = configured(rng, 40)
    names = list(varying(table, leave_out=("image",)))
    assert names == ["learning_rate", "optimizer", "dropout"]
