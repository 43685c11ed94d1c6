"""Engine `vmap`: all members of a group at once on one device, by torch.func and a merged update.

For CUDA, and for CPUs without a C++ compiler. Nothing is read back from the device inside a step:
images are checked at the end of an epoch, INRs every `LOOK` steps, while the device itself keeps
count of the step at which each INR stopped. Members that are done leave the stack, so that they
cost nothing; what remains is the same numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoogen.errors import PlanError
from zoogen.members import Member
from zoogen.train.evaluate import score
from zoogen.train.inputs import DTYPES, device_images
from zoogen.train.job import ImageJob, Job, Progress, Report, SignalJob, Snapshot
from zoogen.train.loop import forward_refusal
from zoogen.train.outcome import MEASURES, blame, checkpoint, diverged, fitted
from zoogen.train.schedule import epoch_order, image_schedule, kind, learning_rate
from zoogen.train.stack import Stack

LOOK = 25
"""INR steps between two looks at which members are done."""
LEAVE = 0.25
"""The stack is made smaller when at least this share of its members is done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VmapEngine:
    """See the module; implements `zoogen.train.job.Engine`."""

    name: str = "vmap"

    def refusal(self, job: Job) -> str | None:
        """Why this engine cannot take the job, in one clause; None if it can."""
        return forward_refusal(job.architecture)

    def train(
        self, job: Job, members: Sequence[Member], *, device: str, report: Report
    ) -> Iterator[Snapshot]:
        """Train the members together; see `Engine.train`.

        Raises:
            PlanError: the members are not of one kind (`zoogen.train.schedule.kind`).
        """
        kinds = sorted({kind(m) for m in members})
        if len(kinds) > 1:
            raise PlanError(f"engine vmap trains members of one kind together, got {kinds}")
        if isinstance(job, SignalJob):
            with blame(members):
                yield from _SignalGroup(job, members, device).run(report)
            return
        for own, alike in _by_architecture(job, members):
            with blame(alike):
                yield from _ImageGroup(own, alike, device).run(report)


def _by_architecture(
    job: ImageJob, members: Sequence[Member]
) -> Iterator[tuple[ImageJob, Sequence[Member]]]:
    """Members that can be stacked; where each has its own architecture, mostly one at a time."""
    if job.network_of is None:
        yield job, members
        return
    alike: dict[str, tuple[ImageJob, list[Member]]] = {}
    for member in members:
        own = job.for_member(member)
        alike.setdefault(own.architecture.content_id, (own, []))[1].append(member)
    yield from alike.values()


class _ImageGroup:
    """Classifiers from their first weights to their last checkpoint."""

    def __init__(self, job: ImageJob, members: Sequence[Member], device: str) -> None:
        self.job, self.device = job, device
        self.train, self.test = (
            device_images(job.data, train=part, precision=job.precision, device=device)
            for part in (True, False)
        )
        self.stack = Stack(job, members, device)
        self.schedules = [
            image_schedule(m, images=len(self.train.labels), batch_size=job.batch_size)
            for m in self.stack.members
        ]

    def run(self, report: Report) -> Iterator[Snapshot]:
        """Train; yields the checkpoints."""
        for epoch in range(self.job.epochs + 1):
            if epoch:
                losses = self._epoch(epoch - 1)
                report(Progress(member_epochs=len(self.stack.members)))
                yield from self._drop_diverged(losses, epoch, report)
            if not self.stack.members:
                return
            if epoch in self.job.checkpoints:
                yield from self._checkpoint(epoch)

    def _epoch(self, epoch: int) -> Tensor:
        """All steps of one epoch; the members' mean training losses."""
        pairs = zip(self.stack.members, self.schedules, strict=True)
        orders = np.stack([epoch_order(m, s, epoch) for m, s in pairs], axis=1)
        steps, members, batch = orders.shape
        index = torch.from_numpy(orders).to(self.device)
        labels = self.train.labels[index]
        totals = torch.zeros(members, dtype=torch.float64, device=self.device)
        self.stack.set_rates([learning_rate(self.job, r, epoch) for r in self.stack.rates])
        for step in range(steps):
            x = self.train.inputs(index[step])
            dropped = self.stack.masks_of_step(epoch * steps + step, batch)
            logits = self.stack.logits(x, shared=False, dropped=dropped, training=True)
            each = F.cross_entropy(logits.flatten(0, 1), labels[step].flatten(), reduction="none")
            losses = each.view(members, batch).mean(1)
            self.stack.step(losses)
            totals += losses.detach()
        return totals / steps

    def _drop_diverged(self, losses: Tensor, epoch: int, report: Report) -> Iterator[Snapshot]:
        stack = self.stack
        finite = (losses.isfinite() & stack.weights.isfinite().all(1)).tolist()
        if all(finite):
            return
        weights = stack.weights.cpu().numpy()
        gone = [row for row, fine in enumerate(finite) if not fine]
        lost = [diverged(stack.members[r], epoch, weights[r], measures=MEASURES) for r in gone]
        kept = [row for row, fine in enumerate(finite) if fine]
        stack.keep(kept)
        self.schedules = [self.schedules[row] for row in kept]
        report(Progress(member_epochs=len(gone) * (self.job.epochs - epoch)))
        yield from lost

    def _checkpoint(self, epoch: int) -> Iterator[Snapshot]:
        weights = self.stack.weights.cpu().numpy()
        for row, metrics in enumerate(self._measure()):
            yield checkpoint(self.stack.members[row], epoch, weights[row], metrics)

    def _measure(self) -> list[dict[str, float]]:
        count = len(self.stack.members)
        measured = np.stack([s.measured for s in self.schedules])
        seen = torch.from_numpy(measured).to(self.device)
        every = torch.arange(len(self.test.labels), device=self.device)
        train_loss, train_accuracy = score(
            lambda x: self.stack.logits(x, shared=False), self.train, seen, networks=count
        )
        test_loss, test_accuracy = score(
            lambda x: self.stack.logits(x, shared=True), self.test, every, networks=count
        )
        values = torch.stack([train_loss, test_loss, train_accuracy, test_accuracy], dim=1)
        return [dict(zip(MEASURES, row, strict=True)) for row in values.tolist()]


