"""What fits: the search against a plain walk over all sizes, and the sentence of a refusal."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_cases import ARCHITECTURES, config, workload

from sne import capacity
from sne.capacity import fit_micro_batch, fitting_chunks, largest_batch, refusal
from sne.cards import MIB, RESERVED_BYTES, Card
from sne.config import TrainConfig
from sne.rehearsal import MemoryPlan, plan_training

SMALL = {"width": 16, "heads": 1, "chunk_sabs": 2, "sabs": 1}
SIREN = workload([(ARCHITECTURES["siren"], 500)])


def small(*, batch: int, **settings: Any) -> TrainConfig:
    """A small SNE, planned in no time."""
    found = config("siren", batch=batch)
    return replace(found, settings=replace(found.settings, **SMALL, **settings))


def card(budget: int) -> Card:
    return Card(label="a card", total_bytes=budget + RESERVED_BYTES)


def made_up(batch: int, size: int) -> MemoryPlan:
    return MemoryPlan(
        device="cuda",
        batch=batch,
        at_once=False,
        data_bytes=0,
        weight_bytes=0,
        gradient_bytes=0,
        moment_bytes=0,
        activation_bytes=size,
        library_bytes=0,
    )


class Planner:
    """In the planner's place: bytes by the number of networks, and how often it was asked."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes, self.asked = sizes, list[int]()

    def __call__(self, config: TrainConfig, load: Any, *, device: str) -> MemoryPlan:
        training = config.training
        count = min(training.micro_batch or training.batch, load.epoch)
        self.asked.append(count)
        return made_up(count, self.sizes[count])


@settings(deadline=None, max_examples=200)
@given(
    steps=st.lists(st.integers(0, 50), min_size=40, max_size=300),
    base=st.integers(0, 2000),
    budget=st.integers(0, 9000),
    batch=st.integers(1, 64),
)
def test_the_search_finds_what_a_walk_finds(steps, base, budget, batch):
    sizes = [base]
    for step in steps:
        sizes.append(sizes[-1] + step)
    most = len(steps)
    load = workload([(ARCHITECTURES["siren"], most)])
    asked = config("siren", batch=batch)
    fitting = [n for n in range(1, most + 1) if sizes[n] <= budget]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capacity, "plan_training", planner := Planner(sizes))
        whole = largest_batch(asked, load, card(budget))
        assert (whole and whole.batch) == (max(fitting) if fitting else None)
        assert len(planner.asked) == len(set(planner.asked)) <= 40
        part = fit_micro_batch(asked, load, card(budget))
    batch = min(batch, most)
    equal = {-(-batch // parts) for parts in range(1, batch + 1)}
    allowed = [n for n in fitting if n in equal]
    assert (part and part.batch) == (max(allowed) if allowed else None)


def test_memory_that_grows_evenly_is_found_in_a_few_plans(monkeypatch):
    planner = Planner([100 + 37 * n for n in range(10_001)])
    monkeypatch.setattr(capacity, "plan_training", planner)
    load = workload([(ARCHITECTURES["siren"], 10_000)])
    found = largest_batch(config("siren", batch=64), load, card(200_000))
    assert found is not None
    assert found.batch == (200_000 - 100) // 37
    assert len(planner.asked) <= 6


def test_what_is_found_fits_and_one_more_does_not():
    asked = small(batch=16)
    plan = plan_training(asked, SIREN)
    room = card(plan.total_bytes - plan.activation_bytes // 3)
    part = fit_micro_batch(asked, SIREN, room)
    assert part is not None
    assert (part.batch, part.fits(room)) == (8, True)
    whole = largest_batch(asked, SIREN, room)
    assert whole is not None
    assert 8 < whole.batch < 16
    more = replace(asked, training=replace(asked.training, batch=whole.batch + 1))
    assert not plan_training(more, SIREN).fits(room)


def test_chunks_that_fit_are_a_range():
    asked = small(batch=8)
    load = workload([(ARCHITECTURES["siren"], 8)])
    plans = {
        chunk: plan_training(
            replace(asked, settings=replace(asked.settings, chunk=chunk)), load
        ).total_bytes
        for chunk in (4, 8)
    }
    assert plans[8] < plans[4]
    assert fitting_chunks(asked, load, card(plans[4])) == (4, 1024)
    assert fitting_chunks(asked, load, card(plans[4] - 1)) == (8, 1024)
    assert fitting_chunks(asked, load, card(0)) is None
    assert fitting_chunks(config("siren", model="mlp", batch=8), load, card(MIB * 500)) is None


def test_a_refusal_says_what_would_fit():
    asked = small(batch=8, chunk=4)
    load = workload([(ARCHITECTURES["siren"], 8)])
    plan = plan_training(asked, load)
    room = card(plan.total_bytes - 1)
    found = fit_micro_batch(asked, load, room)
    assert found is not None
    assert refusal(asked, load, plan, room) == (
        f"sne needs {plan.total_bytes / MIB:.1f} MiB for 8 networks at once, and {room}: "
        f"--micro-batch 4 ({found.total_bytes / MIB:.1f} MiB; --fit chooses it in a new run) or "
        "--sne.chunk 8 would fit"
    )
    assert str(room).startswith("a card has ")


def test_a_refusal_says_when_nothing_would_fit():
    load = workload([(ARCHITECTURES["siren"], 4)])
    asked = config("siren", model="mlp", batch=4)
    text = refusal(asked, load, plan_training(asked, load), card(1))
    assert "not even one network at a time would fit; take a larger card, or a smaller" in text
    asked = config("siren", model="boosting", batch=4)
    text = refusal(asked, load, plan_training(asked, load), card(1))
    assert text.startswith("boosting needs ")
    assert "for 4 networks at once, all it learns from" in text
