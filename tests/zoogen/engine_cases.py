"""Small jobs and members that every engine is tried on, and what it means that two agree."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from tests.zoogen.arch_cases import smallest
from zoogen.archs import ARCHS
from zoogen.description import Architecture
from zoogen.members import Member, Value, member_seed
from zoogen.signals import sine_inputs, sine_target
from zoogen.train.engines import load_engine
from zoogen.train.job import ImageData, ImageJob, Job, Precision, SignalJob, Snapshot

SIDES = {"arch2": (3, 28)}
"""Channels and side of the images; all others take the smallest, which train faster."""
CLASSIFIER: Mapping[str, Value] = {
    "optimizer": "adam",
    "learning_rate": 0.003,
    "l2reg": 1e-3,
    "dropout": 0.0,
    "w_init": "glorot_normal",
    "init_std": 0.1,
    "b_init": "zeros",
    "activation": "relu",
    "train_fraction": 1.0,
    "momentum": 0.0,
    "epsilon": 1e-7,
}
INR: Mapping[str, Value] = {
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "epsilon": 1e-8,
    "amplitude": 1.0,
    "frequency": 2.0,
}
ABSURD = 1e30
"""A learning rate at which sgd on ReLUs leaves the numbers of float32 at the second step."""
Rows = dict[tuple[int, int], Snapshot]


def classifier(index: int, **config: Value) -> Member:
    seed = member_seed(77, index)
    return Member(index=index, seed=seed, split="test", config={**CLASSIFIER, **config})


def inr(index: int, **config: Value) -> Member:
    return Member(index=index, seed=member_seed(78, index), split="test", config={**INR, **config})


@cache
def architecture(name: str) -> Architecture:
    if name not in SIDES:
        return smallest(name)
    channels, side = SIDES[name]
    return ARCHS[name].describe(input_shape=(channels, side, side), classes=10)


@cache
def image_data(name: str) -> ImageData:
    """Images that can be told apart by brightness in stripes, under noise."""
    train, test = 100, 40
    channels, side, _ = architecture(name).input_shape
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 10, train + test)
    images = rng.integers(0, 120, (train + test, side, side, channels))
    rows = (np.arange(side) % 10)[None, :] == labels[:, None]
    images = (images + 130 * rows[:, :, None, None]).astype(np.uint8)
    return ImageData(
        train_images=images[:train],
        train_labels=labels[:train],
        test_images=images[train:],
        test_labels=labels[train:],
        scale=(1 / 127.5,) * channels,
        shift=(-1.0,) * channels,
    )


def few_images(name: str) -> ImageData:
    """The first 24 training and 8 test images."""
    data = image_data(name)
    return replace(
        data,
        train_images=data.train_images[:24],
        train_labels=data.train_labels[:24],
        test_images=data.test_images[:8],
        test_labels=data.test_labels[:8],
    )


def image_job(
    name: str = "arch1",
    *,
    epochs: int = 3,
    batch_size: int = 100,
    checkpoints: tuple[int, ...] | None = None,
    precision: Precision = "float32",
    data: ImageData | None = None,
) -> ImageJob:
    """By default an epoch is one step and every epoch a checkpoint."""
    return ImageJob(
        architecture=architecture(name),
        data=data or image_data(name),
        epochs=epochs,
        batch_size=batch_size,
        checkpoints=tuple(range(epochs + 1)) if checkpoints is None else checkpoints,
        precision=precision,
    )


def signal_job(
    *, steps: int = 60, stop_mse: float = 0.02, unfitted_mse: float = 0.1,
    precision: Precision = "float32", points: int = 32,
) -> SignalJob:  # fmt: skip
    return SignalJob(
        architecture=ARCHS["siren"].describe(input_shape=(1,), classes=1),
        inputs=sine_inputs(points),
        targets=lambda member: sine_target(member.config, points),
        steps=steps,
        stop_mse=stop_mse,
        unfitted_mse=unfitted_mse,
        precision=precision,
    )


def train(engine: str, job: Job, members: Sequence[Member]) -> Rows:
    """By (member, epoch); two snapshots of one checkpoint are an error."""
    rows: Rows = {}
    for s in load_engine(engine).train(job, members, device="cpu", report=lambda progress: None):
        assert (s.member, s.epoch) not in rows
        rows[s.member, s.epoch] = s
    return rows


def disagreements(
    ours: Rows, theirs: Rows, *, weights: float, metrics: float
) -> list[tuple[int, int, str]]:
    """Where two engines differ by more than is allowed; empty when they agree.

    Args:
        ours: one engine's rows.
        theirs: the other's.
        weights: allowed difference, relative to the row's largest weight.
        metrics: allowed difference of every measure.
    """
    found = [(*key, "missing") for key in ours.keys() ^ theirs.keys()]
    for key in ours.keys() & theirs.keys():
        one, other = ours[key], theirs[key]
        if one.status != other.status or one.metrics.keys() != other.metrics.keys():
            found.append((*key, f"{one.status} and {other.status}"))
            continue
        if one.status == "diverged":
            continue
        distance = np.abs(one.weights - other.weights).max() / np.abs(one.weights).max()
        if not distance <= weights:
            found.append((*key, f"weights {distance:.1e}"))
        for name, value in one.metrics.items():
            if not _near(value, other.metrics[name], metrics):
                found.append((*key, f"{name} {value} and {other.metrics[name]}"))
    return sorted(found)


def _near(one: float | None, other: float | None, allowed: float) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= allowed * max(1.0, abs(one))
