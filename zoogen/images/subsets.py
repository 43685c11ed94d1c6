"""Fixed subsets: which images a limit keeps. Pure functions of names and numbers."""

import hashlib

import numpy as np
from jaxtyping import Int64

from zoogen.images.catalog import SplitName


def seeded_order(count: int, seed: int) -> Int64[np.ndarray, " n"]:
    """A permutation of range(count) that no version of numpy changes.

    numpy keeps the raw words of its bit generators for ever, but not what `Generator.permutation`
    makes of them, so this sorts raw 64-bit words.
    """
    words = np.random.Philox(np.random.SeedSequence(seed)).random_raw(count)
    return np.argsort(words, kind="stable").astype(np.int64)


def subset_rows(
    name: str, split: SplitName, *, count: int, limit: int | None
) -> Int64[np.ndarray, " n"] | None:
    """The rows that a limit keeps, ascending; None where it keeps all.

    A smaller limit keeps a part of what a larger one keeps.

    Raises:
        ValueError: the limit is not positive.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"the limit of {name}'s {split} images must be positive, got {limit}")
    if limit is None or limit >= count:
        return None
    seed = int.from_bytes(hashlib.sha256(f"{name}/{split}".encode()).digest()[:8], "big")
    return np.sort(seeded_order(count, seed)[:limit])
