"""Masks: numpy and torch against a scalar reading of the definition, and their statistics."""

import math

import numpy as np
import pytest
import torch

from zoogen.members import Member
from zoogen.train.dropout import keep, mix, scale, threshold
from zoogen.train.torch_dropout import keys_tensor, levels_tensor, masks

WORD = 0xFFFFFFFF
KEYS = [(0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x12345678, 0x9ABCDEF0), (3_000_000_000, 7)]


def lowbias32(x: int) -> int:
    x ^= x >> 16
    x = (x * 0x7FEB352D) & WORD
    x ^= x >> 15
    x = (x * 0x846CA68B) & WORD
    return x ^ (x >> 16)


def kept_by_definition(key: tuple[int, int], t: int, d: int, b: int, u: int, level: int) -> bool:
    place = (key[1] + d * 0x9E3779B9 + b * 0x85EBCA6B) & WORD
    row = lowbias32(lowbias32((key[0] + t) & WORD) ^ place)
    h = lowbias32((row + (u // 2) * 0x9E3779B9) & WORD)
    r16 = h & 0xFFFF if u % 2 == 0 else h >> 16
    return r16 >= level


def reference(key: tuple[int, int], t: int, d: int, slots: int, units: int, level: int):
    return np.array(
        [[kept_by_definition(key, t, d, b, u, level) for u in range(units)] for b in range(slots)]
    )


def test_golden_values_for_engines_in_other_languages() -> None:
    assert [lowbias32(x) for x in (0, 1, WORD)] == mix(
        np.array([0, 1, WORD], dtype=np.uint32)
    ).tolist()
    row = keep((0x12345678, 0x9ABCDEF0), step=5, site=2, slots=1, units=24, level=threshold(0.35))
    assert "".join("01"[int(k)] for k in row[0]) == GOLDEN_ROW


GOLDEN_ROW = "111101100010111110011110"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("step", "site", "units"), [(0, 0, 7), (123_456, 2, 16), (2**31, 1, 1)])
def test_numpy_equals_the_definition(key: tuple[int, int], step: int, site: int, units: int):
    level = threshold(0.4)
    ours = keep(key, step=step, site=site, slots=5, units=units, level=level)
    assert np.array_equal(ours, reference(key, step, site, 5, units, level))


def test_another_key_step_site_or_slot_gives_another_mask() -> None:
    level = threshold(0.5)
    base = keep(KEYS[2], step=3, site=1, slots=2, units=256, level=level)
    others = [
        keep(KEYS[3], step=3, site=1, slots=2, units=256, level=level),
        keep(KEYS[2], step=4, site=1, slots=2, units=256, level=level),
        keep(KEYS[2], step=3, site=2, slots=2, units=256, level=level),
        base[::-1],
    ]
    for other in others:
        assert 0.3 < (base == other).mean() < 0.7


@pytest.mark.parametrize("shape", [(4, 3, 5, 7), (4, 11), (1, 16, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_equals_numpy_in_channels_last_order(shape: tuple[int, ...], dtype: torch.dtype):
    rates = [0.0, 0.25, 0.35, 0.7]
    drawn = masks(
        keys_tensor(KEYS, device="cpu"),
        levels_tensor(rates, device="cpu"),
        step=2**32 - 2,
        site=2,
        shape=shape,
        dtype=dtype,
    )
    assert drawn.shape == (len(KEYS), *shape)
    assert drawn.dtype == dtype
    for m, (key, rate) in enumerate(zip(KEYS, rates, strict=True)):
        level, units = threshold(rate), math.prod(shape[1:])
        wanted = keep(key, step=2**32 - 2, site=2, slots=shape[0], units=units, level=level)
        wanted = wanted.astype(drawn.numpy().dtype) * drawn.numpy().dtype.type(scale(level))
        if len(shape) == 4:
            slots, c, h, w = shape
            wanted = wanted.reshape(slots, h, w, c).transpose(0, 3, 1, 2)
        assert np.array_equal(drawn[m].numpy(), wanted)


def test_rate_zero_is_the_identity() -> None:
    drawn = masks(
        keys_tensor(KEYS, device="cpu"),
        levels_tensor([0.0] * 4, device="cpu"),
        step=1,
        site=0,
        shape=(8, 3, 4, 4),
    )
    assert bool((drawn == 1).all())


@pytest.mark.parametrize("rate", [0.05, 0.35, 0.7])
def test_share_and_mean_are_the_rate_s(rate: float) -> None:
    member = Member(index=0, seed=987_654_321, split="test", config={})
    level = threshold(rate)
    units, slots = 4_096, 256
    kept = keep(member.dropout_key, step=17, site=1, slots=slots, units=units, level=level)
    spread = math.sqrt(rate * (1 - rate) / kept.size)
    assert abs(kept.mean() - (1 - rate)) < 4 * spread
    assert abs((kept * scale(level)).mean() - 1) < 4 * spread / (1 - rate)
    # Rows, columns and neighbours are as independent coins would be.
    assert abs(kept.mean(axis=1).std() * math.sqrt(units) / math.sqrt(rate * (1 - rate)) - 1) < 0.2
    assert abs(kept.mean(axis=0).std() * math.sqrt(slots) / math.sqrt(rate * (1 - rate)) - 1) < 0.1
    for a, b in [(kept[:, 1:], kept[:, :-1]), (kept[1:], kept[:-1])]:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / math.sqrt(kept.size)


def test_masks_of_consecutive_steps_are_uncorrelated() -> None:
    level = threshold(0.5)
    kept = np.stack(
        [keep(KEYS[2], step=t, site=0, slots=16, units=128, level=level) for t in range(64)]
    ).reshape(64, -1)
    correlation = np.corrcoef(kept)
    off_diagonal = correlation[~np.eye(64, dtype=bool)]
    assert np.abs(off_diagonal).max() < 6 / math.sqrt(kept.shape[1])
    assert np.corrcoef(np.stack([kept[0], kept[0]]))[0, 1] > 0.99


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_outside_the_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"a dropout rate lies in \[0, 1\)"):
        threshold(rate)


def test_thresholds_are_clamped_and_rounded() -> None:
    assert [threshold(p) for p in (0.0, 0.5, 0.999999, 1 / 65536)] == [0, 32768, 65535, 1]
