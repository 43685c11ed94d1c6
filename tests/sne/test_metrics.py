"""τ-b, errors and their intervals: against counting by hand, and against each other."""

import time
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau

from sne.kendall import (
    BOOTSTRAP_LIMIT,
    INFLUENCE,
    NO_RANKING,
    NO_TARGET,
    Resampled,
    concordance,
    influence,
    kendall,
    kendall_difference,
    tied_share,
)
from sne.metrics import error_difference, explained, mean, measure, measure_classes
from sne.resampling import PERCENTILE, Estimate, Resampling, resampled_counts


def tied_pair(rng: np.random.Generator, n: int, noise: float = 1.0):
    """A target with half its networks at one value, and a prediction with some ties."""
    target = np.maximum(rng.normal(size=n), 0.0)
    return target, np.round(target + noise * rng.normal(size=n), 1)


def figures(estimate: Estimate) -> tuple[float, float, float]:
    """Value, low and high of an estimate that has all three."""
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.value, estimate.low, estimate.high


def brute_force(target, prediction):
    """(concordant, discordant, tied in the target, tied in the prediction, all) pairs."""
    counts = np.zeros(5, dtype=int)
    for i, j in combinations(range(len(target)), 2):
        x, y = np.sign(target[i] - target[j]), np.sign(prediction[i] - prediction[j])
        counts += [x * y > 0, x * y < 0, x == 0, y == 0, 1]
    return counts


@pytest.mark.parametrize("n", [2, 3, 17, 60])
def test_tau_ties_and_ceiling_agree_with_counting_pairs(rng, n):
    target, prediction = tied_pair(rng, n)
    target[0], prediction[0] = 9.0, 9.0  # never constant
    concordant, discordant, same, equal, pairs = brute_force(target, prediction)
    found = kendall(target, prediction)
    wanted = (concordant - discordant) / np.sqrt((pairs - same) * (pairs - equal))
    assert found.tau.value == pytest.approx(wanted)
    assert found.tau.n == n
    assert found.tied == pytest.approx(same / pairs)
    assert found.ceiling == pytest.approx(np.sqrt((pairs - same) / pairs))


def test_a_perfect_prediction_without_ties_reaches_the_ceiling_and_no_more(rng):
    target = np.maximum(rng.normal(size=400), 0.0)
    order = target + 1e-9 * rng.random(400)
    found = kendall(target, order)
    assert found.tau.value == pytest.approx(found.ceiling)
    assert found.ceiling == pytest.approx(0.866, abs=0.03)


@pytest.mark.parametrize("n", [1, 2, 5, 64, 100])
def test_each_networks_concordance_agrees_with_counting(rng, n):
    target, prediction = tied_pair(rng, n)
    signs = np.sign(np.subtract.outer(target, target))
    wanted = (signs * np.sign(np.subtract.outer(prediction, prediction))).sum(axis=1)
    assert concordance(target, prediction).tolist() == wanted.tolist()
    if n > 2:
        assert (concordance(target, prediction[::-1].copy()) != wanted).any()


def test_a_resample_is_tau_of_the_networks_as_often_as_they_were_drawn(rng):
    target, prediction = tied_pair(rng, 40)
    counts = next(resampled_counts(40, Resampling(resamples=5)))
    assert (counts.sum(axis=1) == 40).all()
    found = Resampled(target, prediction)(counts)
    for row, tau in zip(counts.astype(int), found, strict=True):
        drawn = np.repeat(np.arange(40), row)
        # SciPy sees copies of a network as pairs tied in both, which τ-b leaves out of both roots.
        assert tau == pytest.approx(kendalltau(target[drawn], prediction[drawn])[0], abs=1e-5)


def test_the_interval_of_many_networks_agrees_with_the_bootstrap(rng):
    target, prediction = tied_pair(rng, BOOTSTRAP_LIMIT)
    slow = kendall(target, prediction).tau
    assert slow.method == PERCENTILE
    error = influence(target, prediction).std() / np.sqrt(BOOTSTRAP_LIMIT)
    _, low, high = figures(slow)
    assert 2 * 1.96 * error == pytest.approx(high - low, rel=0.12)
    more = np.append(target, target[:1]), np.append(prediction, prediction[:1])
    fast = kendall(*more).tau
    assert fast.method == INFLUENCE
    assert fast.low == pytest.approx(low, abs=0.005)
    assert fast.high == pytest.approx(high, abs=0.005)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(5)
    rho = 0.6
    truth = 2 / np.pi * np.arcsin(rho)
    hits = 0
    for trial in range(200):
        x = rng.normal(size=80)
        y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=80)
        tau = kendall(x, y, resampling=Resampling(seed=trial, resamples=300)).tau
        _, low, high = figures(tau)
        hits += low <= truth <= high
    assert 0.88 <= hits / 200 <= 0.99