class _SignalGroup:
    """INRs from their first weights until each is done."""

    def __init__(self, job: SignalJob, members: Sequence[Member], device: str) -> None:
        self.job, self.device = job, device
        dtype = DTYPES[job.precision]
        self.stack = Stack(job, members, device)
        self.x = torch.tensor(job.inputs, dtype=dtype, device=device)
        targets = np.stack([job.targets(m) for m in self.stack.members])
        self.y = torch.from_numpy(targets).to(device, dtype)
        self.active = torch.ones(len(members), dtype=torch.bool, device=device)
        self.taken = torch.zeros(len(members), dtype=torch.int64, device=device)

    def run(self, report: Report) -> Iterator[Snapshot]:
        """Train; yields each member when it leaves."""
        for step in range(1, self.job.steps + 1):
            losses = self._losses()
            going_on = losses.isfinite() & (losses.double() > self.job.stop_mse)
            self.active = self.active & going_on.detach()
            self.stack.step(losses, active=self.active)
            self.taken = self.taken + self.active
            if step % LOOK == 0:
                report(Progress(member_epochs=LOOK * len(self.stack.members)))
                yield from self._let_go(step, report)
            if not self.stack.members:
                return
        report(Progress(member_epochs=self.job.steps % LOOK * len(self.stack.members)))
        yield from self._results(range(len(self.stack.members)))

    def _losses(self) -> Tensor:
        outputs = self.stack.logits(self.x, shared=True)
        return (outputs - self.y).square().flatten(1).mean(1)

    def _let_go(self, step: int, report: Report) -> Iterator[Snapshot]:
        """Members that are done leave, as soon as they are enough to be worth a copy."""
        active = self.active.tolist()
        done = [row for row, on in enumerate(active) if not on]
        if len(done) < LEAVE * len(active):
            return
        results = list(self._results(done))
        kept = [row for row, on in enumerate(active) if on]
        self.stack.keep(kept)
        index = torch.tensor(kept, dtype=torch.int64, device=self.device)
        self.y, self.active, self.taken = self.y[index], self.active[index], self.taken[index]
        report(Progress(member_epochs=len(done) * (self.job.steps - step)))
        yield from results

    @torch.no_grad()
    def _results(self, rows: Sequence[int]) -> Iterator[Snapshot]:
        mses, taken = self._losses().tolist(), self.taken.tolist()
        weights = self.stack.weights.cpu().numpy()
        for row in rows:
            yield fitted(
                self.job,
                self.stack.members[row],
                steps=taken[row],
                weights=weights[row],
                mse=mses[row],
            )
