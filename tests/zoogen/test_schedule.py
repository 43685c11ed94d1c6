"""The images a member sees: subsets, batches and orders."""

from dataclasses import replace

import numpy as np
import pytest

from tests.zoogen.engine_cases import image_job
from zoogen.members import Member
from zoogen.train.schedule import epoch_order, image_schedule, kind, learning_rate, subset


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


def test_learning_rates_rise_and_then_fall_along_a_cosine() -> None:
    """Ten epochs of warm-up from a tenth, then a cosine that would end at epoch 100."""
    job = replace(image_job(), epochs=100, warmup_share=0.1, final_rate=1e-5)
    rates = [learning_rate(job, 5e-4, epoch) for epoch in range(100)]
    assert rates[0] == pytest.approx(5e-5)
    assert np.diff(rates[:11]) == pytest.approx(np.full(10, 4.5e-5))
    assert rates[10] == max(rates) == pytest.approx(5e-4)
    assert rates[55] == pytest.approx((5e-4 + 1e-5) / 2)
    assert 1e-5 < rates[99] < 1.03e-5 < rates[98]
    assert [learning_rate(image_job(), 0.3, epoch) for epoch in (0, 2)] == [0.3, 0.3]
    assert learning_rate(job, 1e-6, 90) == pytest.approx(1e-6)  # never above the member's own
