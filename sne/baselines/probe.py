"""A linear probe: what a linear layer can tell of encodings that were learnt without labels.

Of a number by least squares in closed form, of shares and categories by the task's own loss, which
is convex. There may be more numbers in an encoding than networks, so weights are kept small; how
much so is chosen by the validation networks.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sne.losses import TASKS
from sne.model import Encoded

STEPS = 100
"""Of L-BFGS at most."""
SMALLEST = 1e-12
"""Spread of encodings that are all alike."""


class LinearProbe(nn.Module):
    """A linear layer that is fitted, not trained: its weights are buffers."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self, encoding: int, outputs: int, *, task: str, strengths: Sequence[float]
    ) -> None:
        super().__init__()
        self._task, self._strengths = task, tuple(strengths)
        self.register_buffer("weight", torch.zeros(outputs, encoding))
        self.register_buffer("bias", torch.zeros(outputs))

    def forward(self, encoding: Float[Tensor, "b e"]) -> Float[Tensor, "b o"]:
        """Before any sigmoid or softmax."""
        return nn.functional.linear(encoding, self.weight, self.bias)

    def fit(self, training: Encoded, validation: Encoded | None) -> None:
        """Fit to training networks; of several strengths the one that validation prefers.

        Args:
            training: encodings and targets.
            validation: the same; None: the first strength is taken.
        """
        found: list[tuple[Tensor, Tensor]] = []
        for strength in self._strengths if validation else self._strengths[:1]:
            found.append(self._fitted(training, strength))
        losses = [self._loss(*fitted, validation) for fitted in found] if validation else [0.0]
        weight, bias = found[losses.index(min(losses))]
        self.weight.copy_(weight)
        self.bias.copy_(bias)

    def _fitted(self, given: Encoded, strength: float) -> tuple[Tensor, Tensor]:
        """Weights and biases for encodings of a common spread of one, then for them as they are."""
        encoding, target = given[0].double(), given[1].double()
        mean = encoding.mean(0)
        spread = (encoding - mean).square().mean().sqrt().clamp(min=SMALLEST)
        scaled = (encoding - mean) / spread
        fit = _least_squares if self._task == "number" else self._minimised
        weight, bias = fit(scaled, target, strength)
        weight = weight / spread
        return weight, bias - weight @ mean

    def _minimised(
        self, scaled: Float[Tensor, "n e"], target: Float[Tensor, " n"], strength: float
    ) -> tuple[Tensor, Tensor]:
        """The minimum of the task's loss and strength · |weights|², by L-BFGS."""
        outputs, width = self.weight.shape
        weight = torch.zeros(outputs, width, dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(outputs, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            prediction = scaled @ weight.T + bias
            total = TASKS[self._task].loss(prediction, target) + strength * weight.square().sum()
            total.backward()
            return total

        with torch.enable_grad():
            optimizer.step(loss)
        return weight.detach(), bias.detach()

    def _loss(self, weight: Tensor, bias: Tensor, given: Encoded) -> float:
        prediction = given[0].double() @ weight.T + bias
        return float(TASKS[self._task].loss(prediction, given[1].double()))


def _least_squares(
    scaled: Float[Tensor, "n e"], target: Float[Tensor, " n"], strength: float
) -> tuple[Tensor, Tensor]:
    """The minimum of the mean square and strength · |weights|²."""
    left, values, right = torch.linalg.svd(scaled, full_matrices=False)
    shrunk = values / (values.square() + strength * len(scaled))
    weight = right.T @ (shrunk * (left.T @ (target - target.mean())))
    return weight[None], target.mean()[None]
