"""Engine `loop`: one network at a time, autograd and torch.optim. The reference for all others.

It trains whatever `zoogen.forward` can compute. Fast where that costs nothing: channels-last
memory, fused optimizers, the indices of a whole epoch at once, masks that are computed, not drawn.

The order of things, which every engine keeps. Images: a checkpoint is taken after whole epochs;
at the end of an epoch the member has diverged if a weight or the epoch's mean training loss is not
finite. Signals: before each step the loss is looked at: not finite, the member has diverged; at
most `stop_mse`, it is done; both without the step. The last weights are measured once more.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoogen.description import Architecture
from zoogen.forward import Dropout, plan_forward
from zoogen.members import Member
from zoogen.operations import OPERATIONS, Statistics
from zoogen.train.evaluate import score
from zoogen.train.hyperparameters import Hyperparameters
from zoogen.train.init import initial_weights
from zoogen.train.inputs import DTYPES, DeviceImages, device_images
from zoogen.train.job import ImageJob, Job, Progress, Report, SignalJob, Snapshot
from zoogen.train.optimizers import l2_gradient, torch_optimizer
from zoogen.train.outcome import MEASURES, blame, checkpoint, diverged, fitted
from zoogen.train.schedule import ImageSchedule, epoch_order, image_schedule, learning_rate
from zoogen.train.torch_dropout import keys_tensor, levels_tensor, masks


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopEngine:
    """See the module; implements `zoogen.train.job.Engine`."""

    name: str = "loop"

    def refusal(self, job: Job) -> str | None:
        """Why this engine cannot take the job, in one clause; None if it can."""
        return forward_refusal(job.architecture)

    def train(
        self, job: Job, members: Sequence[Member], *, device: str, report: Report
    ) -> Iterator[Snapshot]:
        """Train the members one after another; see `Engine.train`."""
        if isinstance(job, SignalJob):
            for member in members:
                with blame([member]):
                    snapshot = _fit_signal(job, member, device)
                yield snapshot
                report(Progress(member_epochs=job.steps))
            return
        train, test = (
            device_images(job.data, train=part, precision=job.precision, device=device)
            for part in (True, False)
        )
        for member in members:
            with blame([member]):
                yield from _ImageTraining(job, member, train, test).run(report)


def forward_refusal(architecture: Architecture) -> str | None:
    """Why `zoogen.forward` cannot compute this architecture; None if it can."""
    unknown = [n.op for n in architecture.nodes if n.op not in OPERATIONS]
    return f"it cannot compute {unknown[0]} from the description" if unknown else None


class _Network:
    """One member's weights as leaves of the graph, and its optimizer."""

    def __init__(self, job: Job, member: Member, device: str) -> None:
        self.architecture = job.architecture
        self.h = Hyperparameters.of(member)
        self.forward = plan_forward(job.architecture, member.config)
        flat = torch.from_numpy(initial_weights(job.architecture, member))
        flat = flat.to(device, DTYPES[job.precision])
        views = {
            t: flat[t.offset : t.offset + t.size].view(t.shape) for t in job.architecture.tensors
        }
        leaves = {t.name: _leaf(view) for t, view in views.items() if t.role != "buffer"}
        self.parameters = {t.name: leaves.get(t.name, view) for t, view in views.items()}
        self._kernels = [
            self.parameters[t.name] for t in job.architecture.tensors if t.role == "weight"
        ]
        self._optimizer = torch_optimizer(self.h, list(leaves.values()))
        self._norms = len(leaves) < len(self.parameters)

    def train(self, x: Tensor, dropout: Dropout | None) -> Tensor:
        """Outputs in training: batch norms go by the batch, and their statistics are kept."""
        statistics: Statistics | None = {} if self._norms else None
        logits = self.forward(self.parameters, x, dropout, statistics)
        self.parameters.update(statistics or {})
        return logits

    def set_rate(self, rate: float) -> None:
        """The learning rate from now on."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def step(self, loss: Tensor) -> None:
        """One step down the gradient of the loss, L2 and weight decay added."""
        self._optimizer.zero_grad()
        loss.backward()
        l2_gradient(self._kernels, self.h.l2)
        self._optimizer.step()

    def weights(self) -> np.ndarray:
        """The flat vector."""
        return torch.cat([p.detach().reshape(-1) for p in self.parameters.values()]).cpu().numpy()


def _leaf(values: Tensor) -> Tensor:
    layout = torch.channels_last if values.dim() == 4 else torch.contiguous_format
    return values.clone(memory_format=layout).requires_grad_()


class _ImageTraining:
    """One classifier from its first weights to its last checkpoint."""

    def __init__(
        self, job: ImageJob, member: Member, train: DeviceImages, test: DeviceImages
    ) -> None:
        job = job.for_member(member)
        self.job, self.member, self.train, self.test = job, member, train, test
        self.device = str(train.labels.device)
        self.network = _Network(job, member, self.device)
        self.schedule: ImageSchedule = image_schedule(
            member, images=len(train.labels), batch_size=job.batch_size
        )
        self.keys = keys_tensor([member.dropout_key], device=self.device)
        self.levels = levels_tensor([self.network.h.dropout], device=self.device)

    def run(self, report: Report) -> Iterator[Snapshot]:
        """Train; yields the checkpoints."""
        for epoch in range(self.job.epochs + 1):
            if epoch:
                loss, weights = self._epoch(epoch - 1), self.network.weights()
                if not (math.isfinite(loss) and np.isfinite(weights).all()):
                    report(Progress(member_epochs=self.job.epochs - epoch + 1))
                    yield diverged(self.member, epoch, weights, measures=MEASURES)
                    return
                report(Progress(member_epochs=1))
            if epoch in self.job.checkpoints:
                yield checkpoint(self.member, epoch, self.network.weights(), self._measure())

    def _epoch(self, epoch: int) -> float:
        """All steps of one epoch; the mean training loss."""
        order = torch.from_numpy(epoch_order(self.member, self.schedule, epoch)).to(self.device)
        labels = self.train.labels[order]
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        network, first = self.network, epoch * self.schedule.steps
        network.set_rate(learning_rate(self.job, network.h.learning_rate, epoch))
        for step in range(self.schedule.steps):
            x = self.train.inputs(order[step])
            logits = network.train(x, self._dropout(first + step))
            loss = F.cross_entropy(logits, labels[step])
            network.step(loss)
            total += loss.detach()
        return float(total) / self.schedule.steps

    def _dropout(self, step: int) -> Dropout | None:
        if not self.network.h.dropout:
            return None

        def drop(site: int, x: Tensor) -> Tensor:
            shape = tuple(x.shape)
            one = masks(self.keys, self.levels, step=step, site=site, shape=shape, dtype=x.dtype)
            return x * one[0]

        return drop

    def _measure(self) -> dict[str, float]:
        def predict(x: Tensor) -> Tensor:
            return self.network.forward(self.network.parameters, x)

        seen = torch.from_numpy(self.schedule.measured).to(self.device)
        every = torch.arange(len(self.test.labels), device=self.device)
        train_loss, train_accuracy = score(predict, self.train, seen)
        test_loss, test_accuracy = score(predict, self.test, every)
        values = (train_loss, test_loss, train_accuracy, test_accuracy)
        return dict(zip(MEASURES, map(float, values), strict=True))


def _fit_signal(job: SignalJob, member: Member, device: str) -> Snapshot:
    network = _Network(job, member, device)
    dtype = DTYPES[job.precision]
    x = torch.tensor(job.inputs, dtype=dtype, device=device)
    y = torch.tensor(job.targets(member), dtype=dtype, device=device)
    steps = 0
    while steps < job.steps:
        loss = F.mse_loss(network.forward(network.parameters, x), y)
        if not math.isfinite(loss.item()) or loss.item() <= job.stop_mse:
            break
        network.step(loss)
        steps += 1
    with torch.no_grad():
        mse = F.mse_loss(network.forward(network.parameters, x), y).item()
    return fitted(job, member, steps=steps, weights=network.weights(), mse=mse)
