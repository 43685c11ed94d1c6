"""Jobs and members as a run would make them, for driving an engine without a run.

Images are scikit-learn's digits at 28 × 28, repeated to the number wanted: real, embedded, the same
everywhere. What an image shows makes no difference to the speed.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoogen.archs import arch_family
from zoogen.datasets import load_images
from zoogen.distributions import Value
from zoogen.members import Member, member_seed
from zoogen.recipe import ImagePrep
from zoogen.signals import sine_inputs, sine_target
from zoogen.train import load_engine
from zoogen.train.choose import choose
from zoogen.train.job import Engine, ImageData, ImageJob, Job, SignalJob, Snapshot

CLASSES = 10
SIDE = 28
SIDES: Mapping[str, int] = {"schuerholt_large": 32, "resnet": 16, "wildpark": 16}
"""Pixels of the images of those that do not take `SIDE`, or are not made with it."""
SEED = 2024


@functools.cache
def image_data(*, train: int, test: int = 500, side: int = SIDE) -> ImageData:
    """Digits, repeated or cut to so many training and test images."""
    digits = load_images("digits", ImagePrep(side=side), download=False).data
    a, b = np.arange(train) % len(digits.train_labels), np.arange(test) % len(digits.test_labels)
    return ImageData(
        train_images=np.ascontiguousarray(digits.train_images[a]),
        train_labels=np.ascontiguousarray(digits.train_labels[a]),
        test_images=np.ascontiguousarray(digits.test_images[b]),
        test_labels=np.ascontiguousarray(digits.test_labels[b]),
        scale=digits.scale,
        shift=digits.shift,
    )


def cnn_job(
    arch: str, *, batch: int, images: int, epochs: int, checkpoints: Sequence[int] = ()
) -> ImageJob:
    """Classifiers on digits. Without checkpoints nothing is evaluated: training alone."""
    side = SIDES.get(arch, SIDE)
    return ImageJob(
        architecture=arch_family(arch).describe(input_shape=(1, side, side), classes=CLASSES),
        data=image_data(train=images, side=side),
        epochs=epochs,
        batch_size=batch,
        checkpoints=tuple(checkpoints),
    )


def cnn_members(count: int, *, dropout: float) -> list[Member]:
    """ReLU networks with torch's default Adam and no L2 term, all images."""
    config: dict[str, Value] = {
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "epsilon": 1e-8,
        "l2reg": 0.0,
        "momentum": 0.0,
        "dropout": dropout,
        "w_init": "he_normal",
        "init_std": 0.1,
        "b_init": "zeros",
        "activation": "relu",
        "train_fraction": 1.0,
    }
    return [_member(i, config) for i in range(count)]


def siren_job(*, points: int, steps: int) -> SignalJob:
    """Sine waves; no early stop, so that everybody takes the same number of steps."""
    return SignalJob(
        architecture=arch_family("siren").describe(input_shape=(1,), classes=1),
        inputs=sine_inputs(points),
        targets=lambda member: sine_target(member.config, points),
        steps=steps,
        stop_mse=0.0,
        unfitted_mse=1e-2,
    )


def siren_members(count: int) -> list[Member]:
    """The published optimizer; frequencies spread over the recipe's range."""
    fixed: dict[str, Value] = {
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "epsilon": 1e-8,
        "weight_decay": 1e-4,
        "amplitude": 1.0,
    }
    frequencies = np.linspace(0.5, 10.0, count).tolist()
    return [_member(i, {**fixed, "frequency": f}) for i, f in enumerate(frequencies)]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Team:
    """An engine and the number of members it takes at once."""

    engine: Engine
    members: int
    device: str = "cpu"

    @property
    def name(self) -> str:
        """What `--engine` calls it, without its compiler."""
        return self.engine.name.split()[0]

    def train(self, job: Job, members: Sequence[Member]) -> list[Snapshot]:
        """All snapshots."""
        return list(
            self.engine.train(job, members, device=self.device, report=lambda progress: None)
        )


def chosen(job: Job) -> Team:
    """The engine that the rule gives a run on the CPU, and how many members it takes at once."""
    choice = choose(job, device="cpu", wanted=None)
    return Team(engine=load_engine(choice.engine), members=choice.group_size)


def _member(index: int, config: dict[str, Value]) -> Member:
    return Member(index=index, seed=member_seed(SEED, index), split="train", config=config)
