"""Networks of several zoos together, by architecture, ready to be cut into batches.

Rows are numbered architecture after architecture, so a batch in ascending order is also in the
order in which models give their outputs: group after group.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float64, Int
from torch import Tensor

from sne.model import Batch, Group
from sne.networks import Networks, Part
from sne.targets import Target
from sne.zoo import Architecture


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pool:
    """Networks with their targets."""

    architectures: tuple[Architecture, ...]
    weights: tuple[Tensor, ...]
    """One matrix for each architecture, on the device that batches are wanted on."""
    target: Float64[np.ndarray, " n"]
    """What is predicted: numbers in their unit (or its log10), classes as whole numbers."""
    zoo: Int[np.ndarray, " n"]
    """Number of each network's zoo."""
    rows: Any
    """A `pyarrow.Table` with what is known of each network, its zoo first."""
    activations: tuple[Mapping[str, Tensor], ...] = ()
    """Beside each matrix, as `model.Group` has them; empty: not known."""

    def __len__(self) -> int:
        return self.target.size

    def count_networks(self, first: int | None = None) -> int:
        """Networks, of so many rows; fewer than rows where several checkpoints of one are here."""
        return self.rows.slice(0, first).group_by(["zoo", "member"]).aggregate([]).num_rows

    def batch(self, rows: Int[np.ndarray, " b"]) -> Batch:
        """The networks of these rows, which must ascend."""
        ends = list(accumulate(len(weights) for weights in self.weights))
        cuts = np.searchsorted(rows, [0, *ends])
        groups: list[Group] = []
        for part, (architecture, weights) in enumerate(
            zip(self.architectures, self.weights, strict=True)
        ):
            own = rows[cuts[part] : cuts[part + 1]]
            if own.size:
                index = torch.from_numpy(own - (ends[part] - len(weights)))
                known = self.activations[part] if self.activations else {}
                whole = Group(architecture=architecture, weights=weights, activations=known)
                groups.append(whole.rows(index))
        return groups

    def batches(self, size: int) -> Iterator[tuple[Int[np.ndarray, " b"], Batch]]:
        """All networks in order, so many at a time, with their row numbers."""
        for first in range(0, len(self), size):
            rows = np.arange(first, min(first + size, len(self)))
            yield rows, self.batch(rows)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Slice:
    """One architecture's networks of one zoo."""

    part: Part
    rows: Any
    number: int
    """Of the zoo."""


def pool_networks(
    chosen: Sequence[Networks], target: Target | None, *, device: torch.device | str = "cpu"
) -> Pool:
    """Put the networks of several zoos together.

    Args:
        chosen: of each zoo, at least one; their rows hold the target's column.
        target: with what was learnt about it; None: networks without a target (NaN).
        device: where the weights go.
    """
    found: dict[str, list[_Slice]] = {}
    for number, networks in enumerate(chosen):
        for part in _slices(networks, number):
            found.setdefault(part.part.architecture.content_id, []).append(part)
    ordered = [part for parts in found.values() for part in parts]
    rows = pa.concat_tables([chosen[0].rows.slice(0, 0), *(part.rows for part in ordered)])
    uris = [chosen[part.number].identity.uri for part in ordered for _ in part.part.weights]
    numbers = [part.number for part in ordered for _ in part.part.weights]
    return Pool(
        architectures=tuple(parts[0].part.architecture for parts in found.values()),
        weights=tuple(
            torch.cat([torch.from_numpy(part.part.weights) for part in parts]).to(device)
            for parts in found.values()
        ),
        activations=tuple(_activations(parts, target) for parts in found.values()),
        target=_values(rows, target),
        zoo=np.array(numbers, dtype=np.int64),
        rows=rows.add_column(0, "zoo", pa.array(uris, type=pa.string())),
    )


def _activations(parts: Sequence[_Slice], target: Target | None) -> Mapping[str, Tensor]:
    """Of one architecture's networks; what is to be predicted is not known."""
    hidden = None if target is None else target.column
    return {
        name: torch.cat([torch.from_numpy(p.part.activations[name]) for p in parts])
        for name in parts[0].part.activations
        if name != hidden
    }


def _values(rows: Any, target: Target | None) -> Float64[np.ndarray, " n"]:
    if target is None:
        return np.full(rows.num_rows, np.nan)
    return target.values(rows.column(target.column).to_pylist())


def _slices(networks: Networks, number: int) -> Iterator[_Slice]:
    first = 0
    for part in networks.parts:
        rows = networks.rows.slice(first, len(part.weights))
        yield _Slice(part=part, rows=rows, number=number)
        first += len(part.weights)
