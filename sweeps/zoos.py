"""The zoos of a sweep: opened, identified, and checked before anything is trained on them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sne.errors import DataError
from sne.evaluation import check_target
from sne.networks import Which, check_splits, identify
from sne.targets import Target, choose_target
from sne.zoo import Zoo, ZooError, open_zoo
from sweeps.errors import PlanError
from sweeps.results import ZooLabel

SPLITS = ("train", "val", "test")
SIGHT = ("channels", "side")
"""Of images: where these differ, preparation made them differ, and only counts are compared."""
COUNTS = ("train_size", "test_size", "chance_accuracy")


@dataclass(frozen=True, kw_only=True, slots=True)
class ZooRef:
    """A zoo, and where it lies now."""

    uri: str
    """Absolute: trials run in folders of their own."""
    label: ZooLabel

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"uri": self.uri, "label": self.label.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ZooRef":
        """The inverse of `to_json`."""
        return cls(uri=value["uri"], label=ZooLabel.from_json(value["label"]))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SweepZoo:
    """A zoo that was opened."""

    ref: ZooRef
    zoo: Zoo

    @property
    def shares(self) -> tuple[int, int, int]:
        """Members of train, val and test among 10."""
        return self.zoo.plan.shares


def open_sweep_zoos(paths: Sequence[str]) -> tuple[SweepZoo, ...]:
    """Open all zoos of a sweep.

    Raises:
        PlanError: none was named, or one twice.
        ZooError: one cannot be read; the sentence names those that lie beside it.
    """
    if not paths:
        raise PlanError("a sweep needs zoos: name them with --zoos")
    opened = tuple(_open(path) for path in paths)
    seen: dict[str, str] = {}
    for one in opened:
        first = seen.get(one.ref.label.hash)
        if first is not None:
            raise PlanError(f"{first} and {one.ref.uri} are the same zoo: name it once")
        seen[one.ref.label.hash] = one.ref.uri
    return opened


def open_ref(ref: ZooRef) -> Zoo:
    """The zoo of a trial, which must still be the one that the trial was planned for.

    Raises:
        PlanError: it was changed since.
        ZooError: it cannot be read.
    """
    zoo = open_zoo(ref.uri)
    if identify(zoo).hash != ref.label.hash:
        raise PlanError(f"{ref.uri} was changed since the sweep began: start the sweep again")
    return zoo


def check_alike(zoos: Sequence[SweepZoo], *, allow_mixed_data: bool) -> None:
    """Whether zoos of one data set were made of the same images.

    Raises:
        PlanError: two were not, and that is not allowed.
    """
    if allow_mixed_data:
        return
    first: dict[str, list[SweepZoo]] = {}
    for one in zoos:
        others = first.setdefault(one.zoo.plan.dataset, [])
        for other in others:
            if reason := images_differ(one.zoo.plan.data, other.zoo.plan.data):
                raise PlanError(
                    f"{other.ref.uri} and {one.ref.uri} are both of {one.zoo.plan.dataset} but not "
                    f"of the same images ({reason}), so what carries over between them is not "
                    "between architectures alone: make them of the same images, or add "
                    "--allow-mixed-data"
                )
        others.append(one)


def images_differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Why two zoos' data, as their plans record it, are not the same; None if they can be."""
    for name in COUNTS:
        if one.get(name) != other.get(name):
            return f"{name} {other.get(name)} and {one.get(name)}"
    if any(one.get(name) != other.get(name) for name in SIGHT):
        return None
    hashes = [data.get("content_hash") for data in (other, one)]
    if hashes[0] != hashes[1]:
        return f"content {str(hashes[0])[:12]} and {str(hashes[1])[:12]}"
    return None


def find_target(zoos: Sequence[SweepZoo], name: str | None, which: Which) -> Target:
    """The column to predict, which every zoo must have with values that can be learnt.

    Raises:
        DataError: a zoo lacks the column, or the column has nulls, or one value only.
    """
    target = choose_target([one.zoo for one in zoos], name)
    for one in zoos:
        check_target(one.zoo, target)
        for split, share in zip(SPLITS, one.shares, strict=True):
            if share:
                _check_values(one, target, split, which)
    return target


def count_networks(zoo: Zoo, split: str, which: Which) -> int:
    """Networks of a split; rows, where all checkpoints are meant."""
    return len(zoo.networks(checkpoint=which.checkpoint, split=split, status=which.status))


def check_trainable(zoos: Sequence[SweepZoo]) -> None:
    """Whether all of them have a training split (DataError)."""
    for one in zoos:
        check_splits(one.zoo)


def _open(path: str) -> SweepZoo:
    try:
        zoo = open_zoo(path)
    except ZooError as error:
        raise ZooError(f"{error}{_beside(path)}") from error
    identity = identify(zoo)
    label = ZooLabel(
        hash=identity.hash,
        dataset=identity.dataset,
        family=identity.family,
        recipe=str(zoo.plan.recipe.get("name", "?")),
        seed=identity.seed,
    )
    return SweepZoo(ref=ZooRef(uri=zoo.store.uri, label=label), zoo=zoo)


def _beside(path: str) -> str:
    """Names of the zoos in the folder where this one was looked for, if it is not there."""
    folder = Path(path)
    if "://" in path or (folder / "plan.json").exists() or not folder.parent.is_dir():
        return ""
    names = sorted(plan.parent.name for plan in folder.parent.glob("*/plan.json"))
    return f"; zoos in {folder.parent}: {', '.join(names)}" if names else ""


def _check_values(one: SweepZoo, target: Target, split: str, which: Which) -> None:
    chosen = one.zoo.networks(checkpoint=which.checkpoint, split=split, status=which.status)
    table = chosen.table([target.column, "status"])
    values = table.column(target.column).to_pylist()
    missing = [
        status
        for value, status in zip(values, table.column("status").to_pylist(), strict=True)
        if value is None or value != value  # noqa: PLR0124
    ]
    if missing:
        counts = ", ".join(f"{n} {status}" for status, n in sorted(Counter(missing).items()))
        raise DataError(
            f"{one.ref.uri}: {len(missing)} of {len(values)} {split} networks have no "
            f"{target.column} ({counts}): choose another --target"
        )
    if split == "train":
        target.fitted(values, where=one.ref.uri)
    if split == "test" and not values:
        raise DataError(f"{one.ref.uri} has no test networks to measure on")
