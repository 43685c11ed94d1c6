"""What a card holds, by its label, and how much of that a plan may use."""

from dataclasses import dataclass

import torch

from sne.errors import SettingError

GIB, MIB = 1 << 30, 1 << 20
UNITS = {"GIB": GIB, "GB": GIB, "MIB": MIB, "MB": MIB}
"""Cards are labelled in powers of two: "11GB" (an RTX 2080 Ti) holds 11 GiB."""
RESERVED_BYTES = round(0.8 * GIB)
"""CUDA's context, and what the allocator cannot use between its blocks."""
CONTEXT_BYTES = round(0.5 * GIB)
"""Of that the context alone, which each process on a card has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """Where a training is to fit."""

    label: str
    total_bytes: int

    @property
    def budget_bytes(self) -> int:
        """What tensors may take."""
        return max(0, self.total_bytes - RESERVED_BYTES)

    def __str__(self) -> str:
        total, kept = size_text(self.total_bytes), size_text(RESERVED_BYTES)
        return f"{self.label} has {size_text(self.budget_bytes)} to give ({total}, less {kept})"


def parse_card(label: str) -> Card:
    """A card by its size, such as 11GB or 24GiB.

    Raises:
        SettingError: that is no size.
    """
    text = label.strip().upper()
    unit = next((unit for unit in UNITS if text.endswith(unit)), None)
    try:
        number = float(text.removesuffix(unit or ""))
    except ValueError:
        number = 0.0
    if unit is None or not 0 < number < 1e6:
        raise SettingError(f"a card's size is a number and GB or MB, such as 11GB, got {label!r}")
    return Card(label=label, total_bytes=round(number * UNITS[unit]))


def card_of(device: torch.device) -> Card:
    """The card that a CUDA device is."""
    facts = torch.cuda.get_device_properties(device)
    return Card(label=facts.name, total_bytes=facts.total_memory)


def size_text(count: int) -> str:
    """Bytes for people."""
    return f"{count / GIB:.2f} GiB" if count >= GIB else f"{count / MIB:.1f} MiB"
