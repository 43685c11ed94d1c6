"""Optimizers: torch's own for one member, and one formula that trains many with different ones.

sgd (momentum), adam, adamw and rmsprop are the same update with different coefficients, so members
with different optimizers share every operation. With g the gradient of the written loss:

    g ← g + d·w                           d: 2·l2 on kernels, plus weight decay everywhere
    u ← a·u + b·g                         sgd: (momentum, 1); adam: (0.9, 0.1); rmsprop: (0, 1)
    v ← c·v + (1 − c)·g²                  adam: 0.999; rmsprop: 0.9
    w ← (1 − lr·e)·w                      e: adamw's decay; first of all
    w ← w − lr·k·u                        sgd
    w ← w − lr·k·u / (s·√v + eps)         adam, adamw, rmsprop
    k = 1/(1 − aᵗ), s = 1/√(1 − cᵗ)       adam, adamw; 1 otherwise

That is torch.optim's arithmetic up to rounding; eps stands outside the root in all of them.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from zoogen.description import Architecture
from zoogen.train.hyperparameters import ADAM_BETAS, Hyperparameters


def torch_optimizer(
    h: Hyperparameters, parameters: Sequence[Tensor], *, fused: bool = True
) -> torch.optim.Optimizer:
    """PyTorch's own optimizer for one member; L2 on kernels is the caller's (`l2_gradient`)."""
    rate, decay = h.learning_rate, h.weight_decay
    if h.optimizer == "adamw":
        betas = (h.beta1, h.beta2)
        return torch.optim.AdamW(
            parameters, lr=rate, betas=betas, eps=h.epsilon, weight_decay=h.decoupled_decay,
            fused=fused,
        )  # fmt: skip
    if h.optimizer == "adam":
        betas = (h.beta1, h.beta2)
        return torch.optim.Adam(
            parameters, lr=rate, betas=betas, eps=h.epsilon, weight_decay=decay, fused=fused
        )
    if h.optimizer == "rmsprop":
        return torch.optim.RMSprop(
            parameters, lr=rate, alpha=h.beta2, eps=h.epsilon, weight_decay=decay
        )
    return torch.optim.SGD(parameters, lr=rate, momentum=h.beta1, weight_decay=decay, fused=fused)


@torch.no_grad()
def l2_gradient(kernels: Sequence[Tensor], l2: float) -> None:
    """Add the gradient of l2·Σw², 2·l2·w, to the kernels' gradients."""
    if l2:
        for kernel in kernels:
            assert kernel.grad is not None
            kernel.grad.add_(kernel, alpha=2 * l2)


def kernel_mask(architecture: Architecture, *, device: str) -> Bool[Tensor, " p"]:
    """Which entries of the flat vector lie in kernels, where the L2 term acts."""
    mask = torch.zeros(architecture.parameters, dtype=torch.bool)
    for tensor in architecture.tensors:
        mask[tensor.offset : tensor.offset + tensor.size] = tensor.role == "weight"
    return mask.to(device)


ADAMS = ("adam", "adamw")


class FlatOptimizer:
    """The update of many members at once, each with its own optimizer and coefficients.

    Args:
        members: the hyperparameters of each.
        kernels: from `kernel_mask`.
        dtype: of weights and gradients.
    """

    def __init__(
        self, members: Sequence[Hyperparameters], kernels: Bool[Tensor, " p"], *, dtype: torch.dtype
    ) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64)[:, None].to(kernels.device, dtype)

        self._column = column
        self._rate = column([h.learning_rate for h in members])
        self._shrink = column([h.decoupled_decay for h in members])
        self._shrinks = any(h.decoupled_decay for h in members)
        self._epsilon = column([h.epsilon for h in members])
        self._first = column([h.beta1 for h in members])
        self._gain = column([1 - h.beta1 if h.optimizer in ADAMS else 1.0 for h in members])
        self._second = column([h.beta2 for h in members])
        self._corrected = column([float(h.optimizer in ADAMS) for h in members])
        self._adaptive = column([float(h.optimizer != "sgd") for h in members]) > 0
        decay = column([h.weight_decay for h in members]).expand(-1, len(kernels)).clone()
        decay[:, kernels] += column([2 * h.l2 for h in members])
        self._decay = decay
        self._u, self._v = torch.zeros_like(decay), torch.zeros_like(decay)
        self._steps = 0

    @torch.no_grad()
    def step(
        self,
        weights: Float[Tensor, "m p"],
        gradients: Float[Tensor, "m p"],
        *,
        active: Bool[Tensor, " m"] | None = None,
    ) -> None:
        """Change the weights in place, once; no value leaves the device.

        Args:
            weights: one row for each member.
            gradients: of the loss without L2 and weight decay; overwritten.
            active: members whose weights may change; None: all.
        """
        self._steps += 1
        k, s = self._corrections()
        g = gradients.addcmul_(self._decay, weights)
        if self._shrinks:
            shrunk = self._rate * self._shrink
            weights.sub_(weights * (shrunk if active is None else shrunk * active[:, None]))
        self._u.mul_(self._first).addcmul_(g, self._gain)
        self._v.mul_(self._second).addcmul_(g * (1 - self._second), g)
        denominator = self._v.sqrt().mul_(s).add_(self._epsilon)
        # A selection, not a product: an overflow in what sgd does not use must not reach it.
        update = torch.where(self._adaptive, self._u / denominator, self._u).mul_(k)
        if active is not None:
            update.masked_fill_(~active[:, None], 0.0)
        weights.sub_(update)

    def set_rates(self, rates: Sequence[float]) -> None:
        """New learning rates, one for each member."""
        self._rate = self._column(list(rates))

    def keep(self, rows: Int64[Tensor, " kept"]) -> None:
        """Go on with these members only, in this order."""
        for name in ("_rate", "_shrink", "_epsilon", "_first", "_gain", "_second", "_corrected"):
            setattr(self, name, getattr(self, name)[rows])
        for name in ("_adaptive", "_decay", "_u", "_v"):
            setattr(self, name, getattr(self, name)[rows])

    def _corrections(self) -> tuple[Tensor, Tensor]:
        """(lr·k, s) of this step; the powers are the same for all members, so they are numbers."""
        first, second = ADAM_BETAS
        k = 1 / (1 - first**self._steps)
        s = 1 / math.sqrt(1 - second**self._steps)
        rate = torch.addcmul(self._rate, self._rate, self._corrected, value=k - 1)
        return rate, self._corrected * (s - 1) + 1
