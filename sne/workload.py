"""What a training holds and computes, as numbers: which networks of which architecture, how many.

Known from a zoo's columns, without a weight. The worst batch follows from it: batches hold zoos in
equal shares (`sampling`), and of a zoo all may be of its heaviest architecture.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from sne.batching import KEPT
from sne.config import TrainConfig
from sne.layout import Members
from sne.networks import check_splits, open_zoos
from sne.targets import Target, choose_target
from sne.zoo import Architecture, Zoo

SIZES = 4
"""Numbers of networks of one architecture that batches have: whole ones and last ones, of training
and of validation networks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Networks of one architecture of one zoo."""

    zoo: int
    """Number of the zoo."""
    architecture: Architecture
    train: int
    val: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """The networks that a training holds."""

    target: Target
    """With its classes, if it is a category."""
    held: tuple[Held, ...]

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """Of the training networks."""
        found = {h.architecture.content_id: h.architecture for h in self.held if h.train}
        return tuple(found.values())

    @property
    def all(self) -> Members:
        """All training networks, by architecture."""
        counts = Counter[str]()
        for h in self.held:
            counts[h.architecture.content_id] += h.train
        return [(a, counts[a.content_id]) for a in self.architectures]

    @property
    def epoch(self) -> int:
        """Networks of an epoch: each zoo gives as many as the largest has."""
        sizes = Counter[int]()
        for h in self.held:
            sizes[h.zoo] += h.train
        return sum(size > 0 for size in sizes.values()) * max(sizes.values(), default=0)

    @property
    def data_bytes(self) -> int:
        """Weights of all networks, which lie on the device."""
        return sum(4 * h.architecture.parameters * (h.train + h.val) for h in self.held)

    @property
    def compositions(self) -> int:
        """How many unlike batches a training meets, of those that a model keeps plans for."""
        several = max(Counter(h.zoo for h in self.held).values()) > 1
        return KEPT if several else min(KEPT, SIZES * len(self.architectures))

    def worst(self, batch: int, micro_batch: int | None = None) -> Members:
        """The heaviest networks that a batch, or a part of one, can be made of."""
        zoos = {h.zoo for h in self.held if h.train}
        left = min(micro_batch or batch, batch, self.epoch)
        share = -(-batch // len(zoos))
        heaviest = [
            max((h.architecture for h in self.held if h.zoo == zoo and h.train), key=_weight)
            for zoo in zoos
        ]
        counts = Counter[str]()
        for architecture in sorted(heaviest, key=_weight, reverse=True):
            counts[architecture.content_id] += (taken := min(share, left))
            left -= taken
        known = {a.content_id: a for a in heaviest}
        return [(known[name], count) for name, count in counts.items() if count]


def read_workload(config: TrainConfig) -> Workload:
    """What a training of these zoos holds.

    Raises:
        DataError: a zoo that cannot be trained on, or has no such target.
        ZooError: a zoo that cannot be read.
    """
    zoos = open_zoos(config.data.zoo)
    for zoo in zoos:
        check_splits(zoo)
    target = choose_target(zoos, config.data.target)
    tables = [_columns(zoo, config, target) for zoo in zoos]
    if target.kind == "category":
        values = (v for table in tables for v in table["train"].column(target.column).to_pylist())
        target = replace(target, classes=tuple(sorted({str(value) for value in values})))
    held: list[Held] = []
    for number, (zoo, table) in enumerate(zip(zoos, tables, strict=True)):
        train, val = (Counter(table[s].column("arch").to_pylist()) for s in ("train", "val"))
        held += [
            Held(zoo=number, architecture=zoo.architectures[a], train=train[a], val=val[a])
            for a in dict.fromkeys((*train, *val))
        ]
    return Workload(target=target, held=tuple(held))


def _columns(zoo: Zoo, config: TrainConfig, target: Target) -> dict[str, Any]:
    which = config.data.which
    names = list(dict.fromkeys(("arch", target.column)))
    return {
        split: zoo.networks(checkpoint=which.checkpoint, split=split, status=which.status).table(
            names
        )
        for split in ("train", "val")
    }


def _weight(architecture: Architecture) -> int:
    return architecture.parameters
