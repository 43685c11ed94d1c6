"""One trial at the edge of a sweep: done, stopped early, or failed with its reason kept.

A trial that fails is no reason for the others not to be done; its error and traceback lie under
`failures/` until it succeeds.
"""

import math
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from sne.config import Machine
from sne.errors import SneError
from sne.files import read_json, write_json
from sne.fit import Progress
from sne.state import FOLDER, RECORD
from sne.zoo import ZooError
from sweeps.errors import SweepError
from sweeps.mirror import Mirror
from sweeps.perform import complete_trial, run_folder
from sweeps.portion import Portion
from sweeps.results import read_curves
from sweeps.trial import Trial
from zoogen.exhausted import out_of_memory

FAILURES = "failures"
EXPECTED = (SneError, ZooError, SweepError)
"""Errors whose sentence says all there is to say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What every trial of a sweep shares."""

    folder: Path
    """The sweep's, absolute."""
    machine: Machine
    command: str
    """As it was typed, for the record."""
    mirror: Mirror | None = None
    """Where results go as well, for machines that share no folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """How far a trial is: after each step, each epoch, and once at its end."""

    trial: str
    """Hash."""
    epoch: int
    """Epochs done."""
    epochs: int
    share: float
    """Part of the training that is done, 0 to 1."""
    loss: float | None = None
    """Lowest validation loss so far; None before the first epoch."""
    closes: bool = False
    """An epoch is over."""
    ended: bool = False
    stopped: bool = False
    """It ended early, as it fell behind."""
    failure: str | None = None
    """Why there is no result."""

    @property
    def given_up(self) -> "Told":
        """The same, stopped here."""
        return replace(self, share=1.0, closes=False, ended=True, stopped=True)


Tell: TypeAlias = Callable[[Told], None]


class Stopped(Exception):
    """Raised by whom a trial is told to, to end it early."""


def attempt(trial: Trial, job: Job, tell: Tell, *, portion: Portion | None = None) -> None:
    """Do what a trial lacks; what goes wrong is told and kept, not raised.

    Epochs that an interrupted training has behind it are told again, so that whoever compares
    trials by epoch sees all of them.

    Args:
        trial: what to do.
        job: what all trials share.
        tell: called after each step.
        portion: of a GPU, which this process then keeps to; None: it has the device to itself.

    Raises:
        Stopped: by `tell`.
    """
    epochs, watch = trial.config.training.epochs, _Watch(trial, tell)
    record = _record(job.folder, trial)
    try:
        if portion is not None:
            portion.claim(job.machine.device)
        for row in _behind(job.folder, trial):
            watch.close(row)
        if job.mirror is not None:
            job.mirror.pull(job.folder, trial.hash)
        complete_trial(
            trial, job.folder, machine=job.machine, command=job.command, report=watch.report
        )
        if job.mirror is not None:
            job.mirror.push(job.folder, trial.hash)
    except Stopped:
        raise
    except Exception as error:
        text = _sentence(error)
        write_json(
            record, {"trial": str(trial), "error": text, "traceback": traceback.format_exc()}
        )
        tell(Told(trial=trial.hash, epoch=0, epochs=epochs, share=1.0, ended=True, failure=text))
        return
    record.unlink(missing_ok=True)
    loss = best_loss(job.folder, trial)
    tell(Told(trial=trial.hash, epoch=epochs, epochs=epochs, share=1.0, loss=loss, ended=True))


def _sentence(error: Exception) -> str:
    if isinstance(error, EXPECTED):
        return str(error)
    if out_of_memory(error):
        return "no memory left: use fewer --workers, or a smaller --card with --fit"
    return f"{type(error).__name__}: {error}"


def failure_of(folder: Path, trial: Trial) -> str | None:
    """Why a trial failed when it was last tried; None if it did not."""
    record = _record(folder, trial)
    return read_json(record)["error"] if record.exists() else None


def failure_records(folder: Path) -> dict[str, Mapping[str, Any]]:
    """By hash `error` and `traceback` of every trial in a folder that failed when last tried."""
    return {path.stem: read_json(path) for path in (folder / FAILURES).glob("*.json")}


def note_death(folder: Path, trial: Trial, error: str) -> None:
    """Keep why a trial has no result, where its own process could not."""
    write_json(_record(folder, trial), {"trial": str(trial), "error": error, "traceback": ""})


def best_loss(folder: Path, trial: Trial) -> float | None:
    """The lowest validation loss of a trial that is done; None for one without losses."""
    curves = read_curves(folder, trial.hash)
    if curves is None:
        return None
    return min((v for v in curves.column("val_loss").to_pylist() if v is not None), default=None)


class _Watch:
    """Turns a training's progress into what is told."""

    def __init__(self, trial: Trial, tell: Tell) -> None:
        self._trial, self._tell = trial, tell
        self._epochs, self._best = trial.config.training.epochs, math.inf

    def report(self, progress: Progress) -> None:
        """See `sne.fit.Report`."""
        if progress.row is not None:
            self.close(progress.row)
            return
        done = progress.epoch + progress.step / progress.steps
        self._say(progress.epoch, share=done / self._epochs)

    def close(self, row: Mapping[str, Any]) -> None:
        """An epoch is over."""
        if row["val_loss"] is not None:
            self._best = min(self._best, row["val_loss"])
        self._say(row["epoch"], share=row["epoch"] / self._epochs, closes=True)

    def _say(self, epoch: int, *, share: float, closes: bool = False) -> None:
        loss = None if math.isinf(self._best) else self._best
        told = Told(
            trial=self._trial.hash,
            epoch=epoch,
            epochs=self._epochs,
            share=share,
            loss=loss,
            closes=closes,
        )
        self._tell(told)


def _behind(folder: Path, trial: Trial) -> Iterator[Mapping[str, Any]]:
    """Epochs of a training that was interrupted."""
    state = run_folder(folder, trial) / FOLDER / RECORD
    if state.exists():
        yield from read_json(state)["record"]["curves"]


def _record(folder: Path, trial: Trial) -> Path:
    return folder / FAILURES / f"{trial.hash}.json"
