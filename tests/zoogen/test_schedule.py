"""The images a member sees: subsets, batches and orders."""

import numpy as np
import pytest

from zoogen.members import Member
from zoogen.train.schedule import epoch_order, image_schedule, kind, subset


def member(fraction: float = 0.5, seed: int = 3) -> Member:
    return Member(index=0, seed=seed, split="test", config={"train_fraction": fraction})


@pytest.mark.parametrize(
    ("images", "steps"),
    [(60_000, (11, 29, 58, 117)), (50_000, (9, 24, 48, 97)), (73_257, (14, 35, 71, 143))],
)
def test_steps_in_an_epoch_are_the_published_ones(images: int, steps: tuple[int, ...]) -> None:
    made = [
        image_schedule(member(f), images=images, batch_size=512).steps for f in (0.1, 0.25, 0.5, 1)
    ]
    assert tuple(made) == steps


def test_the_subset_is_fixed_and_random() -> None:
    one, again, other = (
        subset(member(), 1_000),
        subset(member(), 1_000),
        subset(member(seed=4), 1_000),
    )
    assert np.array_equal(one, again)
    assert len(set(one)) == 500
    assert 150 < len(set(one) & set(other)) < 350
    assert abs(np.mean(one) - 499.5) < 60


def test_an_epoch_is_a_permutation_of_the_subset_without_the_rest() -> None:
    schedule = image_schedule(member(), images=1_000, batch_size=64)
    assert (schedule.steps, schedule.batch, len(schedule.measured)) == (7, 64, 448)
    orders = [epoch_order(member(), schedule, epoch) for epoch in (0, 1, 0)]
    assert all(o.shape == (7, 64) for o in orders)
    assert all(set(o.ravel()) <= set(schedule.subset) for o in orders)
    assert all(len(set(o.ravel())) == 448 for o in orders)
    assert np.array_equal(orders[0], orders[2])
    assert (orders[0] == orders[1]).mean() < 0.05
    # Every image gets its turn, though each epoch leaves some out.
    seen = {i for e in range(20) for i in epoch_order(member(), schedule, e).ravel()}
    assert seen == set(schedule.subset)


def test_no_member_trains_on_nothing() -> None:
    few = image_schedule(member(0.1), images=100, batch_size=512)
    assert (few.steps, few.batch) == (1, 10)
    one = image_schedule(member(0.001), images=100, batch_size=512)
    assert (one.steps, one.batch) == (1, 1)
    assert epoch_order(member(0.001), one, 5).shape == (1, 1)


def test_kinds() -> None:
    assert kind(member(0.5)) == kind(member(0.5, seed=9)) != kind(member(0.25))
    assert kind(Member(index=0, seed=1, split="test", config={"points": 10})) == ()
