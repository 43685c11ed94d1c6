"""The masks of `zoogen.train.dropout` for many members at once, on any torch device.

The 32-bit words are held in int32, whose products and sums wrap as unsigned ones do; only right
shifts need the sign bits masked away. Two units come from each word by reinterpreting its memory
as two int16, which assumes a little-endian machine, as all that torch supports on are.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from zoogen.train.dropout import (
    LEVELS,
    MIX_1,
    MIX_2,
    PAIR_STRIDE,
    SITE_STRIDE,
    SLOT_STRIDE,
    threshold,
)


def _signed(word: int) -> int:
    """The int32 that has the same bits as this word modulo 2³²."""
    return ((word & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def keys_tensor(keys: Sequence[tuple[int, int]], *, device: str) -> Int32[Tensor, "m 2"]:
    """The members' `dropout_key`s as one tensor."""
    return torch.tensor([[_signed(k) for k in key] for key in keys], dtype=torch.int32).to(device)


def levels_tensor(rates: Sequence[float], *, device: str) -> Int32[Tensor, " m"]:
    """The members' thresholds as one tensor."""
    return torch.tensor([threshold(r) for r in rates], dtype=torch.int32).to(device)


def masks(
    keys: Int32[Tensor, "m 2"],
    levels: Int32[Tensor, " m"],
    *,
    step: int,
    site: int,
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "m b ..."]:
    """What to multiply one site's activations by: 0 or the member's scale.

    Args:
        keys: from `keys_tensor`.
        levels: from `levels_tensor`.
        step: training step, from 0 over the whole training; the same for all members.
        site: dropout site, from 0 in node order.
        shape: of one member's activation: (batch, channels, height, width), (batch, tokens,
            channels) or (batch, features).
        dtype: of the result.

    Returns:
        Shape (m, *shape); a map's memory is channels-last, as the definition numbers units.
    """
    slots, units = shape[0], _product(shape[1:])
    rows = _rows(keys, step=step, site=site, slots=slots)
    pairs = torch.arange((units + 1) // 2, dtype=torch.int32, device=keys.device)
    words = _mix(rows[:, :, None] + pairs * _signed(PAIR_STRIDE))
    # Flipping each half's top bit turns the unsigned comparison into a signed one.
    halves = words.bitwise_xor_(_signed(0x80008000)).view(torch.int16)[:, :, :units]
    kept = halves >= (levels - LEVELS // 2).to(torch.int16)[:, None, None]
    scales = LEVELS / (LEVELS - levels.to(torch.float64))
    return _channels_first(kept.to(dtype).mul_(scales.to(dtype)[:, None, None]), shape)


def _rows(keys: Tensor, *, step: int, site: int, slots: int) -> Tensor:
    """One word for each member and slot."""
    start = _mix(keys[:, :1] + _signed(step))
    offsets = torch.arange(slots, dtype=torch.int32, device=keys.device) * _signed(SLOT_STRIDE)
    return _mix(start ^ (keys[:, 1:] + _signed(site * SITE_STRIDE) + offsets))


def _mix(x: Tensor) -> Tensor:
    """lowbias32; the first operation copies, so the argument stays as it is."""
    x = x ^ ((x >> 16) & 0xFFFF)
    x.mul_(_signed(MIX_1))
    x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF))
    x.mul_(_signed(MIX_2))
    return x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))


def _channels_first(flat: Tensor, shape: tuple[int, ...]) -> Tensor:
    if len(shape) != 4:
        return flat.view(flat.shape[0], *shape)
    slots, channels, height, width = shape
    maps = flat.view(flat.shape[0], slots, height, width, channels)
    return maps.permute(0, 1, 4, 2, 3)


def _product(sizes: tuple[int, ...]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
