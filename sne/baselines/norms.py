"""A batch norm that also takes a batch of one: the last one of an epoch may be so."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """As torch's own, but a single row, which has no variance, is scaled by what was learnt."""

    def forward(self, input: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        """Of rows; in training by their own mean and variance."""
        if len(input) > 1:
            return super().forward(input)
        mean, variance = self.running_mean, self.running_var
        return F.batch_norm(input, mean, variance, self.weight, self.bias, eps=self.eps)
