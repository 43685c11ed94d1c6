"""(zoo seed, index) → one member: its configuration, split and random streams; stateless.

Member 29,999 costs the same as member 0, and what a member becomes never depends on who trained
beside it: every random number it uses comes from its own seed, by a stream named for its purpose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

Value: TypeAlias = str | int | float | bool
Split: TypeAlias = Literal["train", "val", "test"]
Purpose: TypeAlias = Literal["config", "init", "subset", "order", "dropout"]
PURPOSES: tuple[Purpose, ...] = ("config", "init", "subset", "order", "dropout")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Member:
    """One network to be trained."""

    index: int
    """Its number in the zoo, from 0."""
    seed: int
    """63 bits, recorded in the zoo; all of the member's streams start here."""
    split: Split
    config: Mapping[str, Value]
    """Flat; the zoo's `config.*` columns without the prefix."""

    def stream(self, purpose: Purpose, *more: int) -> np.random.Generator:
        """The generator for one purpose, and for instance one epoch: `stream("order", epoch)`."""
        return stream(self.seed, purpose, *more)

    @property
    def dropout_key(self) -> tuple[int, int]:
        """Two 32-bit words that key the member's dropout masks (see `zoogen.train.dropout`)."""
        words = self.stream("dropout").integers(0, 2**32, size=2, dtype=np.uint32)
        return int(words[0]), int(words[1])


def stream(seed: int, purpose: Purpose, *more: int) -> np.random.Generator:
    """A counter-based generator for (seed, purpose, …); equal arguments give equal numbers."""
    sequence = np.random.SeedSequence([seed, PURPOSES.index(purpose), *more])
    return np.random.Generator(np.random.Philox(sequence))


def member_seed(zoo_seed: int, index: int) -> int:
    """The member's own seed, 63 bits so that every Parquet reader holds it as int64."""
    words = np.random.SeedSequence([zoo_seed, index]).generate_state(1, np.uint64)
    return int(words[0]) >> 1
