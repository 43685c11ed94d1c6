"""What an ablation varies: named settings in named tables, one factor at a time or all together.

Tables 6 and 7 of Andreis et al. 2024 (arXiv:2305.16625) are two of them; λ and positions, which the
paper leaves open, are the others. The unchanged model is a row of every table, and one trial.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sne.config import TrainConfig

FULL = "full model"
Changes = Mapping[str, Any]
"""`settings.chunk`, `symmetry.invariance`, …: what differs from the unchanged model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One row of a table."""

    table: str
    row: str
    changes: Changes


CHUNKS: Mapping[str, Changes] = {str(c): {"settings.chunk": c} for c in (4, 8, 16, 32)}
"""Table 7."""
PENALTIES: Mapping[str, Changes] = {
    str(value): {"symmetry.invariance": value} for value in (0.0, 0.01, 0.1, 1.0)
}
POSITIONS: Mapping[str, Changes] = {
    "element and chunk": {"settings.element_positions": True, "settings.chunk_positions": True},
    "element": {"settings.element_positions": True, "settings.chunk_positions": False},
    "chunk": {"settings.element_positions": False, "settings.chunk_positions": True},
    "neither": {"settings.element_positions": False, "settings.chunk_positions": False},
}
COMPONENTS: Mapping[str, Changes] = {
    "without level encoder": {"settings.without": ("level_encoder",)},
    "without type encoder": {"settings.without": ("type_encoder",)},
    "without set functions": {"settings.without": ("set_functions",)},
    "without positional and hierarchical encoding": {
        "settings.without": ("positional_and_hierarchical",)
    },
    "without invariance loss": {"symmetry.invariance": 0.0},
    FULL: {},
}
"""Table 6."""
FACTORS: Mapping[str, Mapping[str, Changes]] = {
    "chunk size": CHUNKS,
    "λ": PENALTIES,
    "positions": POSITIONS,
    "components": COMPONENTS,
}
PAPER = ("components", "chunk size")
PRODUCT = ("chunk size", "λ", "positions")
"""Factors whose product is the grid; components would take away what the others vary."""


def one_at_a_time(factors: Sequence[str]) -> tuple[Setting, ...]:
    """Each factor's settings around the unchanged model."""
    return tuple(
        Setting(table=factor, row=row, changes=changes)
        for factor in factors
        for row, changes in FACTORS[factor].items()
    )


def product(factors: Sequence[str] = PRODUCT) -> tuple[Setting, ...]:
    """Every combination, in one table, with the unchanged model that they are compared with."""
    found = [Setting(table="grid", row=FULL, changes={})]
    for parts in itertools.product(*(FACTORS[factor].items() for factor in factors)):
        row = ", ".join(f"{f} {name}" for f, (name, _) in zip(factors, parts, strict=True))
        changes = {key: value for _, own in parts for key, value in own.items()}
        found.append(Setting(table="grid", row=row, changes=changes))
    return tuple(found)


def configure(config: TrainConfig, changes: Changes) -> TrainConfig:
    """The training with these changes."""
    for path, value in changes.items():
        group, _, name = path.partition(".")
        own = getattr(config, group)
        config = replace(config, **{group: replace(own, **{name: value})})
    return config
