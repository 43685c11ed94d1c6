"""MLP on flattened weights: the plainest baseline, blind to what the weights are of.

Published twice, differently: Table 1 says 14K parameters for INRs, which 1153 → 12 → 12 → 1 has
(14,017); the default here. Code published with other baselines uses widths of 16 and 32.

Source: Andreis et al. 2024 (arXiv:2305.16625), Table 1; widths by arithmetic.
"""

from dataclasses import dataclass

import torch
from torch import nn

from sne.errors import SettingError
from sne.model import Batch, ModelKind, Outputs, Preparation, check_taken, layout
from sne.predictor import Predictor
from sne.scaling import ScaleInputs
from sne.tokens import check_weights
from sne.zoo import Architecture


@dataclass(frozen=True, kw_only=True, slots=True)
class MlpConfig:
    """Sizes."""

    hidden: tuple[int, ...] = (12, 12)
    """The last one is the encoding."""

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise SettingError(f"an mlp has hidden layers of at least 1 unit, got {self.hidden}")


class Mlp(nn.Module):
    """Takes networks with the tensors of those it was prepared for."""

    def __init__(self, config: MlpConfig, preparation: Preparation) -> None:
        super().__init__()
        first = preparation.architectures[0]
        self._layout, self._family = layout(first), first.family
        self._length = first.parameters
        *hidden, encoding = config.hidden
        self.scale = ScaleInputs(preparation.scaling)
        self.encode = Predictor(first.parameters, hidden, encoding)
        self.predict = nn.Linear(encoding, preparation.outputs)

    def forward(self, batch: Batch) -> Outputs:
        """Encode and predict."""
        for group in batch:
            check_taken(self, group.architecture)
            check_weights(group.architecture, group.weights)
        scaled = torch.cat([self.scale(group.architecture, group.weights) for group in batch])
        encoding = torch.relu(self.encode(scaled))
        return Outputs(encoding=encoding, prediction=self.predict(encoding))

    def refusal(self, architecture: Architecture) -> str | None:
        """Networks with other tensors: each input is one weight of one place."""
        if layout(architecture) == self._layout:
            return None
        return (
            f"mlp reads {self._length:,} weights at fixed places, those of {self._family}; "
            f"{architecture.family} has {architecture.parameters:,} in other tensors: "
            "choose a model that takes any architecture, or a zoo of one"
        )


KIND = ModelKind(
    summary="flattened weights, fully connected: one architecture only", config=MlpConfig, make=Mlp
)
