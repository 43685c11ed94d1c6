"""One number of the configurations of many members at once; `members` draws one after another.

Equal to it in every bit, since both follow numpy: a `SeedSequence` gives the member's seed, another
one the key of its stream, `Philox` the numbers. All three are fixed by numpy's compatibility policy
and written out here for arrays: a million numbers take a second, and one by one they take twenty.

Source: Salmon et al. 2011 (Philox4x64-10); O'Neill's seed sequences as numpy has them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Integer, UInt32, UInt64

POOL = 4
INIT_A, MULT_A = 0x43B0D7E5, 0x931E8875
INIT_B, MULT_B = 0x8B51F9DD, 0x58F38DED
MIX_LEFT, MIX_RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
SHIFT = np.uint32(16)
ROUNDS = 10
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
BUMPS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
WORD = 1 << 32


def configuration_numbers(
    zoo_seed: int, indices: Integer[np.ndarray, " n"], *, purpose: int, slot: int
) -> Float64[np.ndarray, " n"]:
    """The number in [0, 1) that each member's stream gives for one slot.

    Args:
        zoo_seed: of the zoo, not negative.
        indices: of the members, below 2³².
        purpose: number of the stream's purpose in `members.PURPOSES`.
        slot: which number of the stream, from 0.
    """
    ones = np.ones(indices.shape, dtype=np.uint32)
    words = [ones * np.uint32(word) for word in _words(zoo_seed)]
    state = _state([*_padded(words, ones), indices.astype(np.uint32)], 2)
    seeds = _wide(state[0], state[1]) >> np.uint64(1)
    halves = [_low(seeds), _low(seeds >> HALF)]
    key = _state([*_padded(halves, ones), ones * np.uint32(purpose)], 4)
    block, place = divmod(slot, 4)
    found = _philox(block + 1, [_wide(key[0], key[1]), _wide(key[2], key[3])])[place]
    return (found >> np.uint64(11)) * 2.0**-53


def _words(number: int) -> list[int]:
    """Of 32 bits, the lowest first; one for 0."""
    words = [number % WORD]
    while number := number // WORD:
        words.append(number % WORD)
    return words


def _padded(
    words: Sequence[UInt32[np.ndarray, " n"]], ones: UInt32[np.ndarray, " n"]
) -> list[UInt32[np.ndarray, " n"]]:
    """What a `SeedSequence` with a spawn key does to its entropy."""
    return [*words, *(ones * np.uint32(0) for _ in range(POOL - len(words)))]


def _state(
    entropy: Sequence[UInt32[np.ndarray, " n"]], count: int
) -> list[UInt32[np.ndarray, " n"]]:
    """`SeedSequence.generate_state(count)` for each column of the entropy."""
    constant = INIT_A

    def hashed(value: UInt32[np.ndarray, " n"]) -> UInt32[np.ndarray, " n"]:
        nonlocal constant
        value = value ^ np.uint32(constant)
        constant = constant * MULT_A % WORD
        value = value * np.uint32(constant)
        return value ^ (value >> SHIFT)

    def mixed(
        one: UInt32[np.ndarray, " n"], other: UInt32[np.ndarray, " n"]
    ) -> UInt32[np.ndarray, " n"]:
        value = MIX_LEFT * one - MIX_RIGHT * other
        return value ^ (value >> SHIFT)

    pool = [hashed(word) for word in entropy[:POOL]]
    for source in range(POOL):
        for target in range(POOL):
            if source != target:
                pool[target] = mixed(pool[target], hashed(pool[source]))
    for word in entropy[POOL:]:
        for target in range(POOL):
            pool[target] = mixed(pool[target], hashed(word))
    state: list[np.ndarray] = []
    constant = INIT_B
    for number in range(count):
        value = pool[number % POOL] ^ np.uint32(constant)
        constant = constant * MULT_B % WORD
        value = value * np.uint32(constant)
        state.append(value ^ (value >> SHIFT))
    return state


def _philox(block: int, key: list[UInt64[np.ndarray, " n"]]) -> list[UInt64[np.ndarray, " n"]]:
    """The four numbers of a block, counted from 1."""
    counter = [np.full_like(key[0], block), *(np.zeros_like(key[0]) for _ in range(3))]
    for number in range(ROUNDS):
        if number:
            key = [part + bump for part, bump in zip(key, BUMPS, strict=True)]
        high0, low0 = _product(MULTIPLIERS[0], counter[0])
        high1, low1 = _product(MULTIPLIERS[1], counter[2])
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0]
    return counter


def _product(
    factor: int, numbers: UInt64[np.ndarray, " n"]
) -> tuple[UInt64[np.ndarray, " n"], UInt64[np.ndarray, " n"]]:
    """The high and the low 64 bits of a product of 64-bit numbers."""
    a_high, a_low = (np.uint64(part) for part in divmod(factor, WORD))
    b_high, b_low = numbers >> HALF, numbers & LOW
    low, cross = a_low * b_low, a_high * b_low
    middle = a_low * b_high + (low >> HALF) + (cross & LOW)
    high = a_high * b_high + (cross >> HALF) + (middle >> HALF)
    return high, (middle << HALF) | (low & LOW)


def _wide(
    low: UInt32[np.ndarray, " n"], high: UInt32[np.ndarray, " n"]
) -> UInt64[np.ndarray, " n"]:
    return low.astype(np.uint64) | (high.astype(np.uint64) << HALF)


def _low(numbers: UInt64[np.ndarray, " n"]) -> UInt32[np.ndarray, " n"]:
    return (numbers & LOW).astype(np.uint32)
