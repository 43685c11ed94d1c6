"""How long trials will take here, from a few steps of each kind, measured."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from sne.config import TrainConfig
from sne.errors import ModelError
from sne.lesson import make_lesson
from sne.material import Material, make_module, read_material
from sne.model import FittedModel
from sweeps.trial import Trial

STEPS = 2
"""Timed after one to warm up."""
FITTED_S = 5.0
"""Nominal, for models without steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How long one trial's training takes here, in seconds of one process."""

    epoch_s: float = 0.0
    """Validation included."""
    fixed_s: float = 0.0
    """Of models that are fitted at once."""


def estimate_seconds(trials: Sequence[Trial], *, device: str) -> dict[str, float]:
    """Seconds of one process for each trial, by hash; trials that differ by seed are timed once."""
    paces = measure_paces(trials, device=device)
    return {
        trial.hash: pace.fixed_s + pace.epoch_s * trial.config.training.epochs
        for trial in trials
        for pace in (paces[trial.hash],)
    }


def measure_paces(trials: Sequence[Trial], *, device: str) -> dict[str, Pace]:
    """The pace of each trial, by hash; trials that differ by seed or epochs are timed once."""
    materials: dict[tuple[str, ...], Material] = {}
    known: dict[TrainConfig, Pace] = {}
    found: dict[str, Pace] = {}
    for trial in trials:
        config, kind = trial.config, trial.epoch
        if kind not in known:
            if config.data.zoo not in materials:
                materials[config.data.zoo] = read_material(config, device=torch.device(device))
            known[kind] = measure_pace(kind, materials[config.data.zoo], device=device)
        found[trial.hash] = known[kind]
    return found


def measure_pace(config: TrainConfig, material: Material, *, device: str) -> Pace:
    """From a few steps."""
    try:
        module = make_module(config, material).to(device)
    except ModelError:  # n/a, which takes no time
        return Pace()
    if isinstance(module, FittedModel):
        return Pace(fixed_s=FITTED_S)
    lesson = make_lesson(module, config, material)
    lesson.backward(0, 0)
    _wait(device)
    begun = time.monotonic()
    for step in range(STEPS):
        lesson.backward(0, min(step + 1, lesson.steps - 1))
    _wait(device)
    each = (time.monotonic() - begun) / STEPS
    # A forward pass is about a third of a step.
    train, val = (len(material.pools[split]) for split in ("train", "val"))
    return Pace(epoch_s=each * lesson.steps * (1 + val / (3 * train)))


def wall_seconds(seconds: Mapping[str, float], *, workers: int) -> float:
    """Of all together: never shorter than the longest."""
    if not seconds:
        return 0.0
    return max(sum(seconds.values()) / workers, max(seconds.values()))


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
