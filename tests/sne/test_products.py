"""Products of many rows against torch's own linear layers."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sne.products import MULTIPLE, linear, relu_linear


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer(width_in: int, width_out: int) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(width_in, width_out)


def apart(one: Tensor | None, other: Tensor | None) -> float:
    """Against the other's size, which is not nothing."""
    assert one is not None
    assert other is not None
    assert other.norm() > 0.1
    return float(((one - other).norm() / other.norm()).detach())


def by_onednn(result: Tensor) -> bool:
    return "_Product" in type(result.grad_fn).__name__


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("sizes", [(64, 192), (64, 64), (24, 8)])
def test_results_and_gradients_are_those_of_the_layer(sizes: tuple[int, int], rectified: bool):
    plain, fast = layer(*sizes), layer(*sizes)
    x = rows(2 * MULTIPLE, 3, sizes[0]).requires_grad_()
    y = x.detach().clone().requires_grad_()
    expected = F.relu(plain(x)) if rectified else plain(x)
    found = relu_linear(y, fast) if rectified else linear(y, fast)
    assert by_onednn(found)
    assert apart(found, expected) < 1e-6
    weights = rows(*expected.shape, seed=1)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    pairs = [(y, x), (fast.weight, plain.weight), (fast.bias, plain.bias)]
    assert all(apart(mine.grad, theirs.grad) < 1e-6 for mine, theirs in pairs)


def test_inputs_without_a_gradient_get_none():
    x, fast = rows(MULTIPLE, 8), layer(8, 4)
    linear(x, fast).sum().backward()
    assert x.grad is None
    assert fast.weight.grad is not None


def test_other_numbers_of_rows_and_precisions_go_the_usual_way():
    fast = layer(8, 4)
    assert by_onednn(linear(rows(MULTIPLE, 8), fast))
    assert not by_onednn(linear(rows(MULTIPLE + 1, 8), fast))
    assert not by_onednn(linear(rows(MULTIPLE, 8).double(), layer(8, 4).double()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = linear(rows(MULTIPLE, 8), fast)
    assert half.dtype == torch.bfloat16