@pytest.mark.parametrize("n", [500, BOOTSTRAP_LIMIT + 1])
def test_paired_differences_are_tighter_than_unpaired(rng, n):
    target = rng.normal(size=n)
    first = target + rng.normal(size=n)
    second = first + 0.3 * rng.normal(size=n)
    paired = kendall_difference(target, first, second)
    one, other = figures(kendall(target, first).tau), figures(kendall(target, second).tau)
    value, low, high = figures(paired)
    assert value == pytest.approx(one[0] - other[0])
    assert low < value < high
    assert high - low < 0.7 * (one[2] - one[1])
    assert paired.method.startswith("paired")
    same = kendall_difference(target, first, first)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_fifteen_thousand_networks_take_seconds(rng):
    target, prediction = tied_pair(rng, 15_000)
    began = time.perf_counter()
    found = measure(target, prediction, chance=0.0)
    assert time.perf_counter() - began < 20
    value, low, high = figures(found.rankings["tau"].tau)
    assert low < value < high


def test_constant_predictions_rank_nothing(rng):
    target = rng.normal(size=10)
    for found in (
        kendall(target, np.ones(10)).tau,
        kendall_difference(target, target, np.ones(10)),
    ):
        assert found.value is None
        assert found.low is None
        assert found.reason == NO_RANKING
    assert kendall(np.ones(10), target).tau.reason == NO_TARGET
    assert kendall(target[:1], target[:1]).tau.reason == "no ranking of 1 networks"
    broken = np.append(target[:9], np.nan)
    reason = kendall(target, broken).tau.reason
    assert reason == "no ranking: 1 of 10 predictions are not finite"


def test_tied_share_at_the_ends():
    assert tied_share(np.zeros(4)) == 1.0
    assert tied_share(np.arange(4.0)) == 0.0
    assert tied_share(np.zeros(1)) is None


def test_above_chance_leaves_out_those_at_chance(rng):
    target = np.array([0.1, 0.1, 0.1, 0.1, 0.3, 0.5, 0.7])
    prediction = np.array([0.9, 0.0, 0.4, 0.2, 0.1, 0.2, 0.3])
    found = measure(target, prediction, chance=0.1)
    assert found.rankings["tau_above_chance"].tau.value == pytest.approx(1.0)
    assert found.rankings["tau_above_chance"].tau.n == 3
    assert figures(found.rankings["tau"].tau)[0] < 0.5
    assert list(measure(target, prediction).rankings) == ["tau"]


def test_errors_and_their_intervals(rng):
    target = rng.normal(size=300)
    prediction = target + 0.5 * rng.normal(size=300)
    errors = measure(target, prediction).errors
    squared = (prediction - target) ** 2
    assert errors["mse"].value == pytest.approx(squared.mean())
    assert errors["mae"].value == pytest.approx(np.abs(prediction - target).mean())
    assert errors["r2"].value == pytest.approx(1 - squared.mean() / target.var())
    error = squared.std() / np.sqrt(300)
    _, low, high = figures(errors["mse"])
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert explained(np.ones(5), np.ones(5)).reason == "the target does not vary"
    assert explained(target, (target - target.mean()) ** 2).value == pytest.approx(0)


def test_paired_errors(rng):
    first, noise = rng.random(200), rng.random(200)
    found = error_difference(first + 0.1, first + 0.001 * noise)
    assert found.value == pytest.approx(0.1 - 0.001 * noise.mean())
    assert figures(found)[1] > 0.09
    assert found.method == f"paired {PERCENTILE}"
    assert error_difference(first, first).high == 0.0


def test_equal_seeds_give_equal_intervals_and_others_do_not(rng):
    values = rng.normal(size=50)
    once = mean(values, resampling=Resampling(seed=3))
    assert once == mean(values, resampling=Resampling(seed=3))
    assert once.low != mean(values, resampling=Resampling(seed=4)).low


def test_few_networks_have_a_figure_but_no_interval():
    assert mean(np.array([1.0, 3.0])) == Estimate(value=2.0, n=2)
    assert mean(np.array([])).value is None
    assert mean(np.array([1.0, np.nan, 2.0])).reason == "1 networks have no finite value"


def test_categories(rng):
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1]]))
    found = measure_classes(np.array([0, 1, 0, -1]), logits).errors
    assert found["accuracy"].value == pytest.approx(0.5)
    assert found["cross_entropy"].value == pytest.approx(-np.log([0.7, 0.8, 0.3]).mean())
    assert found["cross_entropy"].n == 3


@pytest.mark.parametrize("n", [400, 1500])
def test_checkpoints_of_one_network_are_drawn_together(rng, n):
    target, prediction = tied_pair(rng, n)
    alone = measure(target, prediction, chance=0.0)
    # Each network twice: nothing is learnt from the copy, so the interval stays.
    twice = np.repeat(target, 2), np.repeat(prediction, 2)
    networks = np.repeat(np.arange(n), 2)
    together = measure(*twice, chance=0.0, networks=networks)
    apart = measure(*twice, chance=0.0)
    for name in ("tau", "tau_above_chance"):
        one, two = alone.rankings[name].tau, together.rankings[name].tau
        assert one.n == two.n
        width = figures(one)[2] - figures(one)[1]
        assert figures(two)[2] - figures(two)[1] == pytest.approx(width, rel=0.12)
    low = figures(apart.rankings["tau"].tau)[1:]
    assert low[1] - low[0] < 0.85 * (
        figures(alone.rankings["tau"].tau)[2] - figures(alone.rankings["tau"].tau)[1]
    )
    for name in ("mse", "mae", "r2"):
        assert figures(together.errors[name]) == pytest.approx(
            figures(alone.errors[name]), rel=1e-6
        )
