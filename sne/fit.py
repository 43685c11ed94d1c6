"""The training loop: steps, validation, the best weights, and a state to go on from.

It knows neither zoos nor models: a `Lesson` has a module, gives each step's gradient, validates.
Everything random in a step follows from (seed, epoch, step), which the lesson sees to; so a loop
that starts from a saved state has the same losses as one that was never interrupted.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn

from sne.errors import TrainingError
from sne.schedule import (
    OptimizerConfig,
    learning_rate,
    make_optimizer,
    set_learning_rate,
    warmed_share,
)
from sne.state import State

Row: TypeAlias = Mapping[str, float | int | None]
"""One epoch: epoch, the mean of each loss, val_loss, learning_rate, seconds."""


@runtime_checkable
class Lesson(Protocol):
    """What is trained."""

    @property
    def module(self) -> nn.Module:
        """Its parameters are trained, its state dict is kept."""
        ...

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        ...

    def backward(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Add one batch's gradient to the parameters'.

        Returns:
            The batch's losses, detached, by name; `loss` is the one that was minimised.
        """
        ...

    def validate(self) -> float | None:
        """Loss on the validation split; None where there is none."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What a loop reports after each step, and with `row` after each epoch."""

    epoch: int
    """Epochs done."""
    epochs: int
    step: int
    """Steps of the running epoch that are done."""
    steps: int
    row: Row | None = None
    best_epoch: int | None = None


Report: TypeAlias = Callable[[Progress], None]
Save: TypeAlias = Callable[[State], None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fitted:
    """A training that is done."""

    best: Mapping[str, Tensor]
    """State dict of the epoch with the lowest validation loss."""
    best_epoch: int
    curves: Sequence[Row]
    seconds: float
    """Spent in the loop, over all its restarts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saving:
    """When states are saved."""

    every_s: float
    """At the first step so long after the last state; the end of the training always."""
    save: Save
    each_epoch: bool = False
    """At the end of each epoch as well."""


@dataclass(kw_only=True, eq=False)
class _Course:
    """Where the loop stands."""

    best: dict[str, Tensor]
    curves: list[Row] = field(default_factory=list[Row])
    sums: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    best_epoch: int = 0
    best_loss: float = math.inf
    epoch: int = 0
    step: int = 0
    before_s: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return self.before_s + time.monotonic() - self.started


def fit(
    lesson: Lesson,
    config: OptimizerConfig,
    *,
    epochs: int,
    state: State | None,
    report: Report,
    saving: Saving,
) -> Fitted:
    """Train.

    Args:
        lesson: module, gradients, validation.
        config: optimizer and schedule.
        epochs: in all, those of `state` included.
        state: where an interrupted training of the same lesson stood.
        report: called after each step and each epoch.
        saving: when, and what is done with, states.

    Raises:
        TrainingError: the loss is not finite.
    """
    optimizer = make_optimizer(config, lesson.module.parameters())
    course = _begin(lesson, optimizer, state)
    saved = time.monotonic()
    while course.epoch < epochs:
        rate = learning_rate(config, epoch=course.epoch, epochs=epochs)
        lesson.module.train()
        while course.step < lesson.steps:
            done = course.epoch * lesson.steps + course.step
            set_learning_rate(optimizer, rate * warmed_share(config, step=done))
            _step(lesson, optimizer, course, clip_norm=config.clip_norm)
            report(_progress(lesson, course, epochs=epochs))
            if course.step < lesson.steps and time.monotonic() - saved >= saving.every_s:
                saving.save(_state(lesson, optimizer, course))
                saved = time.monotonic()
        _close_epoch(lesson, course, rate=rate)
        report(_progress(lesson, course, epochs=epochs, row=course.curves[-1]))
        due = saving.each_epoch or time.monotonic() - saved >= saving.every_s
        if due or course.epoch == epochs:
            saving.save(_state(lesson, optimizer, course))
            saved = time.monotonic()
    return Fitted(
        best=course.best,
        best_epoch=course.best_epoch,
        curves=course.curves,
        seconds=course.seconds,
    )


def _step(
    lesson: Lesson, optimizer: torch.optim.Optimizer, course: _Course, *, clip_norm: float | None
) -> None:
    optimizer.zero_grad(set_to_none=True)
    losses = lesson.backward(course.epoch, course.step)
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(lesson.module.parameters(), clip_norm)
    optimizer.step()
    # Summed on the device: reading a number after each step would wait for it.
    for name, loss in losses.items():
        course.sums[name] = course.sums.get(name, torch.zeros_like(loss)) + loss
    course.step += 1


def _close_epoch(lesson: Lesson, course: _Course, *, rate: float) -> None:
    means = {name: float(total) / course.step for name, total in course.sums.items()}
    if not math.isfinite(means["loss"]):
        raise TrainingError(
            f"the training loss is {means['loss']} in epoch {course.epoch + 1}: lower "
            "--learning-rate, or clip the gradient with --clip-norm 1"
        )
    lesson.module.eval()
    with torch.no_grad():
        validated = lesson.validate()
    course.epoch, course.step, course.sums = course.epoch + 1, 0, {}
    # Without a validation split the last epoch is the best there is.
    if validated is None or validated < course.best_loss:
        course.best_loss = math.inf if validated is None else validated
        course.best_epoch, course.best = course.epoch, _copied(lesson.module)
    course.curves.append(
        {
            "epoch": course.epoch,
            **{f"train_{name}": mean for name, mean in means.items()},
            "val_loss": validated,
            "learning_rate": rate,
            "seconds": course.seconds,
        }
    )


def _begin(lesson: Lesson, optimizer: torch.optim.Optimizer, state: State | None) -> _Course:
    if state is None:
        return _Course(best=_copied(lesson.module))
    lesson.module.load_state_dict(_under("model", state.tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _under("optimizer", state.tensors).items():
        number, _, name = key.partition(".")
        moments.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    device = next(lesson.module.parameters()).device
    record = state.record
    return _Course(
        best={k: t.to(device) for k, t in _under("best", state.tensors).items()},
        curves=list(record["curves"]),
        sums={k: t.to(device) for k, t in _under("sum", state.tensors).items()},
        best_epoch=record["best_epoch"],
        best_loss=math.inf if record["best_loss"] is None else record["best_loss"],
        epoch=state.epoch,
        step=state.step,
        before_s=record["seconds"],
    )


def _state(lesson: Lesson, optimizer: torch.optim.Optimizer, course: _Course) -> State:
    moments: Mapping[int, Mapping[str, Any]] = optimizer.state_dict()["state"]
    parts = {
        "model": lesson.module.state_dict(),
        "best": course.best,
        "sum": course.sums,
        "optimizer": {
            f"{number}.{name}": torch.as_tensor(value)
            for number, values in moments.items()
            for name, value in values.items()
        },
    }
    return State(
        epoch=course.epoch,
        step=course.step,
        tensors={f"{part}.{k}": t for part, values in parts.items() for k, t in values.items()},
        record={
            "curves": [dict(row) for row in course.curves],
            "best_epoch": course.best_epoch,
            "best_loss": None if math.isinf(course.best_loss) else course.best_loss,
            "seconds": course.seconds,
        },
    )


def _progress(lesson: Lesson, course: _Course, *, epochs: int, row: Row | None = None) -> Progress:
    return Progress(
        epoch=course.epoch,
        epochs=epochs,
        step=course.step,
        steps=lesson.steps,
        row=row,
        best_epoch=course.best_epoch or None,
    )


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _under(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{part}."
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
