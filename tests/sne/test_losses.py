"""Losses of the tasks, the penalty in its three places, and the measured error."""

import math

import pytest
import torch
from weight_cases import SIREN, networks

from sne.losses import TASKS, invariance_error, logit_invariance
from sne.model import Outputs, Preparation, prepare
from sne.models import model_kind
from sne.scaling import no_scaling
from sne.symmetry import move_batch


def _outputs(encoding: list, prediction: list) -> Outputs:
    return Outputs(encoding=torch.tensor(encoding), prediction=torch.tensor(prediction))


PLAIN = _outputs([[0.0, 1.0], [2.0, 2.0]], [[0.0], [1.0]])
MOVED = _outputs([[0.0, 3.0], [2.0, 2.0], [1.0, 1.0], [2.0, 0.0]], [[2.0], [1.0], [0.0], [-1.0]])
"""Two symmetries of each network: both networks once, then both again."""


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_tasks_are_the_losses_by_hand():
    share = TASKS["share"].loss(torch.tensor([[0.0], [2.0]]), torch.tensor([0.25, 1.0]))
    expected = (math.log(2) + math.log(1 + math.exp(-2.0))) / 2
    assert float(share) == pytest.approx(expected)
    number = TASKS["number"].loss(torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 4.0]))
    assert float(number) == pytest.approx(2.5)
    category = TASKS["category"].loss(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([2.0]))
    assert float(category) == pytest.approx(math.log(2 + math.e) - 1)


def test_predictions_are_read_as_what_they_are():
    assert float(TASKS["share"].read(torch.tensor([[2.0]]))) == pytest.approx(_sigmoid(2))
    assert float(TASKS["number"].read(torch.tensor([[2.0]]))) == 2
    assert TASKS["category"].read(torch.zeros(1, 4)).tolist() == [[0.25] * 4]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("logit", (4 + 0 + 0 + 4) / 4 / 2),
        ("encoding", (4 + 0 + 1 + 4) / 4 / 2),
        ("probability", ((_sigmoid(2) - 0.5) ** 2 + (_sigmoid(1) - _sigmoid(-1)) ** 2) / 4 / 2),
    ],
)
def test_the_penalty_is_half_the_mean_squared_distance(place, expected):
    assert float(logit_invariance(PLAIN, MOVED, place=place, task="share")) == pytest.approx(
        expected
    )
    assert float(logit_invariance(PLAIN, PLAIN, place=place, task="share")) == 0


def test_the_error_is_measured_against_the_variance():
    plain = torch.tensor([[0.0], [2.0]])
    assert invariance_error(plain, plain.repeat(5, 1)) == 0
    assert invariance_error(plain, torch.tensor([[1.0], [2.0]])) == pytest.approx(0.5)
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(4000, 1, generator=generator) for _ in range(2))
    assert invariance_error(one, other) == pytest.approx(2, abs=0.1)


def test_a_constant_model_has_no_error():
    assert math.isnan(invariance_error(torch.ones(3, 1), torch.ones(6, 1)))


@pytest.mark.parametrize(("model", "blind"), [("deepsets", True), ("mlp", False)])
def test_the_control_tells_blindness_from_invariance(model, blind):
    """DeepSets sees no order, so it must not look good: it does not see the control either."""
    preparation = Preparation(architectures=(SIREN,), scaling=no_scaling(), task="number")
    module = prepare(model_kind(model), preparation)
    batch = [networks(SIREN, 30)]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        plain = module(batch).prediction
        error, control = (
            invariance_error(
                plain,
                module(
                    move_batch(batch, generator=generator, copies=5, functional=functional)
                ).prediction,
            )
            for functional in (True, False)
        )
    assert (error < 1e-6) == blind
    assert (control < 1e-6) == blind
