"""Which networks form which batch: a pure function of (seed, epoch), balanced over zoos.

In an epoch each zoo gives as many networks as the largest one has; a smaller zoo is gone through
several times, each time in a new order. Zoos take turns, so every batch holds them in equal shares.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

ORDER, AUGMENTATION = 0, 1
"""Purposes of random numbers, so that one stream is never used for two."""


def stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    """The generator for a purpose; equal arguments give equal numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, *more)))


def torch_seed(seed: int, *more: int) -> int:
    """A seed for a `torch.Generator`, for instance of (seed, epoch, step): 63 bits."""
    words = np.random.SeedSequence(seed, spawn_key=(AUGMENTATION, *more))
    return int(words.generate_state(1, np.uint64)[0]) >> 1


def steps_of(sizes: Sequence[int], batch: int) -> int:
    """Batches of an epoch, the last of which may be smaller."""
    return -(-len(sizes) * max(sizes) // batch)


def epoch_batches(
    zoo: Int[np.ndarray, " n"], *, batch: int, seed: int, epoch: int
) -> list[Int[np.ndarray, " b"]]:
    """The rows of each batch, ascending.

    Args:
        zoo: number of each row's zoo.
        batch: networks in a batch.
        seed: of the run.
        epoch: each has an order of its own.
    """
    members = [np.flatnonzero(zoo == number) for number in np.unique(zoo)]
    longest = max(own.size for own in members)
    turns = np.stack(
        [
            _order(own, longest, stream(seed, ORDER, epoch, number))
            for number, own in enumerate(members)
        ],
        axis=1,
    ).reshape(-1)
    return [np.sort(turns[first : first + batch]) for first in range(0, turns.size, batch)]


def _order(
    own: Int[np.ndarray, " m"], length: int, rng: np.random.Generator
) -> Int[np.ndarray, " length"]:
    passes = [rng.permutation(own) for _ in range(-(-length // own.size))]
    return np.concatenate(passes)[:length]
