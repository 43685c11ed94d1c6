"""A step in parts on two threads: the outputs and gradients of the whole."""

import numpy as np
import pytest
import torch

from sne.apart import divide, outputs_apart
from sne.model import Batch, Group, Outputs, Preparation, prepare
from sne.models import MODELS, model_kind
from sne.predict import as_model
from sne.scaling import no_scaling
from zoogen.archs import arch_family

ARCHITECTURES = (
    arch_family("siren").describe(input_shape=(1,), classes=1),
    arch_family("arch2").describe(input_shape=(1, 28, 28), classes=10),
)
INDEPENDENT = [name for name in MODELS if model_kind(name).independent]


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def batch_of(*counts: int) -> list[Group]:
    generator = torch.Generator().manual_seed(1)
    return [
        Group(
            architecture=architecture,
            weights=torch.randn(count, architecture.parameters, generator=generator),
        )
        for architecture, count in zip(ARCHITECTURES, counts, strict=True)
    ]


def made(name: str) -> torch.nn.Module:
    preparation = Preparation(architectures=ARCHITECTURES, scaling=no_scaling(), task="number")
    return prepare(model_kind(name), preparation).train()


def step(module: torch.nn.Module, batch: list[Group], threads: int) -> tuple[Outputs, list]:
    """Outputs and gradients of a loss of everything that comes out."""
    module.zero_grad()
    outputs = outputs_apart(as_model(module), module, batch, threads=threads)
    weights = torch.linspace(1.0, 2.0, len(outputs.prediction))[:, None]
    loss = (outputs.prediction.square() * weights).sum() + outputs.encoding.pow(3).mean()
    loss.backward()
    return outputs, [None if p.grad is None else p.grad.clone() for p in module.parameters()]


def test_there_are_independent_models():
    assert {"sne", "deepsets"} <= set(INDEPENDENT)


@pytest.mark.parametrize("name", INDEPENDENT)
@pytest.mark.parametrize("counts", [(5, 4), (1, 1)])
def test_parts_give_what_the_whole_gives(name: str, counts: tuple[int, int]):
    module, batch = made(name), batch_of(*counts)
    state = torch.random.get_rng_state()
    apart, gradients = step(module, batch, threads=2)
    assert torch.equal(torch.random.get_rng_state(), state)  # no chance in it
    assert torch.get_num_threads() == 2
    whole, expected = step(module, batch, threads=1)
    for mine, other in (
        (apart.prediction, whole.prediction), (apart.encoding, whole.encoding),
    ):  # fmt: skip
        torch.testing.assert_close(
            mine, other, rtol=1e-4, atol=1e-5 * float(other.detach().abs().max())
        )
    for mine, other in zip(gradients, expected, strict=True):
        if other is None:
            assert mine is None
        else:
            scale = max(1e-6, float(other.abs().max()))
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4 * scale)


def test_the_same_bits_each_time():
    module, batch = made("sne"), batch_of(5, 4)
    (first, one), (second, other) = (step(module, batch, threads=2) for _ in range(2))
    assert torch.equal(first.prediction, second.prediction)
    assert all(
        a is b is None or torch.equal(a, b)
        for a, b in zip(one, other, strict=True)
        if a is not None and b is not None
    )


def test_divided_and_put_back():
    batch = batch_of(5, 4)
    parts, order = divide(batch, 3)
    assert [sum(len(g.weights) for g in part) for part in parts] == [4, 3, 2]
    places = torch.cat(
        [torch.full((len(g.weights),), float(g.weights[0, 0])) for p in parts for g in p]
    )
    rows = torch.cat([g.weights[:, :5] for part in parts for g in part])[order]
    expected = torch.cat([g.weights[:, :5] for g in batch])
    assert torch.equal(rows, expected)
    assert len(places) == 9
    few, _ = divide(batch_of(1, 1), 4)
    assert np.array([len(part) for part in few]).tolist() == [2]


def test_a_models_error_comes_out():
    module = made("sne")

    def fails(part: Batch) -> Outputs:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        outputs_apart(fails, module, batch_of(4, 4), threads=2)
