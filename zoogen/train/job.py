"""What an engine is given and what it gives back; the interface that every engine shares.

A `Job` is the same for all members of a plan: the architecture, the data, the schedule. A member
brings its own configuration and random streams. An engine turns (job, members) into snapshots,
one for each member and checkpoint, in any order; `zoogen.shards` sorts them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float, Integer

from zoogen.description import Architecture
from zoogen.members import Member

Status: TypeAlias = Literal["ok", "diverged", "unfitted"]
Precision: TypeAlias = Literal["float32", "float64"]
Choices: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageData:
    """Prepared images of one data set: integers and the affine map that makes them inputs.

    A network sees `image * scale + shift`, channel by channel. Grey images are stored as the sum
    of their channels (uint16), so that the mean is exact and nothing is kept as float.
    """

    train_images: Integer[np.ndarray, "n h w c"]
    """uint8 or uint16, memory-mapped and shared by all workers of a machine."""
    train_labels: Integer[np.ndarray, " n"]
    test_images: Integer[np.ndarray, "t h w c"]
    test_labels: Integer[np.ndarray, " t"]
    scale: tuple[float, ...]
    """One factor for each channel."""
    shift: tuple[float, ...]
    """One summand for each channel."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageJob:
    """Classifiers on images: cross-entropy, mini-batches, checkpoints after whole epochs."""

    architecture: Architecture
    data: ImageData
    epochs: int
    batch_size: int
    """The batch is min(batch_size, the member's images); an incomplete last batch is dropped."""
    checkpoints: tuple[int, ...]
    """Epochs after which a snapshot is taken, ascending; 0 is the initialisation."""
    precision: Precision = "float32"
    """float64 is for tests of the engines."""
    warmup_share: float = 0.0
    """Share of the epochs in which the learning rate rises from a tenth of its value."""
    final_rate: float | None = None
    """Where a cosine leads the learning rate behind the warm-up; None: it is constant."""
    choices: Choices = field(default_factory=dict[str, tuple[str, ...]])
    """Text hyperparameters and every value that a member may have; an engine may lack some."""
    network_of: Callable[[Member], Architecture] | None = None
    """Each member's own architecture, of which `architecture` is an example; None: all share it."""

    def for_member(self, member: Member) -> "ImageJob":
        """The job of a member alone, whose architecture is its own."""
        if self.network_of is None:
            return self
        return replace(self, architecture=self.network_of(member), network_of=None)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SignalJob:
    """INRs fitted to one signal each: full batch, mean squared error, an epoch is one step.

    The input is the same for all members; `targets` gives each member's signal on it.
    """

    architecture: Architecture
    inputs: Float[np.ndarray, "points features"]
    targets: Callable[[Member], Float[np.ndarray, "points out"]]
    steps: int
    stop_mse: float
    """Training stops as soon as the loss before a step is at most this."""
    unfitted_mse: float
    """Above it a finished member has the status `unfitted`."""
    precision: Precision = "float32"
    choices: Choices = field(default_factory=dict[str, tuple[str, ...]])
    """See `ImageJob.choices`."""
    label: Callable[[Member], int] | None = None
    """The class of each member's image, where it is kept as a measure."""


Job: TypeAlias = ImageJob | SignalJob


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Snapshot:
    """One network at one checkpoint: what becomes a row of the zoo."""

    member: int
    epoch: int
    status: Status
    weights: Float[np.ndarray, " p"]
    """float32, in the order of the architecture's tensors."""
    metrics: Mapping[str, float | None]
    """Images: train_loss, test_loss, train_accuracy, test_accuracy. INRs: mse. None: unmeasured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Something to draw a bar from: member-epochs done since the last event."""

    member_epochs: int


Report: TypeAlias = Callable[[Progress], None]


@runtime_checkable
class Engine(Protocol):
    """One way to train many members. Implementations agree with `loop` up to rounding."""

    @property
    def name(self) -> str:
        """What `--engine` calls it; part of the numeric platform."""
        ...

    def refusal(self, job: Job) -> str | None:
        """Why this engine cannot take the job, in one clause; None if it can."""
        ...

    def train(
        self, job: Job, members: Sequence[Member], *, device: str, report: Report
    ) -> Iterator[Snapshot]:
        """Train the members of one group.

        A member whose loss or weights are not finite at the end of an epoch stops there: one last
        snapshot with status `diverged`, its last weights and metrics None; the others go on.

        Raises:
            MemberError: training a member raised; the message holds its index and configuration.
        """
        ...
