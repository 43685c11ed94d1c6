"""Linear probes against numpy and against what a gradient says."""

import numpy as np
import pytest
import torch

from sne.baselines.probe import LinearProbe
from sne.losses import TASKS
from sne.model import Encoded


def encodings(count: int, width: int = 6, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) * 0.1 + 3


def truth(encoding: torch.Tensor) -> torch.Tensor:
    return encoding @ torch.arange(1.0, 1 + encoding.shape[1]) - 60


def test_of_a_number_it_is_least_squares():
    encoding = encodings(40)
    target = truth(encoding) + torch.randn(40, generator=torch.Generator().manual_seed(5))
    probe = LinearProbe(6, 1, task="number", strengths=(1e-12,))
    probe.fit((encoding, target), None)
    columns = np.column_stack([encoding.double().numpy(), np.ones(40)])
    expected, *_ = np.linalg.lstsq(columns, target.double().numpy(), rcond=None)
    assert np.allclose(probe.weight[0].numpy(), expected[:-1], rtol=1e-3)
    assert np.allclose(probe(encoding)[:, 0].numpy(), columns @ expected, atol=1e-3)


@pytest.mark.parametrize(
    ("task", "outputs", "target"),
    [
        ("share", 1, lambda values: (values / 3).sigmoid()),
        ("category", 3, lambda values: (values > 0).float() + (values > 2).float()),
    ],
)
def test_of_shares_and_categories_it_is_where_the_gradient_is_zero(task, outputs, target):
    encoding = encodings(60)
    given: Encoded = (encoding, target(truth(encoding)))
    strength = 1e-2
    probe = LinearProbe(6, outputs, task=task, strengths=(strength,))
    probe.fit(given, None)
    spread = (encoding.double() - encoding.double().mean(0)).square().mean().sqrt()
    weight = probe.weight.double().requires_grad_()
    bias = probe.bias.double().requires_grad_()
    prediction = encoding.double() @ weight.T + bias
    loss = TASKS[task].loss(prediction, given[1].double())
    total = loss + strength * (weight * spread).square().sum()
    first, second = torch.autograd.grad(total, (weight, bias))
    assert (first / spread).abs().max() < 1e-2
    assert second.abs().max() < 1e-3
    assert loss < TASKS[task].loss(torch.zeros_like(prediction), given[1].double()) * 0.9


def test_validation_networks_choose_how_small_weights_are_kept():
    """Noise in more directions than there are networks; one direction that says something."""
    few, many = encodings(10, 40, seed=1), encodings(500, 40, seed=2)
    noise = torch.randn(10, generator=torch.Generator().manual_seed(3))
    training = (few, few[:, 0] * 10 + 5 * noise)
    validation = (many, many[:, 0] * 10)

    def loss(strengths: tuple[float, ...], chosen: Encoded | None) -> float:
        probe = LinearProbe(40, 1, task="number", strengths=strengths)
        probe.fit(training, chosen)
        return float((probe(many)[:, 0] - validation[1]).square().mean())

    alone = {s: loss((s,), None) for s in (1e-9, 1.0, 100.0)}
    assert alone[1e-9] > 2 * min(alone.values())
    assert loss((1e-9, 1.0, 100.0), validation) == pytest.approx(min(alone.values()))
    assert loss((1e-9, 1.0, 100.0), None) == pytest.approx(alone[1e-9])


def test_encodings_that_are_all_alike_predict_the_mean():
    probe = LinearProbe(3, 1, task="number", strengths=(1e-6,))
    probe.fit((torch.ones(5, 3), torch.arange(5.0)), None)
    assert torch.allclose(probe(torch.ones(2, 3)), torch.full((2, 1), 2.0))
