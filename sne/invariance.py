"""How much a model's prediction moves when neurons are reordered, measured (App. E.3).

Beside the figure for permutations that leave the network's function as it is stands the same for
one that does not (one axis alone): a model that is blind to order has 0 in both, and a constant
model has neither.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sne.errors import SettingError
from sne.losses import invariance_error
from sne.model import Batch
from sne.pool import Pool
from sne.predict import BATCH, device_of, infer
from sne.symmetry import has_symmetry, move_batch

COPIES = 5
"""Permutations for each network (App. E.3)."""
NETWORKS = 128
"""Measured on at most so many (of all checkpoints, so many rows), the first ones of a pool."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Invariance:
    """E‖f(x) − f(g·x)‖² / Var f(x) over networks and permutations."""

    functional: float | None
    control: float | None
    """The same where g permutes one axis alone, which changes the network's function."""
    copies: int
    n: int
    """Networks."""
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def measure_invariance(
    module: nn.Module, pool: Pool, *, seed: int = 0, flip_signs: bool = False, at_once: int = BATCH
) -> Invariance:
    """Measure on the first networks of a pool; float32, whatever the model was trained in.

    Args:
        at_once: networks, or moved copies, that are computed together.
    """
    rows = np.arange(min(len(pool), NETWORKS))
    batch, n = pool.batch(rows), pool.count_networks(rows.size)
    if not all(has_symmetry(group.architecture) for group in batch):
        return _nothing(n, "an architecture here declares no symmetry")
    plain = _predictions(module, batch, at_once)
    errors: list[float | None] = []
    for functional in (True, False):
        generator = torch.Generator(device=device_of(module)).manual_seed(seed)
        try:
            moved = move_batch(
                batch,
                generator=generator,
                copies=COPIES,
                flip_signs=flip_signs and functional,
                functional=functional,
            )
        except SettingError:
            errors.append(None)
            continue
        error = invariance_error(plain, _predictions(module, moved, at_once))
        errors.append(None if math.isnan(error) else error)
    reason = "the prediction is constant" if errors[0] is None else None
    return Invariance(functional=errors[0], control=errors[1], copies=COPIES, n=n, reason=reason)


def _predictions(module: nn.Module, batch: Batch, at_once: int) -> Tensor:
    """Group by group, a bounded number at a time."""
    return torch.cat(
        [
            infer(module, [group.rows(slice(first, first + at_once))]).prediction
            for group in batch
            for first in range(0, len(group.weights), at_once)
        ]
    )


def _nothing(n: int, reason: str) -> Invariance:
    return Invariance(functional=None, control=None, copies=COPIES, n=n, reason=reason)
