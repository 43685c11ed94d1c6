"""Parts of a GPU: the rule, the limit that a process sets itself, and when."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import MACHINE, tiny_trial

from sne.cards import CONTEXT_BYTES, GIB, RESERVED_BYTES, parse_card
from sweeps import attempt as attempts
from sweeps import pool
from sweeps.attempt import Job, attempt, failure_of
from sweeps.card import share_of
from sweeps.crew import Room, ray_crew
from sweeps.errors import PlanError
from sweeps.options import Execution
from sweeps.portion import Portion, memory_fraction

CARD = parse_card("11GB")


class FakeCuda:
    """What of `torch.cuda` a portion touches, on a device of some size."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.calls: list[tuple[float, int]] = []

    def current_device(self) -> int:
        return 3

    def get_device_properties(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(total_memory=self.total)

    def set_per_process_memory_fraction(self, fraction: float, device: int) -> None:
        self.calls.append((fraction, device))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda(11 * GIB)
    monkeypatch.setattr("sweeps.portion.torch.cuda", fake)
    return fake


@pytest.mark.parametrize("gib", [0.01, 0.5, 1, 2, 4, 10])
@pytest.mark.parametrize("device", [11 * GIB, 80 * GIB])
def test_a_planned_trial_has_room_and_all_together_fit(gib: float, device: int):
    needed = round(gib * GIB)
    share = share_of(needed, CARD)
    fraction = memory_fraction(
        Portion(share=share, card_bytes=CARD.total_bytes), device_bytes=device
    )
    at_once = round(1 / share)
    assert fraction * device >= needed + 0.9 * (RESERVED_BYTES - CONTEXT_BYTES)
    if at_once > 1:
        assert at_once * (fraction * device + CONTEXT_BYTES) <= CARD.total_bytes + 1


def test_a_card_that_is_not_shared_is_not_limited():
    whole = Portion(share=1.0, card_bytes=CARD.total_bytes)
    assert memory_fraction(whole, device_bytes=80 * GIB) == 1.0


def test_a_smaller_card_than_was_planned_for_is_shared_all_the_same():
    half = Portion(share=0.5, card_bytes=24 * GIB)
    assert memory_fraction(half, device_bytes=8 * GIB) == pytest.approx((4 - 0.5) / 8)


def test_a_share_without_room_for_the_context_is_refused():
    with pytest.raises(PlanError, match=r"4\.00% of a card of 11\.00 GiB does not even hold CUDA"):
        memory_fraction(Portion(share=0.04, card_bytes=11 * GIB), device_bytes=11 * GIB)


def test_a_process_limits_itself_on_its_own_device(cuda: FakeCuda):
    half = Portion(share=0.5, card_bytes=11 * GIB)
    half.claim("cpu")
    assert not cuda.calls
    half.claim("cuda")
    half.claim("cuda:1")
    replace(half, share=1.0).claim("cuda")
    assert cuda.calls == [(pytest.approx(5 / 11), 3), (pytest.approx(5 / 11), 1), (1.0, 3)]


def test_a_trial_claims_its_portion_before_anything_else(cuda, opened, tmp_path, monkeypatch):
    seen: list[int] = []
    monkeypatch.setattr(attempts, "complete_trial", lambda *_, **__: seen.append(len(cuda.calls)))
    job = Job(folder=tmp_path, machine=replace(MACHINE, device="cuda"), command="")
    trial = tiny_trial(opened)
    attempt(trial, job, lambda told: None, portion=Portion(share=0.5, card_bytes=11 * GIB))
    assert seen == [1]
    attempt(trial, job, lambda told: None)
    assert len(cuda.calls) == 1


def test_a_portion_that_cannot_be_had_fails_the_trial_alone(cuda, opened, tmp_path):
    job = Job(folder=tmp_path, machine=replace(MACHINE, device="cuda"), command="")
    trial, told = tiny_trial(opened), []
    attempt(trial, job, told.append, portion=Portion(share=0.04, card_bytes=11 * GIB))
    assert "use fewer --workers" in str(failure_of(tmp_path, trial))
    assert told[-1].failure == failure_of(tmp_path, trial)


def test_workers_are_given_the_portion_that_was_booked(opened, monkeypatch):
    """The crew books a share with Ray, and the same share reaches the process of the trial."""
    crew = ray_crew(Execution(card="24GB"), Room(cpus=8, gpus=1), share=0.25, on_start=lambda: None)
    given: dict = {}
    monkeypatch.setattr(type(crew), "_ray", lambda self: nullcontext())
    monkeypatch.setattr(pool, "run_pool", lambda *_, **more: given.update(more))
    trial = tiny_trial(opened)
    crew.run([trial], Job(folder=Path(), machine=MACHINE, command=""), print, {trial.hash: 0.25})
    assert given["resources"] == {trial.hash: {"cpu": 1, "gpu": 0.25}}
    assert given["portions"] == {trial.hash: Portion(share=0.25, card_bytes=24 * GIB)}

    claimed: list[Portion] = []
    monkeypatch.setattr(pool, "attempt", lambda *_, portion: claimed.append(portion))
    pool._attempt_listed(
        {"trial": trial.hash},
        given={trial.hash: trial.to_json()},
        portions=given["portions"],
        job=Job(folder=Path(), machine=MACHINE, command=""),
    )
    assert claimed == [Portion(share=0.25, card_bytes=24 * GIB)]


@pytest.mark.gpu
def test_a_process_cannot_take_more_than_its_portion():
    total = torch.cuda.get_device_properties(0).total_memory
    portion = Portion(share=0.25, card_bytes=4 * GIB)
    try:
        portion.claim("cuda")
        kept = torch.empty(GIB // 4, dtype=torch.uint8, device="cuda")
        with pytest.raises(torch.cuda.OutOfMemoryError):
            torch.empty(GIB // 2, dtype=torch.uint8, device="cuda")
        assert kept.numel() < memory_fraction(portion, device_bytes=total) * total
    finally:
        replace(portion, share=1.0).claim("cuda")
