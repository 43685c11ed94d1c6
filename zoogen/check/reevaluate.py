"""A random sample of networks, evaluated anew from their weights on the real data.

Networks are plain torch modules built from the stored description, so nothing of the engines that
trained them is used. Rounding differs between engines and machines; the tolerances allow for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import nn

from zoogen.archs.modules import to_module
from zoogen.check.faults import Fault
from zoogen.description import Architecture
from zoogen.members import Member
from zoogen.plan import Plan
from zoogen.platforms import cpu_name
from zoogen.schema import WEIGHTS
from zoogen.train.job import ImageData, ImageJob, Job, SignalJob
from zoogen.train.schedule import image_schedule

IMAGES_APART = 2
"""So many images may be classified otherwise than when the network was stored."""
CLOSE_CALL = 1e-5
"""Two largest logits closer than this share of the largest: rounding decides; not counted."""
LOSS_TOLERANCE = 1e-4
"""Relative, on the zoo's own kind of CPU; elsewhere ten times as much."""
MSE_TOLERANCE = 1e-3
SMALLEST_LOSS = 1e-2
"""Smaller losses are compared as if they were so large: they are differences of larger numbers."""
BATCH = 500


@dataclass(kw_only=True, slots=True)
class Agreement:
    """How far stored and new numbers were apart, over all that was evaluated."""

    networks: int = 0
    rows: int = 0
    images: int = 0
    """Largest difference of an accuracy, in images."""
    relative: float = 0.0
    """Largest relative difference of a loss or MSE."""
    faults: list[Fault] = field(default_factory=list[Fault])


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What one evaluation gives."""

    loss: float
    correct: int
    images: int
    close: int
    """Images whose class rounding decides."""


class Evaluation:
    """Compares rows of one plan's shards with what their weights do on the plan's data."""

    def __init__(self, plan: Plan, job: Job, architectures: Mapping[str, Architecture]) -> None:
        self._plan, self._job, self._architectures = plan, job, architectures
        same = plan.platform.device == cpu_name()
        self._tolerance = LOSS_TOLERANCE if same else 10 * LOSS_TOLERANCE
        self.agreement = Agreement()

    def compare(self, path: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Evaluate one network at some checkpoints.

        Args:
            path: the shard, for the faults.
            rows: of one member, with all columns; `weights` as a numpy array.
        """
        member = next(iter(self._plan.draw([rows[0]["member"]])))
        self.agreement.networks += 1
        for row in rows:
            self.agreement.rows += 1
            module = to_module(self._architectures[row["arch"]], row[WEIGHTS], member.config)
            module.to(memory_format=torch.channels_last)  # that of the images; twice as fast
            with torch.inference_mode():
                self.agreement.faults += list(self._row_faults(path, row, member, module))

    def _row_faults(
        self, path: str, row: Mapping[str, Any], member: Member, module: nn.Module
    ) -> Iterator[Fault]:
        place = _Place(path=path, member=member.index, epoch=row["epoch"])
        if isinstance(self._job, SignalJob):
            found = signal_mse(module, self._job, member)
            yield from self._loss(place, "mse", row["mse"], found, MSE_TOLERANCE)
            if self._job.label is not None and row["label"] != self._job.label(member):
                wanted = str(self._job.label(member))
                yield place.fault("label", wanted=wanted, got=str(row["label"]))
            return
        for split in ("train", "test"):
            score = image_score(module, self._job, member, split)
            name = f"{split}_loss"
            yield from self._loss(place, name, row[name], score.loss, self._tolerance)
            if np.isfinite(score.loss):
                name = f"{split}_accuracy"
                yield from self._accuracy(place, name, row[name], score)

    def _loss(
        self, place: "_Place", name: str, stored: float | None, found: float, tolerance: float
    ) -> Iterator[Fault]:
        if stored is None or not np.isfinite(found):
            if stored is not None or np.isfinite(found):
                yield place.fault(name, wanted=f"{found:.9g}", got=_text(stored))
            return
        scale = max(abs(found), SMALLEST_LOSS if name != "mse" else 0.0)
        apart = abs(stored - found) / scale if scale else abs(stored)
        self.agreement.relative = max(self.agreement.relative, apart)
        if apart > tolerance:
            wanted = f"{found:.9g} (within {tolerance:g} of it)"
            yield place.fault(name, wanted=wanted, got=_text(stored))

    def _accuracy(
        self, place: "_Place", name: str, stored: float | None, score: Score
    ) -> Iterator[Fault]:
        if stored is None:
            yield place.fault(name, wanted=f"{score.correct / score.images:.9g}", got=_text(stored))
            return
        apart = round(abs(stored * score.images - score.correct))
        self.agreement.images = max(self.agreement.images, apart)
        allowed = IMAGES_APART + score.close
        if apart > allowed:
            exact = f"{score.correct} of {score.images} images"
            wanted = f"{score.correct / score.images:.9g} ({exact}, within {allowed})"
            yield place.fault(name, wanted=wanted, got=_text(stored))


def signal_mse(module: nn.Module, job: SignalJob, member: Member) -> float:
    """Mean squared error of an INR on its signal."""
    output = module(torch.tensor(job.inputs)).numpy().astype(np.float64)
    return float(np.mean((output - job.targets(member)) ** 2))


def image_score(module: nn.Module, job: ImageJob, member: Member, split: str) -> Score:
    """Cross-entropy and correct answers on the test images or the member's training images."""
    data = job.data
    if split == "test":
        images, labels = data.test_images, data.test_labels
        chosen = np.arange(len(labels))
    else:
        images, labels = data.train_images, data.train_labels
        plan = image_schedule(member, images=len(labels), batch_size=job.batch_size)
        # In the order in which they are stored, which is faster to read.
        chosen = np.sort(plan.measured)
    loss, correct, close = 0.0, 0, 0
    for at in range(0, len(chosen), BATCH):
        rows = chosen[at : at + BATCH]
        logits = module(_inputs(images[rows], data)).numpy().astype(np.float64)
        part = _score(logits, labels[rows])
        loss, correct, close = loss + part.loss, correct + part.correct, close + part.close
    return Score(loss=loss / len(chosen), correct=correct, images=len(chosen), close=close)


def _inputs(images: Integer[np.ndarray, "n h w c"], data: ImageData) -> torch.Tensor:
    scale, shift = (np.asarray(v, dtype=np.float32) for v in (data.scale, data.shift))
    return torch.tensor(images.astype(np.float32) * scale + shift).permute(0, 3, 1, 2)


def _score(logits: Float[np.ndarray, "n k"], labels: Integer[np.ndarray, " n"]) -> Score:
    """The sum of the cross-entropies, and counts."""
    top = logits.max(axis=1, keepdims=True)
    normaliser = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    second = np.sort(logits, axis=1)[:, -2]
    own = logits[np.arange(len(labels)), labels]
    margin = CLOSE_CALL * np.abs(logits).max(axis=1)
    return Score(
        loss=float(np.sum(normaliser - own)),
        correct=int(np.sum(logits.argmax(axis=1) == labels)),
        images=len(labels),
        close=int(np.sum(top[:, 0] - second <= margin)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    path: str
    member: int
    epoch: int

    def fault(self, column: str, *, wanted: str, got: str) -> Fault:
        return Fault(
            path=self.path,
            problem=f"column {column}, evaluated anew from the weights",
            wanted=wanted,
            got=got,
            members=(self.member,),
            epoch=self.epoch,
        )


def _text(stored: float | None) -> str:
    return "null" if stored is None else f"{stored:.9g}"
