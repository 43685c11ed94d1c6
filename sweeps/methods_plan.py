"""How long each method trains, such that all take equally many seconds here: measured, then kept.

What a step costs differs a thousandfold between methods, so equal epochs would be no equal chance.
A method trains for a few seconds as it will later, validation and files included, on each zoo; its
epochs follow. They are kept beside the results: the same command again trains nothing for longer.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from sne.config import Machine, TrainConfig
from sne.errors import DataError, ModelError
from sne.files import read_json, write_json
from sne.fit import Progress
from sne.train import train
from sweeps.errors import PlanError, ResultsError

FILE = "epochs.json"
FORMAT_VERSION = 1
MEASURED_S, MEASURED_STEPS = 3.0, 3
"""A method is timed until both have passed, from the end of its first step on."""
WARMUP_SHARE = 0.1
"""Of all steps, at most: the published warm-ups are longer than some trainings here."""
ENDLESS = 10**9


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """What a results folder was planned with."""

    seconds: float
    """Of each training."""
    epochs: Mapping[str, int]
    """By method and zoo, as `name_of`."""


class _Enough(Exception):
    """Ends a training that was only to be timed."""


def name_of(model: str, zoo: str) -> str:
    """What the lengths of a method on a zoo, by its hash, are kept under."""
    return f"{model} on {zoo[:12]}"


def read_lengths(folder: Path, *, seconds: float) -> Lengths:
    """What was planned, or a new plan.

    Raises:
        PlanError: the folder was planned with other seconds.
        ResultsError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return Lengths(seconds=seconds, epochs={})
    try:
        value = read_json(path)
        known = value["format"], Lengths(seconds=value["seconds"], epochs=dict(value["epochs"]))
    except (DataError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is damaged ({error}): remove it to measure anew") from error
    version, lengths = known
    if version != FORMAT_VERSION:
        raise ResultsError(f"{path} is of another format: choose another --out")
    if lengths.seconds != seconds:
        raise PlanError(
            f"{folder} was planned with --seconds {lengths.seconds:g}, and {seconds:g} is asked "
            "for: plans are kept, so choose another --out"
        )
    return lengths


def write_lengths(folder: Path, lengths: Lengths) -> None:
    """Keep a plan; the folder must be held."""
    write_json(
        folder / FILE,
        {"format": FORMAT_VERSION, "seconds": lengths.seconds, "epochs": dict(lengths.epochs)},
    )


def epochs_in(seconds: float, epoch_s: float) -> int:
    """Epochs of so long that fit; at least one."""
    return max(1, int(seconds / epoch_s)) if epoch_s > 0 else 1


def lasting(config: TrainConfig, *, epochs: int, networks: int) -> TrainConfig:
    """A training of so many epochs, its warm-up short enough for them.

    Args:
        config: of any length.
        epochs: passes over the training networks.
        networks: that are trained on.
    """
    steps = epochs * ceil(networks / config.training.batch)
    warmup = min(config.optimizer.warmup, int(WARMUP_SHARE * steps))
    return replace(
        config,
        training=replace(config.training, epochs=epochs),
        optimizer=replace(config.optimizer, warmup=warmup),
    )


def measure_epoch(config: TrainConfig, machine: Machine) -> float:
    """Seconds of an epoch here, by a training that is broken off; 0 if nothing is trained in steps.

    Args:
        config: with its zoos.
        machine: as it will be trained.
    """
    watch = _Watch()
    with tempfile.TemporaryDirectory() as folder:
        try:
            endless = replace(config, training=replace(config.training, epochs=ENDLESS))
            train(endless, Path(folder) / "run", machine=machine, report=watch.look)
        except _Enough:
            return watch.epoch_s
        except ModelError:  # n/a, which takes no time
            return 0.0
    return 0.0


class _Watch:
    """Looks at a training's progress until it has seen enough."""

    def __init__(self) -> None:
        self.epoch_s = 0.0
        self._begun: float | None = None
        self._steps = 0
        self._rows: list[float] = []

    def look(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._begun is None:
            self._begun = now
            return
        if progress.row is None:
            self._steps += 1
        else:
            self._rows.append(now)
        if now - self._begun < MEASURED_S or self._steps < MEASURED_STEPS:
            return
        if len(self._rows) > 1:
            self.epoch_s = (self._rows[-1] - self._rows[0]) / (len(self._rows) - 1)
        else:
            self.epoch_s = (now - self._begun) / self._steps * progress.steps
        raise _Enough
