"""Marks by paired intervals, averages, and figures over seeds, against slow and obvious twins."""

from dataclasses import replace

import numpy as np
import pytest

from sne.kendall import kendall, kendall_difference
from sne.metrics import error_difference
from sne.resampling import Resampling
from sweeps.cells import Cell
from sweeps.errors import PlanError, ResultsError
from sweeps.marks import average_row, mark_row
from sweeps.measures import MEASURES, measure_named
from sweeps.results import Status
from sweeps.tables import Entry

TAU, MSE = MEASURES["tau"], MEASURES["mse"]


def cell(target, *predictions, status: Status = "ok", measure=TAU) -> Cell:
    values = tuple(
        kendall(target, p).tau.value if measure is TAU else float(((p - target) ** 2).mean())
        for p in predictions
    )
    return Cell(
        trials=tuple(f"t{n}" for n in range(len(predictions))),
        values=values,
        status=status,
        reason=None,
        target=target,
        predictions=predictions,
    )


def width(entry: Entry) -> float:
    assert entry.low is not None
    assert entry.high is not None
    return entry.high - entry.low


def refused(reason: str = "another architecture") -> Cell:
    return Cell(trials=("t",), values=(None,), status="n/a", reason=reason)


@pytest.fixture
def target(rng) -> np.ndarray:
    return rng.normal(size=150)


def test_one_trial_has_the_interval_of_its_own_figure(target, rng):
    prediction = target + rng.normal(size=150)
    ours = TAU.mean(target, [prediction], resampling=Resampling())
    theirs = kendall(target, prediction).tau
    assert (ours.value, ours.low, ours.high) == pytest.approx(
        (theirs.value, theirs.low, theirs.high), abs=1e-12
    )


def test_a_difference_is_the_paired_one(target, rng):
    one, other = (target + rng.normal(size=150) for _ in range(2))
    ours = TAU.difference(target, [one], [other], resampling=Resampling())
    theirs = kendall_difference(target, one, other)
    assert (ours.value, ours.low, ours.high, ours.method) == (
        pytest.approx(theirs.value), pytest.approx(theirs.low), pytest.approx(theirs.high),
        theirs.method,
    )  # fmt: skip
    ours = MSE.difference(target, [one], [other], resampling=Resampling())
    theirs = error_difference((one - target) ** 2, (other - target) ** 2)
    assert (ours.value, ours.low, ours.high) == pytest.approx(
        (theirs.value, theirs.low, theirs.high)
    )


def test_seeds_are_averaged_on_the_same_drawn_networks(target, rng):
    """A mean of seeds has a narrower interval than one seed, and its value is the plain mean."""
    predictions = [target + rng.normal(size=150) for _ in range(4)]
    mean = TAU.mean(target, predictions, resampling=Resampling())
    values = [kendall(target, p).tau.value or 0.0 for p in predictions]
    assert mean.value == pytest.approx(np.mean(values))
    # The same by hand: draw networks, average each draw's figures.
    single = Resampling(resamples=1)
    draws = np.random.default_rng(1).integers(0, 150, size=(300, 150))
    slow = [
        np.mean([kendall(target[d], p[d], resampling=single).tau.value or 0.0 for p in predictions])
        for d in draws
    ]
    assert (mean.low, mean.high) == pytest.approx(np.quantile(slow, (0.025, 0.975)), abs=0.02)


def test_many_networks_use_influence_functions_that_agree_with_the_bootstrap(rng, monkeypatch):
    target = rng.normal(size=600)
    one, other = target + rng.normal(size=600), target + 1.5 * rng.normal(size=600)
    drawn = TAU.difference(target, [one, one], [other], resampling=Resampling())
    monkeypatch.setattr("sne.kendall.BOOTSTRAP_LIMIT", 100)
    fast = TAU.difference(target, [one, one], [other], resampling=Resampling())
    assert fast.method.startswith("paired normal interval")
    assert fast.value == pytest.approx(drawn.value)
    assert (fast.low, fast.high) == pytest.approx((drawn.low, drawn.high), abs=0.015)


def test_the_best_and_those_it_is_not_told_from_are_marked(target, rng):
    noise = rng.normal(size=150)
    good = cell(target, target + 0.1 * noise)
    alike = cell(target, target + 0.1 * noise[::-1])
    bad = cell(target, rng.normal(size=150))
    entries = mark_row([bad, alike, good, refused()], TAU)
    assert [entry.marked for entry in entries] == [False, True, True, False]
    assert entries[3].status == "n/a"
    assert entries[3].reason == "another architecture"


def test_lower_is_better_for_errors(target, rng):
    good = cell(target, target + 0.1 * rng.normal(size=150), measure=MSE)
    bad = cell(target, target + rng.normal(size=150), measure=MSE)
    assert [entry.marked for entry in mark_row([bad, good], MSE)] == [False, True]


def test_what_was_not_trained_enough_is_never_marked_nor_the_measure_of_others(target, rng):
    best = cell(target, target, status="not trained enough")
    other = cell(target, target + rng.normal(size=150))
    entries = mark_row([best, other], TAU)
    assert [entry.marked for entry in entries] == [False, True]
    assert entries[0].value == pytest.approx(1.0)


def test_a_constant_prediction_is_no_ranking(target):
    constant = replace(cell(target, np.zeros(150)), reason="no ranking: the prediction is constant")
    (entry,) = mark_row([constant], TAU)
    assert (entry.value, entry.marked) == (None, False)
    assert entry.reason == "no ranking: the prediction is constant"


def test_different_networks_are_refused(target, rng):
    other = rng.normal(size=150)
    with pytest.raises(ResultsError, match="were tested on different networks of one zoo"):
        cell(target, target).difference(cell(other, other), TAU, Resampling())


def test_averages_need_all_their_cells_and_mark_by_paired_differences(target, rng):
    good = [cell(target, target + 0.1 * rng.normal(size=150)) for _ in range(3)]
    bad = [cell(target, target + 3 * rng.normal(size=150)) for _ in range(3)]
    part = [cell(target, target), refused(), cell(target, target)]
    first, second, third = average_row([good, bad, part], TAU)
    assert (first.marked, second.marked, third.marked) == (True, False, False)
    assert first.value == pytest.approx(np.mean([c.values[0] or 0.0 for c in good]))
    assert (third.value, third.status) == (None, "n/a")
    # Three independent zoos: the interval of the mean is √3 narrower than one of them.
    single = mark_row([good[0]], TAU)[0]
    assert width(first) == pytest.approx(width(single) / 3**0.5, rel=0.3)


def test_an_unknown_metric_names_those_there_are():
    with pytest.raises(
        PlanError, match="no metric 'auc' for tables; there are: tau, mse, mae, acc"
    ):
        measure_named("auc")
