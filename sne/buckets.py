"""Which sets are computed together: few padded lengths, so that little is padding.

A set of L elements costs L·(2·width + L): products with its elements, and attention among them. A
bucket of its own costs some calls. The cheapest split of the lengths into buckets is found exactly.
"""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

CALLS = 256
"""Elements that could be computed in the time that a bucket's calls take: about 1 ms on a core."""
MOST = 8
"""Buckets of one stage."""


def padded_lengths(lengths: Int[Tensor, " n"], *, width: int) -> Int[Tensor, " n"]:
    """To which length each set is padded."""
    values, inverse, counts = torch.unique(lengths, return_inverse=True, return_counts=True)
    ends = _cheapest(values.numpy(), counts.numpy(), width)
    top = torch.from_numpy(values.numpy()[ends])
    return top[torch.searchsorted(top, values)][inverse]


def work(lengths: Int[np.ndarray, " n"], width: int) -> Int[np.ndarray, " n"]:
    """Relative cost of one set of each length."""
    return lengths.astype(np.int64) * (2 * width + lengths.astype(np.int64))


def _cheapest(
    values: Int[np.ndarray, " n"], counts: Int[np.ndarray, " n"], width: int
) -> list[int]:
    """Positions in `values` (ascending) where buckets end, by dynamic programming."""
    each = work(values, width).astype(float)
    before = np.concatenate([[0], np.cumsum(counts)]).astype(float)
    call = CALLS * 2.0 * width
    size = len(values)
    total = np.full(size + 1, np.inf)
    total[0] = 0
    cuts: list[np.ndarray] = []
    for _ in range(min(MOST, size)):
        # total[j]: the first j values in at most this many buckets; the last bucket starts at i.
        costs = total[None, :size] + each[:, None] * (before[1:, None] - before[None, :size]) + call
        costs[np.triu_indices(size, 1)] = np.inf
        start = costs.argmin(1)
        reached = np.concatenate([[0], costs[np.arange(size), start]])
        kept = reached < total
        cuts.append(np.where(kept[1:], start, -1))
        total = np.where(kept, reached, total)
    return _backwards(cuts, size)


def _backwards(cuts: list[np.ndarray], size: int) -> list[int]:
    ends, end = [], size
    for cut in reversed(cuts):
        if end and cut[end - 1] >= 0:
            ends.append(end - 1)
            end = int(cut[end - 1])
    return ends[::-1]
