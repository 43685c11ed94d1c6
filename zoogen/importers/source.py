"""What an importer gives: all that decides a zoo's plan, and then the weights, row by row.

A source is listed first (who the networks are, their checkpoints, configurations, measurements and
architectures), which reads no more weights than it must. Its rows are read afterwards, some at a
time, so that memory does not grow with the source.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float32, Integer

from zoogen.description import Architecture
from zoogen.origin import SplitRule
from zoogen.plan import Kind
from zoogen.recipe import Shares

Report: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hints:
    """What the command line says of a source beyond its place."""

    split_file: Path | None = None
    """A published split of the Small CNN Zoo."""
    properties: Path | None = None
    """The table of a folder of state dicts."""
    dataset: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Listing:
    """A source before its weights are read."""

    table: Any
    """A `pyarrow.Table`, one row for each network and checkpoint, sorted by (member, epoch):
    member, epoch, arch, `config.*`, measurements; split, status and seed if the source has them."""
    architectures: tuple[Architecture, ...]
    kind: Kind
    dataset: str
    """What `--dataset` calls the images, `sine`, or a name of the source's own."""
    family: str
    credit: str
    licence: str
    paths: tuple[Path, ...]
    """All files that are read, below the source's folder."""
    shares: Shares
    """Of the splits, unless the source has its own."""
    split: SplitRule = "shares"
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Identity of the images or signals, where the source has it as a plan does."""
    draws: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Published distributions of the configuration, as a plan's recipe holds them."""
    meanings: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()


@runtime_checkable
class Source(Protocol):
    """One source, found in a folder or file."""

    @property
    def format(self) -> str:
        """What `--format` calls it."""
        ...

    @property
    def root(self) -> Path:
        """The folder that its files lie in, or the file itself."""
        ...

    def listing(self, report: Report) -> Listing:
        """Everything but the weights.

        Raises:
            SourceError: it is not what its format promises; the sentence says where.
        """
        ...

    def weights(self, rows: Integer[np.ndarray, " n"]) -> Iterator[Float32[np.ndarray, " p"]]:
        """The weights of some rows of the listing, in the order and layout of their descriptions.

        Raises:
            SourceError: as above.
        """
        ...
