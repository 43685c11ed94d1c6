"""What becomes of a member, said the same way by every engine: snapshots and blame."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float, Float32

from zoogen.errors import MemberError
from zoogen.members import Member
from zoogen.train.job import SignalJob, Snapshot

MEASURES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
"""Of a classifier at a checkpoint."""


def checkpoint(
    member: Member, epoch: int, weights: Float[np.ndarray, " p"], metrics: Mapping[str, float]
) -> Snapshot:
    """A classifier in good order; a measure that overflowed counts as unmeasured."""
    kept = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    return Snapshot(
        member=member.index, epoch=epoch, status="ok", weights=_stored(weights), metrics=kept
    )


def diverged(
    member: Member, epoch: int, weights: Float[np.ndarray, " p"], *, measures: Sequence[str]
) -> Snapshot:
    """A member's last state, whose loss or weights are not finite."""
    return Snapshot(
        member=member.index,
        epoch=epoch,
        status="diverged",
        weights=_stored(weights),
        metrics=dict.fromkeys(measures),
    )


def fitted(
    job: SignalJob, member: Member, *, steps: int, weights: Float[np.ndarray, " p"], mse: float
) -> Snapshot:
    """An INR after its last step; `mse` is that of the weights given."""
    if not (math.isfinite(mse) and np.isfinite(weights).all()):
        return diverged(member, steps, weights, measures=("mse",))
    label = {} if job.label is None else {"label": job.label(member)}
    return Snapshot(
        member=member.index,
        epoch=steps,
        status="unfitted" if mse > job.unfitted_mse else "ok",
        weights=_stored(weights),
        metrics={"mse": mse, **label},
    )


@contextmanager
def blame(members: Sequence[Member]) -> Iterator[None]:
    """Give an error raised in training the name of its member, or of all that trained together.

    Raises:
        MemberError: in place of what Python or torch raised.
    """
    try:
        yield
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        who = ", ".join(str(m.index) for m in members)
        configs = f" ({dict(members[0].config)})" if len(members) == 1 else ""
        noun = "member" if len(members) == 1 else "one of the members"
        raise MemberError(f"{noun} {who}{configs}: {type(error).__name__}: {error}") from error


def _stored(weights: np.ndarray) -> Float32[np.ndarray, " p"]:
    with np.errstate(over="ignore"):  # a float64 test engine may hold what float32 cannot
        return np.array(weights, dtype=np.float32)
