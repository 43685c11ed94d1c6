"""A trial's part of a GPU, which its own process keeps to.

Ray books fractions of a GPU and limits nothing: a process that takes more than its share takes it
from the others on the card, whose trials then fail. So each sets its limit itself, before it
allocates.
"""

from dataclasses import dataclass

import torch

from sne.cards import CONTEXT_BYTES, size_text
from sweeps.errors import PlanError


@dataclass(frozen=True, kw_only=True, slots=True)
class Portion:
    """What one trial may have of a card."""

    share: float
    """Of the card, as Ray books it; 1: it has a card to itself, and no limit."""
    card_bytes: int
    """Of the card that memory was planned for; the one that is there may be larger."""

    def claim(self, device: str) -> None:
        """Limit what this process allocates on a device; call it before anything is allocated.

        Args:
            device: of the trial; nothing happens on a CPU.

        Raises:
            PlanError: the part is too small to begin with.
        """
        on = torch.device(device)
        if on.type != "cuda":
            return
        index = torch.cuda.current_device() if on.index is None else on.index
        total = torch.cuda.get_device_properties(index).total_memory
        fraction = memory_fraction(self, device_bytes=total)
        torch.cuda.set_per_process_memory_fraction(fraction, index)


def memory_fraction(portion: Portion, *, device_bytes: int) -> float:
    """The part of a device's memory that the tensors of a trial may take.

    Shares are of the smaller of the card that was planned for and the one that is there: a trial
    keeps to its plan on a larger card, and all that share a smaller one have room. The context of
    each process lies outside of what PyTorch counts, so that is taken off.

    Args:
        portion: of the trial.
        device_bytes: of the device that is there.

    Raises:
        PlanError: nothing is left beside the context.
    """
    if portion.share >= 1:  # a process that is used again may have had a limit
        return 1.0
    granted = portion.share * min(portion.card_bytes, device_bytes)
    if granted <= CONTEXT_BYTES:
        raise PlanError(
            f"{portion.share:.2%} of a card of {size_text(min(portion.card_bytes, device_bytes))} "
            f"does not even hold CUDA's context ({size_text(CONTEXT_BYTES)}): use fewer --workers"
        )
    return (granted - CONTEXT_BYTES) / device_bytes
