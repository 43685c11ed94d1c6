"""Batches: every network as often as promised, zoos in equal shares, the same for equal seeds."""

from collections import Counter

import numpy as np
import pytest

from sne.sampling import epoch_batches, steps_of, stream, torch_seed


def test_one_zoo_is_gone_through_once():
    zoo = np.zeros(50, dtype=np.int64)
    batches = epoch_batches(zoo, batch=16, seed=0, epoch=0)
    assert [len(b) for b in batches] == [16, 16, 16, 2]
    assert len(batches) == steps_of([50], 16)
    assert sorted(np.concatenate(batches)) == list(range(50))
    assert all((np.diff(b) > 0).all() for b in batches)


def test_zoos_are_balanced_in_the_epoch_and_in_each_batch():
    zoo = np.repeat([0, 1, 2], [40, 100, 7])
    batches = epoch_batches(zoo, batch=30, seed=1, epoch=4)
    assert len(batches) == steps_of([40, 100, 7], 30)
    assert all(Counter(zoo[b].tolist()) == {0: 10, 1: 10, 2: 10} for b in batches)
    uses = np.bincount(np.concatenate(batches), minlength=len(zoo))
    assert set(uses[zoo == 0]) == {2, 3}
    assert set(uses[zoo == 1]) == {1}
    assert set(uses[zoo == 2]) == {14, 15}


def test_orders_follow_from_seed_and_epoch():
    zoo = np.zeros(64, dtype=np.int64)

    def order(seed: int, epoch: int) -> list[int]:
        return epoch_batches(zoo, batch=8, seed=seed, epoch=epoch)[0].tolist()

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_streams_of_two_purposes_differ():
    assert stream(0, 0, 1).random() != stream(0, 1, 1).random()
    assert torch_seed(0, 1, 2) == torch_seed(0, 1, 2)
    assert len({torch_seed(0, 1, 2), torch_seed(0, 2, 1), torch_seed(1, 1, 2)}) == 3
    assert 0 <= torch_seed(5) < 2**63


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_number_of_steps_is_known_before(batch):
    zoo = np.repeat([0, 1], [9, 5])
    assert len(epoch_batches(zoo, batch=batch, seed=0, epoch=0)) == steps_of([9, 5], batch)
