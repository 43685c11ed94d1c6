"""Distributions: the right law, one number for each draw, and the command line's syntax."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from zoogen.distributions import (
    Choice,
    Constant,
    LogUniform,
    Plain,
    Uniform,
    describe,
    from_json,
    parse,
    to_json,
)
from zoogen.errors import PlanError
from zoogen.hyperparameters import HYPERPARAMETERS, SLOTS, check_distribution

ALL: list[Plain] = [
    Uniform(0.0, 0.7),
    LogUniform(5e-4, 5e-2),
    Choice(("sgd", "adam", "rmsprop")),
    Constant(1e-7),
]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2024)


def test_ranges_have_their_law(rng: np.random.Generator) -> None:
    uniform = [Uniform(0.5, 10.0).draw(rng) for _ in range(20_000)]
    logs = [math.log(LogUniform(1e-8, 1e-2).draw(rng)) for _ in range(20_000)]
    law = stats.uniform(math.log(1e-8), math.log(1e6))
    assert stats.kstest(uniform, stats.uniform(0.5, 9.5).cdf).pvalue > 0.001
    assert stats.kstest(logs, law.cdf).pvalue > 0.001
    # The same test sees that a log-uniform draw is not uniform.
    assert stats.kstest(np.exp(logs), stats.uniform(1e-8, 1e-2).cdf).pvalue < 1e-6


def test_choices_are_equally_likely(rng: np.random.Generator) -> None:
    options = ("sgd", "adam", "rmsprop")
    drawn = [Choice(options).draw(rng) for _ in range(9_000)]
    assert stats.chisquare([drawn.count(o) for o in options]).pvalue > 0.001


@pytest.mark.parametrize("distribution", ALL)
def test_a_draw_uses_one_number(distribution: Plain) -> None:
    ours, other = np.random.default_rng(3), np.random.default_rng(3)
    distribution.draw(ours)
    other.random()
    assert ours.random() == other.random()


@pytest.mark.parametrize("distribution", ALL)
def test_the_whole_support_is_reached_and_not_left(distribution: Plain) -> None:
    last = math.nextafter(1.0, 0.0)
    for u in (0.0, 0.5, last):
        value = distribution.at(u)
        assert value in describe(distribution) if isinstance(value, str) else value <= 0.7
    assert Choice(("a", "b")).at(last) == "b"
    assert LogUniform(5e-4, 5e-2).at(0.0) == 5e-4


@pytest.mark.parametrize("distribution", ALL)
def test_json_round_trip(distribution: Plain) -> None:
    text = json.dumps(to_json(distribution))
    assert from_json(json.loads(text)) == distribution
    assert json.loads(text) == to_json(distribution)


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("relu", "text", Constant("relu")),
        ("sgd, adam", "text", Choice(("sgd", "adam"))),
        ("0", "float", Constant(0.0)),
        ("5e-4", "float", Constant(5e-4)),
        ("0..0.3", "float", Uniform(0.0, 0.3)),
        ("log:5e-4..5e-2", "float", LogUniform(5e-4, 5e-2)),
        ("0.5,1", "float", Choice((0.5, 1.0))),
    ],
)
def test_command_line_syntax(text: str, kind, wanted: Plain) -> None:
    parsed = parse(text, kind=kind)
    assert parsed == wanted
    assert parse(describe(parsed), kind=kind) == wanted


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("fast", "float", "cannot read 'fast' in 'fast' as a number: wanted VALUE, or A,B,C"),
        ("0..x", "float", "cannot read 'x' in '0..x' as a number"),
        ("0.3..0.1", "float", "from a lower to a higher number, got 0.3..0.1"),
        ("log:0..1", "float", "a log-uniform range starts above 0, got 0.0..1.0"),
        ("log:3", "float", "cannot read 'log:3' as a distribution"),
        ("relu,", "text", "cannot read 'relu,' as a distribution"),
        ("relu,relu", "text", "a choice needs options that differ"),
        ("", "text", "cannot read '' as a distribution"),
    ],
)
def test_command_line_errors(text: str, kind, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse(text, kind=kind)
    assert message in str(caught.value)


def test_every_hyperparameter_has_a_number_of_its_own() -> None:
    slots = [h.slot for h in HYPERPARAMETERS.values()]
    assert len(set(slots)) == len(slots)
    assert max(slots) < SLOTS


@pytest.mark.parametrize(
    ("name", "distribution", "message"),
    [
        ("dropout", Uniform(0.0, 1.0), "dropout must be a number in [0, 1), got 1.0 in '0..1'"),
        (
            "optimizer",
            Constant("lion"),
            "optimizer must be one of sgd, adam, rmsprop, adamw, got 'lion'",
        ),
        ("learning_rate", Constant(0.0), "learning_rate must be a number in (0, inf]"),
        ("learning_rate", Constant("relu"), "got 'relu'"),
        ("train_fraction", Choice((0.5, 1.5)), "got 1.5 in '0.5,1.5'"),
        ("depth", Constant(3.0), "unknown hyperparameter 'depth'; known: optimizer, "),
    ],
)
def test_values_that_no_engine_trains_with(name: str, distribution: Plain, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        check_distribution(name, distribution, where="a recipe")
    assert message in str(caught.value)
