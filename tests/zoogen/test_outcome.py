"""Snapshots and blame."""

import subprocess
import sys

import numpy as np
import pytest

from tests.zoogen.engine_cases import classifier, inr, signal_job
from zoogen.errors import MemberError, PlanError
from zoogen.train.outcome import MEASURES, blame, checkpoint, diverged, fitted

WEIGHTS = np.arange(4.0)


def test_a_measure_that_overflowed_is_unmeasured() -> None:
    snapshot = checkpoint(classifier(3), 2, WEIGHTS, {"train_loss": 0.5, "test_loss": np.inf})
    assert snapshot.metrics == {"train_loss": 0.5, "test_loss": None}
    assert (snapshot.member, snapshot.epoch, snapshot.status) == (3, 2, "ok")
    assert snapshot.weights.dtype == np.float32


def test_a_snapshot_owns_its_weights() -> None:
    weights = np.zeros(4, dtype=np.float32)
    snapshot = checkpoint(classifier(0), 1, weights, {})
    weights += 1
    assert snapshot.weights.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("mse", "weights", "status"),
    [
        (0.01, WEIGHTS, "ok"),
        (0.1, WEIGHTS, "ok"),
        (0.11, WEIGHTS, "unfitted"),
        (np.nan, WEIGHTS, "diverged"),
        (0.01, np.array([1.0, np.nan]), "diverged"),
    ],
)
def test_how_an_inr_ends(mse: float, weights: np.ndarray, status: str) -> None:
    snapshot = fitted(signal_job(unfitted_mse=0.1), inr(1), steps=9, weights=weights, mse=mse)
    assert (snapshot.status, snapshot.epoch) == (status, 9)
    assert snapshot.metrics == {"mse": None if status == "diverged" else mse}


def test_a_diverged_member_measures_nothing() -> None:
    snapshot = diverged(classifier(0), 4, WEIGHTS, measures=MEASURES)
    assert snapshot.metrics == dict.fromkeys(MEASURES)


def test_errors_get_the_names_of_their_members() -> None:
    named = r"member 7 \(.*'optimizer': 'sgd'.*\): ValueError: no"
    with pytest.raises(MemberError, match=named), blame([classifier(7, optimizer="sgd")]):
        raise ValueError("no")
    several = "one of the members 7, 8: RuntimeError: out of memory"
    with pytest.raises(MemberError, match=several), blame([classifier(7), classifier(8)]):
        raise RuntimeError("out of memory")
    with pytest.raises(PlanError, match="as it is"), blame([classifier(7)]):
        raise PlanError("as it is")


@pytest.mark.parametrize(
    ("modules", "loads"),
    [
        ("zoogen.train.schedule, zoogen.train.init, zoogen.train.outcome", False),
        ("zoogen.train.dropout, zoogen.train.hyperparameters, zoogen.train.engines", False),
        ("zoogen.train.loop", True),
    ],
)
def test_what_compiled_engines_need_loads_no_torch(modules: str, loads: bool) -> None:
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == str(loads)
