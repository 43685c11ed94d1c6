"""The optimizer and its step size: Adam with MultiStep, as the paper names them.

The step size is a function of the epoch and the step, so a resumed training needs no schedule's
state.
Source: Andreis et al. 2024 (arXiv:2305.16625), Table 14, whose step size, milestones and factor
were lost in print: the defaults are ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from sne.errors import SettingError


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """Adam, and a step size that falls at milestones."""

    learning_rate: float = 1e-3
    """Step size up to the first milestone."""
    milestones: tuple[float, ...] = (0.6, 0.85)
    """Shares of the epochs after which the step size falls."""
    decay: float = 0.1
    """What the step size is multiplied with at each milestone."""
    weight_decay: float = 0.0
    """Decoupled from the gradient (AdamW); 0 is Adam."""
    clip_norm: float | None = None
    """Gradients of a larger norm are scaled down to it."""
    warmup: int = 0
    """Steps in which the step size rises from 0 to its first value, in a line."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.decay <= 0 or min(self.weight_decay, self.warmup) < 0:
            raise SettingError(
                f"learning rate and decay are above 0, weight decay and warm-up from 0, got {self}"
            )
        if list(self.milestones) != sorted(self.milestones):
            raise SettingError(f"milestones ascend, got {self.milestones}")
        if not all(0 < m < 1 for m in self.milestones):
            raise SettingError(f"milestones are shares of the epochs, in (0, 1): {self.milestones}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise SettingError(f"the gradient's norm is clipped to above 0, got {self.clip_norm}")


def make_optimizer(
    config: OptimizerConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.AdamW:
    """The optimizer; fused, which allocates nothing but its two moments."""
    return torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )


def learning_rate(config: OptimizerConfig, *, epoch: int, epochs: int) -> float:
    """Step size in an epoch, counted from 0, warm-up aside."""
    passed = sum(epoch >= max(1, round(share * epochs)) for share in config.milestones)
    return config.learning_rate * config.decay**passed


def warmed_share(config: OptimizerConfig, *, step: int) -> float:
    """What the step size is multiplied with in a step, counted from 0 over the whole training."""
    return min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """For the steps that follow."""
    for group in optimizer.param_groups:
        group["lr"] = rate
