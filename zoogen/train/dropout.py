"""Dropout masks as a pure function of (member, step, site, slot, unit), the same in every engine.

A mask is never drawn from a generator with a state, so it does not matter which engine asks for
it, in which order, or how many members train side by side. This module is the definition, in
numpy; `zoogen.train.torch_dropout` says the same on any torch device and the compiled engine in
C++. All arithmetic is modulo 2³²:

    row(t, d, b) = mix( mix(k0 + t) ^ (k1 + d·0x9E3779B9 + b·0x85EBCA6B) )
    h(u)         = mix( row + (u // 2)·0x9E3779B9 )
    r16(u)       = low 16 bits of h for even u, high 16 bits for odd u
    keep(u)      = r16(u) >= threshold,  threshold = min(65535, round(65536·p))

with (k0, k1) the member's `dropout_key`, t the training step counted from 0 over the whole
training, d the dropout site counted from 0 in node order, b the slot in the batch and u the unit
in channels-last order: (y·W + x)·C + c on a map, c on a vector. Kept values are multiplied by
65536 / (65536 − threshold), so the expectation is exactly that of the identity.

Sixteen bits resolve p to 1.5e-5 and give two units for each hash. `mix` is the "lowbias32" integer
hash (Wellons, "Prospecting for Hash Functions", 2018; avalanche bias 0.17).
"""

import numpy as np
from jaxtyping import Bool, UInt32

LEVELS = 1 << 16
"""A threshold is a number of 65536ths."""
MIX_1 = 0x7FEB352D
MIX_2 = 0x846CA68B
SITE_STRIDE = 0x9E3779B9
SLOT_STRIDE = 0x85EBCA6B
PAIR_STRIDE = 0x9E3779B9
_WORD = 0xFFFFFFFF


def threshold(rate: float) -> int:
    """The rate p as 65536ths; every engine is handed this integer, so none rounds by itself.

    Raises:
        ValueError: the rate is not in [0, 1).
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"a dropout rate lies in [0, 1), got {rate}")
    return min(LEVELS - 1, int(rate * LEVELS + 0.5))


def scale(level: int) -> float:
    """What kept values are multiplied by; 1 at threshold 0, where nothing is dropped."""
    return LEVELS / (LEVELS - level)


def mix(x: UInt32[np.ndarray, "..."]) -> UInt32[np.ndarray, "..."]:
    """lowbias32: a bijection of 32-bit words with well mixed bits."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(MIX_1)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(MIX_2)
    return x ^ (x >> np.uint32(16))


def keep(
    key: tuple[int, int], *, step: int, site: int, slots: int, units: int, level: int
) -> Bool[np.ndarray, "slots units"]:
    """Which units of one activation stay, one row for each slot of the batch.

    Args:
        key: the member's `dropout_key`.
        step: training step, from 0 over the whole training.
        site: dropout site, from 0 in node order.
        slots: images in the batch.
        units: size of one image's activation, in channels-last order.
        level: what `threshold` made of the rate.
    """
    start = mix(np.array([(key[0] + step) & _WORD], dtype=np.uint32))
    place = np.uint32((key[1] + site * SITE_STRIDE) & _WORD)
    rows = mix(start ^ (place + np.arange(slots, dtype=np.uint32) * np.uint32(SLOT_STRIDE)))
    pairs = np.arange((units + 1) // 2, dtype=np.uint32) * np.uint32(PAIR_STRIDE)
    words = mix(rows[:, None] + pairs[None, :])
    halves = words.astype("<u4", copy=False).view("<u2")
    return halves[:, :units] >= level
