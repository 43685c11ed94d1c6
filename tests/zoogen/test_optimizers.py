"""The merged formula against torch.optim, and L2 against autograd of the written loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from zoogen.archs import ARCHS
from zoogen.members import Member
from zoogen.train.hyperparameters import Hyperparameters
from zoogen.train.optimizers import FlatOptimizer, kernel_mask, l2_gradient, torch_optimizer

PARAMETERS = 40
KERNELS = torch.arange(PARAMETERS) < 30


def hyperparameters(**config) -> Hyperparameters:
    plain = {"optimizer": "sgd", "learning_rate": 0.05, "epsilon": 1e-7}
    return Hyperparameters.of(Member(index=0, seed=1, split="test", config=plain | config))


ALL = {
    "sgd": hyperparameters(),
    "momentum": hyperparameters(momentum=0.9),
    "adam": hyperparameters(optimizer="adam"),
    "adam_siren": hyperparameters(optimizer="adam", epsilon=1e-8, weight_decay=1e-2),
    "rmsprop": hyperparameters(optimizer="rmsprop", learning_rate=0.01),
    "adamw": hyperparameters(optimizer="adamw", learning_rate=0.02, weight_decay=0.3, l2reg=0.1),
    "l2": hyperparameters(optimizer="adam", l2reg=0.1, learning_rate=0.003),
    "sgd_l2": hyperparameters(l2reg=0.1, weight_decay=0.02, momentum=0.5),
    "rmsprop_l2": hyperparameters(optimizer="rmsprop", l2reg=0.2, learning_rate=0.001),
}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}


def gradients(steps: int, *, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    # Sizes from 1e-6 to 10, so that epsilon matters for some.
    sizes = 10.0 ** rng.uniform(-6, 1, (1, PARAMETERS))
    return torch.from_numpy(rng.standard_normal((steps, PARAMETERS)) * sizes)


def by_torch(one: Hyperparameters, start: Tensor, grads: Tensor, *, fused: bool) -> Tensor:
    kernel = start[KERNELS].clone().requires_grad_()
    bias = start[~KERNELS].clone().requires_grad_()
    optimizer = torch_optimizer(one, [kernel, bias], fused=fused)
    for grad in grads.to(start.dtype):
        kernel.grad, bias.grad = grad[KERNELS].clone(), grad[~KERNELS].clone()
        l2_gradient([kernel], one.l2)
        optimizer.step()
    return torch.cat([kernel.detach(), bias.detach()])


def merged(several: list[Hyperparameters], start: Tensor, grads: Tensor) -> Tensor:
    weights = start.repeat(len(several), 1)
    optimizer = FlatOptimizer(several, KERNELS, dtype=start.dtype)
    for grad in grads.to(start.dtype):
        optimizer.step(weights, grad.repeat(len(several), 1))
    return weights


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("fused", [True, False])
def test_every_optimizer_in_one_batch_equals_torch_s(dtype: torch.dtype, fused: bool) -> None:
    start = torch.from_numpy(np.random.default_rng(1).standard_normal(PARAMETERS)).to(dtype)
    for steps in (1, 2, 30):
        grads = gradients(steps)
        ours = merged(list(ALL.values()), start, grads)
        for row, one in zip(ours, ALL.values(), strict=True):
            wanted = by_torch(one, start, grads, fused=fused)
            assert (row - wanted).abs().max() <= TOLERANCE[dtype] * (1 + wanted.abs().max())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("adam", {"epsilon": 1e-3}),
        ("momentum", {"beta1": 0.8}),
        ("rmsprop", {"beta2": 0.99}),
        ("l2", {"l2": 0.2}),
        ("adam_siren", {"weight_decay": 0.0}),
    ],
)
def test_the_comparison_sees_a_wrong_coefficient(name: str, wrong) -> None:
    start = torch.from_numpy(np.random.default_rng(1).standard_normal(PARAMETERS))
    ours = merged([replace(ALL[name], **wrong)], start, gradients(30))[0]
    assert (ours - by_torch(ALL[name], start, gradients(30), fused=False)).abs().max() > 1e-5


def test_l2_is_the_gradient_of_the_written_loss() -> None:
    """Loss with l2·Σw² over kernels, differentiated by autograd, for every optimizer."""
    data = torch.from_numpy(np.random.default_rng(3).standard_normal((30, 10)))
    for name in ("sgd", "adam", "rmsprop"):
        one = hyperparameters(optimizer=name, l2reg=0.07, learning_rate=0.01)
        kernel = torch.linspace(-1, 1, 30, dtype=torch.float64).requires_grad_()
        bias = torch.linspace(0.5, 1, 10, dtype=torch.float64).requires_grad_()
        weights = torch.cat([kernel, bias]).detach()[None].clone()
        written = torch_optimizer(one, [kernel, bias])
        ours = FlatOptimizer([one], KERNELS, dtype=torch.float64)
        for _ in range(5):
            task = torch.tanh(kernel @ data + bias).square().sum()
            written.zero_grad()
            (task + one.l2 * kernel.square().sum()).backward()
            k, b = weights[0, :30].requires_grad_(), weights[0, 30:].requires_grad_()
            plain = torch.autograd.grad(torch.tanh(k @ data + b).square().sum(), [k, b])
            weights = weights.detach()
            ours.step(weights, torch.cat(plain)[None])
            written.step()
            assert torch.allclose(weights[0], torch.cat([kernel, bias]), atol=1e-10)


def test_frozen_members_keep_their_bits_and_disturb_nobody() -> None:
    names = ["adam", "sgd", "rmsprop"]
    several = [ALL[n] for n in names]
    start = torch.randn(3, PARAMETERS, generator=torch.Generator().manual_seed(0))
    both, alone = start.clone(), start[[0, 2]].clone()
    together = FlatOptimizer(several, KERNELS, dtype=torch.float32)
    apart = FlatOptimizer([several[0], several[2]], KERNELS, dtype=torch.float32)
    active = torch.tensor([True, False, True])
    for grad in gradients(10).float():
        grads = grad.repeat(3, 1)
        grads[1] = torch.inf
        together.step(both, grads, active=active)
        apart.step(alone, grad.repeat(2, 1))
    assert torch.equal(both[1], start[1])
    assert torch.equal(both[[0, 2]], alone)
    assert not torch.equal(both[0], start[0])


def test_sgd_is_not_touched_by_an_overflow_of_the_square() -> None:
    weights = torch.zeros(1, PARAMETERS)
    optimizer = FlatOptimizer([ALL["sgd"]], KERNELS, dtype=torch.float32)
    for _ in range(2):
        optimizer.step(weights, torch.full((1, PARAMETERS), 1e25))
    assert bool(torch.isfinite(weights).all())
    assert weights[0, 0] == pytest.approx(-1e24)


def test_members_can_leave_in_the_middle() -> None:
    several = list(ALL.values())
    rows = torch.tensor([4, 1, 6])
    start = torch.randn(len(several), PARAMETERS, generator=torch.Generator().manual_seed(2))
    whole, shrunk = start.clone(), start.clone()
    one = FlatOptimizer(several, KERNELS, dtype=torch.float32)
    two = FlatOptimizer(several, KERNELS, dtype=torch.float32)
    for i, grad in enumerate(gradients(8).float()):
        if i == 3:
            two.keep(rows)
            shrunk = shrunk[rows]
        one.step(whole, grad.repeat(len(whole), 1))
        two.step(shrunk, grad.repeat(len(shrunk), 1))
    assert torch.equal(whole[rows], shrunk)


def test_kernels_are_weights_and_nothing_else() -> None:
    arch = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
    mask = kernel_mask(arch, device="cpu")
    assert int((~mask).sum()) == 16 + 16 + 16 + 10
    assert not mask[144:160].any()
    assert mask[:144].all()


def test_hyperparameters_of_a_configuration_and_what_is_left_out() -> None:
    read = Hyperparameters.of(
        Member(index=0, seed=1, split="test", config={"optimizer": "rmsprop", "learning_rate": 0.1})
    )
    assert (read.optimizer, read.learning_rate, read.epsilon) == ("rmsprop", 0.1, 1e-8)
    assert (read.beta1, read.beta2) == (0.0, 0.9)
    assert (read.l2, read.weight_decay, read.dropout) == (0.0, 0.0, 0.0)
    assert (ALL["momentum"].beta1, ALL["adam"].beta1, ALL["adam"].beta2) == (0.9, 0.9, 0.999)
