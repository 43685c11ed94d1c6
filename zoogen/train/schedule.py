"""Which images a member sees in which order: pure functions that all engines share; no torch.

The training subset is fixed for a member. Each epoch is a fresh permutation of it, cut into
batches of min(batch_size, subset); an incomplete last batch is dropped, so training accuracy is
measured on whole batches only, as the Small CNN Zoo's script does.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from zoogen.members import Member
from zoogen.train.job import ImageJob

WARMUP_START = 0.1
"""The first epoch's learning rate in a warm-up, as a share of the full one."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSchedule:
    """One member's images and batches."""

    subset: Int64[np.ndarray, " k"]
    """Indices of the training images that the member may see; their order is random but fixed."""
    batch: int
    """Images in a batch."""

    @property
    def steps(self) -> int:
        """Batches in an epoch, at least one."""
        return len(self.subset) // self.batch

    @property
    def measured(self) -> Int64[np.ndarray, " measured"]:
        """The images that training loss and accuracy are measured on."""
        return self.subset[: self.steps * self.batch]


def subset(member: Member, images: int) -> Int64[np.ndarray, " k"]:
    """The member's share of the training images: int(images · train_fraction), at least one."""
    fraction = float(member.config.get("train_fraction", 1.0))
    return member.stream("subset").permutation(images)[: max(1, int(images * fraction))]


def image_schedule(member: Member, *, images: int, batch_size: int) -> ImageSchedule:
    """The member's schedule.

    Args:
        member: whose `train_fraction` and streams count.
        images: training images in the data set.
        batch_size: the recipe's; a member with fewer images has a batch of all of them.
    """
    chosen = subset(member, images)
    return ImageSchedule(subset=chosen, batch=min(batch_size, len(chosen)))


def epoch_order(
    member: Member, schedule: ImageSchedule, epoch: int
) -> Int64[np.ndarray, "steps batch"]:
    """The image indices of one epoch, a batch in each row.

    Args:
        member: whose stream is used.
        schedule: the member's.
        epoch: whole epochs done before this one: 0 for the first.
    """
    order = member.stream("order", epoch).permutation(schedule.subset)
    return order[: schedule.steps * schedule.batch].reshape(schedule.steps, schedule.batch)


def learning_rate(job: ImageJob, rate: float, epoch: int) -> float:
    """The learning rate of one epoch; it changes between epochs only.

    Args:
        job: whose warm-up and final rate count.
        rate: the member's, the highest of the schedule.
        epoch: whole epochs done before this one.

    Source: the published small vision transformer of s-chh (linear warm-up, then a cosine).
    """
    if job.final_rate is None:
        return rate
    warm = round(job.warmup_share * job.epochs)
    if epoch < warm:
        return rate * (WARMUP_START + (1 - WARMUP_START) * epoch / warm)
    final = min(job.final_rate, rate)
    done = (epoch - warm) / max(1, job.epochs - warm)
    return final + (rate - final) * (1 + math.cos(math.pi * done)) / 2


def kind(member: Member) -> tuple[float, ...]:
    """What must be equal in a group that trains in step: the train fraction, so steps in an epoch.

    Optimizer, activation and rates differ in arithmetic only, and a group merges them. INRs are
    all of one kind.
    """
    fraction = member.config.get("train_fraction")
    return () if fraction is None else (float(fraction),)
