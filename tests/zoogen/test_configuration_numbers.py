"""Numbers of many members at once: those of numpy's own generators, bit for bit."""

import numpy as np
import pytest

from zoogen.configuration_numbers import configuration_numbers
from zoogen.hyperparameters import SLOTS
from zoogen.members import PURPOSES, member_seed, stream

INDICES = np.array([0, 1, 2, 9, 1_023, 1_024, 29_999, 10**6, 2**31, 2**32 - 1])
SEEDS = (0, 1, 7, 2**32 - 1, 2**32, 2**40 + 3, 2**63 - 1, 2**130 + 5)


def one_by_one(zoo_seed: int, purpose: int, slot: int) -> list[float]:
    return [
        stream(member_seed(zoo_seed, index), PURPOSES[purpose]).random(SLOTS)[slot]
        for index in INDICES.tolist()
    ]


@pytest.mark.parametrize("zoo_seed", SEEDS)
@pytest.mark.parametrize("slot", range(SLOTS))
def test_they_are_numpys(zoo_seed: int, slot: int) -> None:
    found = configuration_numbers(zoo_seed, INDICES, purpose=0, slot=slot)
    assert found.tolist() == one_by_one(zoo_seed, 0, slot)


@pytest.mark.parametrize("purpose", range(len(PURPOSES)))
def test_each_purpose_has_its_own(purpose: int) -> None:
    found = configuration_numbers(7, INDICES, purpose=purpose, slot=3)
    assert found.tolist() == one_by_one(7, purpose, 3)
    assert found.tolist() != one_by_one(7, (purpose + 1) % len(PURPOSES), 3)


def test_they_fill_the_unit_interval() -> None:
    found = configuration_numbers(3, np.arange(100_000), purpose=0, slot=12)
    counts = np.histogram(found, bins=10, range=(0, 1))[0]
    assert counts.sum() == 100_000
    # Five standard deviations of a count of 10,000.
    assert np.abs(counts - 10_000).max() < 500
