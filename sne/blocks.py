"""Attention blocks on sets: SAB (set to set) and PMA (set to vector), with masks.

As in Set Transformer's published code: scores are divided by the root of the full width, not of a
head's; the residual is the projected query; the row-wise feed-forward is one linear layer with a
ReLU; no LayerNorm, as SNE's Table 14 has it. With q = XWq + bq, and likewise k and v:

    H = q + softmax(q kᵀ / √width) v,  MAB = H + relu(H Wo + bo)

SAB(X) = MAB(X, X). PMA(X) = MAB(S, rFF(X)) for one learnt seed S, with rFF(X) = relu(XW + b).

Source: Lee et al. 2019 (arXiv:1810.00825) and its code; Andreis et al. 2024 (arXiv:2305.16625),
Eqs. (11)-(14). The code leaves rFF in PMA out, Eq. (14) has it.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sne.fused import fused_pooling, fused_sab, library_for
from sne.products import linear, relu_linear


class Sab(nn.Module):
    """Set to set: each element attends to all elements."""

    def __init__(self, width_in: int, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width_in, 3 * width)
        """Queries, keys and values in one product."""
        self.feed = nn.Linear(width, width)

    @property
    def compiled(self) -> bool:
        """Whether it lies where float32 is computed by code of ours, compiled here."""
        weight = self.feed.weight[None]
        return library_for(weight, width=weight.shape[2], heads=self.heads) is not None

    def forward(
        self, x: Float[Tensor, "r n w"], mask: Bool[Tensor, "r n"] | None = None
    ) -> Float[Tensor, "r n d"]:
        """The mask says which elements are real; what comes out for the others means nothing."""
        width = self.feed.in_features
        if library := library_for(x, width=width, heads=self.heads):
            layers = (self.project, self.feed)
            return fused_sab(library, x, mask, *(t for f in layers for t in (f.weight, f.bias)))
        q, k, v = linear(x, self.project).chunk(3, dim=2)
        heads = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        keys = None if mask is None else mask[:, None, None, :]
        found = F.scaled_dot_product_attention(*heads, attn_mask=keys, scale=width**-0.5)
        h = q + found.transpose(1, 2).flatten(2)
        return h + relu_linear(h, self.feed)


class Pma(nn.Module):
    """Set to vector: one learnt query attends to all elements."""

    def __init__(self, width_in: int, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.Linear(width_in, width_in)
        self.seed = nn.Parameter(torch.empty(1, width))
        nn.init.xavier_uniform_(self.seed)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width_in, width)
        self.value = nn.Linear(width_in, width)
        self.feed = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "r n w"], mask: Bool[Tensor, "r n"] | None = None
    ) -> Float[Tensor, "r d"]:
        """The mask says which elements are real.

        One query, the same for all sets, so it meets the keys' weights before any element does:
        x·(Wkᵀ q) instead of (x Wkᵀ)·q, and values are summed before they are projected. That saves
        two products of every element with a square matrix.
        """
        query = self.query(self.seed).unflatten(1, (self.heads, -1))[0]  # h d/h
        keys = self.key.weight.unflatten(0, (self.heads, -1))  # h d/h w
        toward = torch.einsum("hk,hkw->hw", query, keys) * query.numel() ** -0.5
        pooled = self._pooled(x, mask, toward)
        values = self.value.weight.unflatten(0, (self.heads, -1))
        found = torch.einsum("rhw,hkw->rhk", pooled, values).flatten(1)
        h = query.flatten() + found + self.value.bias
        return h + F.relu(self.feed(h))

    def _pooled(
        self, x: Float[Tensor, "r n w"], mask: Bool[Tensor, "r n"] | None, toward: Tensor
    ) -> Float[Tensor, "r h w"]:
        """For each head the mean of rFF(X) under the softmax of its scores.

        The keys' bias adds the same to all scores, which a softmax does not see.
        """
        before = self.before
        if library := library_for(x, width=before.in_features, heads=self.heads):
            return fused_pooling(library, x, mask, before.weight, before.bias, toward)
        x = relu_linear(x, before)
        scores = F.linear(x, toward)  # r n h
        if mask is not None:
            scores = scores.masked_fill(~mask[:, :, None], -torch.inf)
        return scores.softmax(dim=1).transpose(1, 2) @ x


class Rows(nn.Module):
    """In a SAB's place where set functions are switched off: every element by itself."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width_in, width)
        self.feed = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "r n w"], mask: Bool[Tensor, "r n"] | None = None
    ) -> Float[Tensor, "r n d"]:
        """A SAB without attention: h = XW + b, then h + relu(h Wo + bo)."""
        h = linear(x, self.enter)
        return h + relu_linear(h, self.feed)


class Mean(nn.Module):
    """In a PMA's place where set functions are switched off: the mean of the real elements."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.before = nn.Linear(width_in, width)

    def forward(
        self, x: Float[Tensor, "r n w"], mask: Bool[Tensor, "r n"] | None = None
    ) -> Float[Tensor, "r d"]:
        """The mask says which elements are real."""
        x = relu_linear(x, self.before)
        if mask is None:
            return x.mean(1)
        return (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
