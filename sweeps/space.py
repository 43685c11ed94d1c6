"""What a search varies: chunk size, invariance penalty, positions, step size, width.

`suggest` asks an Optuna trial for settings by name, `apply` makes a training of them. Both are
pure; what is asked for depends on what was answered: a penalty's size only where there is one.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sne.config import TrainConfig
from sweeps.errors import PlanError

POSITIONS = ("element_positions", "chunk_positions", "kernel_positions", "role_encoding")
"""Switches of `sne.settings.SneConfig`."""


class Asking(Protocol):
    """What is wanted of an Optuna trial."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number."""
        ...

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of some values."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Ranges of a search over SNE's settings."""

    chunk: tuple[int, int] = (4, 64)
    """Chunk size, log-uniform (Table 7 has 4 to 32)."""
    invariance: tuple[float, float] = (1e-3, 10.0)
    """λ, log-uniform; half of the trials have none."""
    learning_rate: tuple[float, float] = (1e-4, 3e-3)
    """Step size, log-uniform."""
    widths: tuple[int, ...] = (32, 64, 128)
    """Hidden size of all blocks, one of these."""
    positions: tuple[str, ...] = POSITIONS
    """Encodings that are switched on and off."""

    def __post_init__(self) -> None:
        for name in ("chunk", "invariance", "learning_rate"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                flag = name.replace("_", "-")
                raise PlanError(f"--{flag} is LOW HIGH, both above 0, got {low} {high}")
        if unknown := sorted(set(self.positions) - set(POSITIONS)):
            raise PlanError(f"no encoding {unknown[0]!r}; there are: {', '.join(POSITIONS)}")
        if not self.widths:
            raise PlanError("--widths needs at least one width")

    def suggest(self, trial: Asking) -> dict[str, Any]:
        """Settings by name."""
        found: dict[str, Any] = {"chunk": trial.suggest_int("chunk", *self.chunk, log=True)}
        found["penalty"] = trial.suggest_categorical("penalty", (True, False))
        if found["penalty"]:
            found["invariance"] = trial.suggest_float("invariance", *self.invariance, log=True)
        for name in self.positions:
            found[name] = trial.suggest_categorical(name, (True, False))
        rate = trial.suggest_float("learning_rate", *self.learning_rate, log=True)
        return {
            **found,
            "learning_rate": rate,
            "width": trial.suggest_categorical("width", self.widths),
        }

    def corners(self) -> Iterator[dict[str, Any]]:
        """Settings that need the most memory: every width with the smallest and largest chunks."""
        switches = dict.fromkeys(self.positions, True)
        for chunk, width in itertools.product(sorted(set(self.chunk)), self.widths):
            yield {
                "chunk": chunk,
                "width": width,
                "penalty": True,
                "invariance": self.invariance[1],
                "learning_rate": self.learning_rate[0],
                **switches,
            }


def apply(config: TrainConfig, found: Mapping[str, Any]) -> TrainConfig:
    """A training with these settings; what is not among them stays."""
    names = ("chunk", "width", *POSITIONS)
    settings = replace(config.settings, **{name: found[name] for name in names if name in found})
    symmetry = replace(config.symmetry, invariance=found.get("invariance", 0.0))
    optimizer = replace(config.optimizer, learning_rate=found["learning_rate"])
    return replace(config, settings=settings, symmetry=symmetry, optimizer=optimizer)
