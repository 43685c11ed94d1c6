"""What is predicted of a network: a column of its zoo, as a number or a category.

Accuracies are shares in [0, 1] and are learnt by cross-entropy on a sigmoid; other numbers by
squared error on values that the training split centres and scales; categories by cross-entropy
over the classes that the training split holds. A number that a recipe drew log-uniformly is
predicted, and judged, in log10.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from sne.errors import DataError
from sne.zoo import Column, Zoo

TargetKind: TypeAlias = Literal["share", "number", "category"]
SHARES = ("test_accuracy", "train_accuracy")
LABELS = ("label", "config.image_label")
"""Whole numbers that name a class."""
CONFIG_PREFIX = "config."
NO_TARGETS = ("member", "arch", "split", "status", "seed", "weights")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One column, and what was learnt about it from the training split."""

    column: str
    kind: TargetKind
    log10: bool = False
    """The column's values are predicted as their logarithms."""
    classes: tuple[str, ...] = ()
    """Of a category, in the order of the predicted numbers."""
    mean: float = 0.0
    scale: float = 1.0
    """A module predicts (value - mean) / scale of a number."""

    @property
    def outputs(self) -> int:
        """How many numbers a module predicts."""
        return len(self.classes) if self.kind == "category" else 1

    @property
    def label(self) -> str:
        """For axes and tables."""
        name = self.column.removeprefix(CONFIG_PREFIX)
        return f"log10 {name}" if self.log10 else name

    @property
    def axis(self) -> str:
        """The same for figures."""
        return self.label.replace("log10", "log₁₀").replace("_", " ")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "column": self.column,
            "kind": self.kind,
            "log10": self.log10,
            "classes": list(self.classes),
            "mean": self.mean,
            "scale": self.scale,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Target":
        """The inverse of `to_json`."""
        return cls(**{**value, "classes": tuple(value["classes"])})

    def values(self, column: Sequence[Any]) -> Float[np.ndarray, " n"]:
        """A column of the zoo as numbers to predict; of a category the class, -1 if unknown."""
        if self.kind == "category":
            index = {name: i for i, name in enumerate(self.classes)}
            return np.array([index.get(str(value), -1) for value in column], dtype=float)
        numbers = np.array(column, dtype=float)
        return np.log10(numbers) if self.log10 else numbers

    def fitted(self, column: Sequence[Any], *, where: str) -> "Target":
        """The target with its classes, or its centre and scale, learnt from training networks.

        Raises:
            DataError: one value only, or a logarithm of something that has none.
        """
        found = sorted({str(value) for value in column})
        if len(found) < 2:
            raise DataError(
                f"{where}: {self.column!r} has one value only ({', '.join(found) or 'none'}) among "
                f"the {len(column)} training networks, so there is nothing to learn: choose "
                "another --target"
            )
        if self.kind == "category":
            return replace(self, classes=tuple(found))
        if self.log10 and min(column) <= 0:
            raise DataError(f"{where}: {self.column!r} holds {min(column)}, which has no logarithm")
        if self.kind == "share":
            return self
        values = self.values(column)
        return replace(self, mean=float(values.mean()), scale=float(values.std()))


def choose_target(zoos: Sequence[Zoo], name: str | None) -> Target:
    """The column that `--target` means in all of these zoos.

    Args:
        zoos: at least one.
        name: a column, with or without `config.`; None: the test accuracy of classifiers, the
            frequency of waves.

    Raises:
        DataError: a zoo has no such column, or the column is nothing to predict.
    """
    found = [_column(zoo, name) for zoo in zoos]
    names = {column.name for column in found}
    if len(names) > 1:
        raise DataError(
            f"the zoos' own targets differ ({', '.join(sorted(names))}): name one with --target"
        )
    column = found[0].name
    kind = _kind(found[0])
    return Target(
        column=column,
        kind=kind,
        log10=kind == "number" and any(_log_uniform(zoo, column) for zoo in zoos),
    )


def default_target(zoo: Zoo) -> str:
    """What a zoo's networks differ in most.

    Raises:
        DataError: the zoo has no such column.
    """
    names = [column.name for column in zoo.columns]
    for name in ("test_accuracy", "frequency", "config.image_label"):
        if name in names:
            return name
    known = list_targets(zoo)
    raise DataError(f"{zoo.store.uri} has no usual target: choose one with --target: {known}")


def target_columns(zoo: Zoo) -> tuple[str, ...]:
    """All columns that can be predicted."""
    return tuple(column.name for column in zoo.columns if column.name not in NO_TARGETS)


def list_targets(zoo: Zoo) -> str:
    """The same in words, as `--target` takes them."""
    names = [name.removeprefix(CONFIG_PREFIX) for name in target_columns(zoo)]
    return ", ".join(dict.fromkeys(names))


def chance_level(zoo: Zoo, target: Target) -> float | None:
    """What a network that learnt nothing scores, where the target is an accuracy."""
    return zoo.plan.data.get("chance_accuracy") if target.kind == "share" else None


def unit_of(zoo: Zoo, target: Target) -> str:
    """For axes; empty where a number has none, or is a logarithm."""
    if target.kind == "share":
        return "share of images"
    units = {column.name: column.unit for column in zoo.columns}
    return "" if target.log10 else units.get(target.column, "").removeprefix("1")


def _column(zoo: Zoo, name: str | None) -> Column:
    name = default_target(zoo) if name is None else name
    columns = {column.name: column for column in zoo.columns}
    for known in (name, CONFIG_PREFIX + name):
        if known in columns and known not in NO_TARGETS:
            return columns[known]
    raise DataError(f"{zoo.store.uri} has no target {name!r}; there are: {list_targets(zoo)}")


def _kind(column: Column) -> TargetKind:
    if column.name in SHARES:
        return "share"
    text = str(column.type)
    return "category" if text in ("string", "bool") or column.name in LABELS else "number"


def _log_uniform(zoo: Zoo, column: str) -> bool:
    draws = zoo.plan.recipe.get("draws", {})
    return draws.get(column.removeprefix(CONFIG_PREFIX), {}).get("kind") == "log_uniform"
