"""Engine `native`: one member after another, each in one call of compiled code for each epoch.

Batching members would win nothing here: there is no Python and no memory traffic left between two
steps to share. So a member that diverges or stops early disturbs nobody by construction.
"""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from zoogen.members import Member
from zoogen.native_code.build import compiler, compiler_version
from zoogen.train import dropout
from zoogen.train.hyperparameters import Hyperparameters
from zoogen.train.init import initial_weights
from zoogen.train.job import ImageJob, Job, Progress, Report, SignalJob, Snapshot
from zoogen.train.native import library, packing, source
from zoogen.train.outcome import MEASURES, blame, checkpoint, diverged, fitted
from zoogen.train.schedule import ImageSchedule, epoch_order, image_schedule

TILE_BYTES = 160_000
"""Activations and slopes of one tile; more images in flight fall out of the first caches.

Measured: SIREN steps of 2,000 points are fastest at 8 groups (17 KB each), CNNs at one.
"""
NARROW_BATCH = 8
OPTIMIZERS: Mapping[str, int] = {"sgd": 0, "adam": 1, "rmsprop": 2}
"""Numbers of `enum Optimizer` in train.hpp."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NativeEngine:
    """See the module; implements `zoogen.train.job.Engine`."""

    @property
    def name(self) -> str:
        """With the compiler, which the bits depend on."""
        return "native" if compiler() is None else f"native {compiler_version()}"

    def refusal(self, job: Job) -> str | None:
        """Why this engine cannot take the job, in one clause; None if it can."""
        return next(_objections(job), None)

    def train(
        self, job: Job, members: Sequence[Member], *, device: str, report: Report
    ) -> Iterator[Snapshot]:
        """Train the members one after another; see `Engine.train`."""
        if device != "cpu":
            raise ValueError(f"engine native runs on the cpu, got device {device!r}")
        narrow = isinstance(job, ImageJob) and job.batch_size <= NARROW_BATCH
        loaded = library.load(job.architecture, precision=job.precision, narrow=narrow)
        if isinstance(job, SignalJob):
            fit = _SignalFit(job, loaded)
            for member in members:
                with blame([member]):
                    snapshot = fit(member)
                yield snapshot
                report(Progress(member_epochs=job.steps))
        else:
            training = _ImageTraining(job, loaded)
            for member in members:
                with blame([member]):
                    yield from training(member, report)


def _objections(job: Job) -> Iterator[str]:
    if compiler() is None:
        yield "there is no C++ compiler here"
    if isinstance(job, ImageJob):
        if len(job.data.scale) > 4:
            yield "it reads images of at most 4 channels"
        if job.network_of is not None:
            yield "it compiles one network for all members"
        if job.final_rate is not None:
            yield "it keeps learning rates constant"
    for what, known in (("activation", source.ACTIVATIONS), ("optimizer", OPTIMIZERS)):
        for name in job.choices.get(what, ()):
            if name not in known:
                yield f"it has no {what} {name!r}"
    if (reason := source.refusal(job.architecture)) is not None:
        yield reason


class _State:
    """One member's packed weights and moments, and the struct that points at them."""

    def __init__(self, job: Job, member: Member, order: np.ndarray) -> None:
        self.order = order
        dtype = np.float32 if job.precision == "float32" else np.float64
        start = initial_weights(job.architecture, member)
        self.weights = packing.pack(start, order, dtype)
        self.moments = np.zeros((2, start.size), dtype)
        h = Hyperparameters.of(member)
        key = member.dropout_key
        self.struct = library.MemberStruct(
            weights=self.weights.ctypes.data,
            first_moment=self.moments[0].ctypes.data,
            second_moment=self.moments[1].ctypes.data,
            learning_rate=h.learning_rate,
            l2=h.l2,
            weight_decay=h.weight_decay,
            beta1=h.beta1,
            beta2=h.beta2,
            epsilon=h.epsilon,
            optimizer=OPTIMIZERS[h.optimizer],
            activation=source.ACTIVATIONS[str(member.config.get("activation", "identity"))],
            key0=key[0],
            key1=key[1],
            dropout_threshold=dropout.threshold(h.dropout),
        )
        self.pointer = ctypes.byref(self.struct)

    def flat(self) -> Float[np.ndarray, " p"]:
        """The weights in torch's order."""
        return packing.unpack(self.weights, self.order)

    def finite(self) -> bool:
        """Whether every weight is a number."""
        return bool(np.isfinite(self.weights).all())


