"""DeepSets: all weights of a network as one set, without order, place or layer.

Four linear layers on every weight, their mean, four more: 99,457 parameters, which is SNE's 99K.

Source: the class DeepSet of Set Transformer's published code (arXiv:1810.00825) with scalar inputs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sne.errors import SettingError
from sne.model import Batch, Group, ModelKind, Outputs, Preparation
from sne.predictor import Predictor
from sne.scaling import ScaleInputs
from sne.slabs import Slabs, in_slabs, slabs_for
from sne.tokens import check_weights
from sne.zoo import Architecture


@dataclass(frozen=True, kw_only=True, slots=True)
class DeepSetsConfig:
    """Sizes."""

    width: int = 128
    """Of all layers, and of the encoding."""
    layers: int = 4
    """Before the mean, and after it."""

    def __post_init__(self) -> None:
        if min(self.width, self.layers) < 1:
            raise SettingError(f"sizes are at least 1, got {self.width=} {self.layers=}")


class DeepSets(nn.Module):
    """Takes networks of any architecture."""

    def __init__(self, config: DeepSetsConfig, preparation: Preparation) -> None:
        super().__init__()
        hidden = [config.width] * (config.layers - 1)
        self.slabs: Slabs | None = None
        """How much is computed at once; None: what suits the device."""
        self.scale = ScaleInputs(preparation.scaling)
        self.each = Predictor(1, hidden, config.width)
        self.predict = Predictor(config.width, hidden, preparation.outputs)

    def forward(self, batch: Batch) -> Outputs:
        """Encode and predict."""
        encoding = torch.cat([self._means(group) for group in batch])
        return Outputs(encoding=encoding, prediction=self.predict(encoding))

    def refusal(self, architecture: Architecture) -> str | None:
        """None, save for a network without weights."""
        if not architecture.parameters:
            return f"deepsets reads weights, and {architecture.family} has none"
        return None

    def _means(self, group: Group) -> Float[Tensor, "b d"]:
        check_weights(group.architecture, group.weights)
        networks, weights = group.weights.shape
        columns = self.scale(group.architecture, group.weights).T
        slabs = self.slabs or slabs_for(columns.device)
        sums = in_slabs(self._sums, columns, rows=weights, size=networks, slabs=slabs)
        return sums.unflatten(0, (-1, networks)).sum(0) / weights

    def _sums(self, _: slice, columns: Float[Tensor, "k b"]) -> Float[Tensor, "b d"]:
        return self.each(columns[:, :, None]).sum(0)


KIND = ModelKind(
    summary="weights as an unordered set: any architecture (99,457 parameters)",
    config=DeepSetsConfig,
    make=DeepSets,
    invariant=True,
    independent=True,
)
