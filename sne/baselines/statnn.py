"""STATNN: an MLP on the statistics of each tensor.

With the published widths 56 → 1000 → 1000 → 1 has 1,059,001 parameters for arch1, 42 → … has
1,045,001 for INRs. SNE's Table 1 prints 44K, which hidden=(190, 190) would have (44,651).

Source: Unterthiner et al. 2020 (arXiv:2002.11448); widths and variance from the code of Zhou et al.
2023 (arXiv:2302.14040).
"""

from dataclasses import dataclass

import torch
from torch import nn

from sne.baselines.statistics import (
    Spread,
    count_statistics,
    refuse_other_kinds,
    statistics_of,
)
from sne.errors import SettingError
from sne.model import Batch, ModelKind, Outputs, Preparation, check_taken
from sne.predictor import Predictor
from sne.scaling import ScaleInputs
from sne.zoo import Architecture


@dataclass(frozen=True, kw_only=True, slots=True)
class StatnnConfig:
    """Which statistics, and sizes."""

    hidden: tuple[int, ...] = (1000, 1000)
    """The last one is the encoding."""
    spread: Spread = "variance"
    """As in the published network; the paper's tables of statistics have the std."""
    absolute: bool = False
    """Also statistics of |w|."""

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise SettingError(f"statnn has hidden layers of at least 1 unit, got {self.hidden}")


class Statnn(nn.Module):
    """Takes networks whose layers have the types of those it was prepared for."""

    def __init__(self, config: StatnnConfig, preparation: Preparation) -> None:
        super().__init__()
        self.config = config
        self._wanted = preparation.architectures[0]
        count = count_statistics(self._wanted, absolute=config.absolute)
        *hidden, encoding = config.hidden
        self.scale = ScaleInputs(preparation.scaling)
        self.encode = Predictor(count, hidden, encoding)
        self.predict = nn.Linear(encoding, preparation.outputs)

    def forward(self, batch: Batch) -> Outputs:
        """Encode and predict."""
        for group in batch:
            check_taken(self, group.architecture)
        config = self.config
        numbers = statistics_of(batch, self.scale, spread=config.spread, absolute=config.absolute)
        encoding = torch.relu(self.encode(numbers))
        return Outputs(encoding=encoding, prediction=self.predict(encoding))

    def refusal(self, architecture: Architecture) -> str | None:
        """Networks of other layer types, or another number of them."""
        return refuse_other_kinds("statnn", self._wanted, architecture)


KIND = ModelKind(
    summary="statistics of each tensor, fully connected: layers of equal types only",
    config=StatnnConfig,
    make=Statnn,
    invariant=True,
)