def _tile_groups(loaded: library.Library, count: int) -> int:
    """Groups of lanes that pass together: a power of two within `TILE_BYTES` and the batch."""
    vector = loaded.lanes * (4 if loaded.precision == "float32" else 8)
    most = min(TILE_BYTES // (2 * vector * loaded.units), -(-count // loaded.lanes))
    return 1 << (max(1, most).bit_length() - 1)


class _ImageTraining:
    """Classifiers: what all members of the job share."""

    def __init__(self, job: ImageJob, loaded: library.Library) -> None:
        self.job, self.loaded = job, loaded
        self.order = packing.packing_order(job.architecture)
        self.groups = _tile_groups(loaded, job.batch_size)
        self.space = loaded.workspace(self.groups)
        self.train = _Images(job, loaded, train=True)
        self.test = _Images(job, loaded, train=False)
        self.all_test = np.arange(len(job.data.test_labels), dtype=np.int64)

    def __call__(self, member: Member, report: Report) -> Iterator[Snapshot]:
        job = self.job
        state = _State(job, member, self.order)
        images = len(job.data.train_labels)
        plan = image_schedule(member, images=images, batch_size=job.batch_size)
        for epoch in range(job.epochs + 1):
            if epoch:
                loss = self._epoch(state, member, plan, epoch - 1)
                report(Progress(member_epochs=1))
                if not (np.isfinite(loss) and state.finite()):
                    yield diverged(member, epoch, state.flat(), measures=MEASURES)
                    return
            if epoch in job.checkpoints:
                yield checkpoint(member, epoch, state.flat(), self._measure(state, plan))

    def _epoch(self, state: _State, member: Member, plan: ImageSchedule, epoch: int) -> float:
        """One epoch of steps; the mean training loss."""
        order = np.ascontiguousarray(epoch_order(member, plan, epoch), dtype=np.int64)
        total = self.loaded.functions.zoo_train_images(
            self.train.pointer, state.pointer, order.ctypes.data, plan.steps, plan.batch,
            epoch * plan.steps, self.groups, self.space.ctypes.data,
        )  # fmt: skip
        return total / plan.steps

    def _measure(self, state: _State, plan: ImageSchedule) -> dict[str, float]:
        train_loss, train_accuracy = self._score(state, self.train, plan.measured)
        test_loss, test_accuracy = self._score(state, self.test, self.all_test)
        return {
            "train_loss": train_loss,
            "test_loss": test_loss,
            "train_accuracy": train_accuracy,
            "test_accuracy": test_accuracy,
        }

    def _score(self, state: _State, images: "_Images", index: np.ndarray) -> tuple[float, float]:
        index = np.ascontiguousarray(index, dtype=np.int64)
        loss, correct = ctypes.c_double(), ctypes.c_int64()
        self.loaded.functions.zoo_score_images(
            images.pointer, state.pointer, index.ctypes.data, len(index), self.groups,
            self.space.ctypes.data, ctypes.byref(loss), ctypes.byref(correct),
        )  # fmt: skip
        return loss.value / len(index), correct.value / len(index)


class _Images:
    """Pixels and labels of one split as the library wants them."""

    def __init__(self, job: ImageJob, loaded: library.Library, *, train: bool) -> None:
        data = job.data
        pixels = data.train_images if train else data.test_images
        self.pixels = np.ascontiguousarray(pixels)  # a memory map stays one
        labels = data.train_labels if train else data.test_labels
        self.labels = np.ascontiguousarray(labels, dtype=np.int32)
        channels = len(data.scale)
        self.struct = library.images_struct(loaded.precision)(
            pixels=self.pixels.ctypes.data,
            labels=self.labels.ctypes.data,
            wide=int(self.pixels.dtype == np.uint16),
        )
        self.struct.scale[:channels] = data.scale
        self.struct.shift[:channels] = data.shift
        self.pointer = ctypes.byref(self.struct)


class _SignalFit:
    """INRs: the inputs in lanes are shared, each member brings its targets."""

    def __init__(self, job: SignalJob, loaded: library.Library) -> None:
        self.job, self.loaded = job, loaded
        self.order = packing.packing_order(job.architecture)
        self.points = len(job.inputs)
        self.groups = _tile_groups(loaded, self.points)
        self.space = loaded.workspace(self.groups)
        self.inputs = self._in_lanes(job.inputs)

    def _in_lanes(self, values: np.ndarray) -> np.ndarray:
        """(points, features) → [group][feature][lane], the last group filled with zeros."""
        lanes = self.loaded.lanes
        groups = -(-self.points // lanes)
        padded = np.zeros((groups * lanes, values.shape[1]))
        padded[: self.points] = values
        dtype = np.float32 if self.loaded.precision == "float32" else np.float64
        out = library.aligned(padded.size, dtype)
        out[:] = padded.reshape(groups, lanes, -1).transpose(0, 2, 1).ravel()
        return out

    def __call__(self, member: Member) -> Snapshot:
        job = self.job
        state = _State(job, member, self.order)
        targets = self._in_lanes(job.targets(member))
        loss = ctypes.c_double()
        steps = self.loaded.functions.zoo_fit_signal(
            state.pointer, self.inputs.ctypes.data, targets.ctypes.data, self.points, job.steps,
            job.stop_mse, self.groups, self.space.ctypes.data, ctypes.byref(loss),
        )  # fmt: skip
        return fitted(job, member, steps=steps, weights=state.flat(), mse=loss.value)
