"""The head: from a network's encoding to what is predicted of it.

What it gives stands before any sigmoid or softmax, which belong to the loss.

Source: Andreis et al. 2024 (arXiv:2305.16625), Table 15 (1024 → 1000 → 1000 → 1 for accuracies) and
section 4.1 (32 → 512 → 1 for frequencies).
"""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


class Predictor(nn.Module):
    """Linear layers with ReLUs in between."""

    def __init__(self, encoding: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        pairs = list(pairwise((encoding, *hidden, outputs)))
        layers: list[nn.Module] = []
        for wide, narrow in pairs:
            layers += [nn.Linear(wide, narrow), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, encoding: Float[Tensor, "*b e"]) -> Float[Tensor, "*b o"]:
        """One row for each network."""
        return self.layers(encoding)
