"""Small parts of sweeps: tallies, memory and shares, room, which zoos may stand together."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from conftest import tiny_trial

from sne.cards import parse_card
from sne.errors import DataError
from sne.networks import Which
from sweeps.attempt import Told
from sweeps.card import plan_trials, share_of
from sweeps.crew import Room, ray_crew
from sweeps.errors import PlanError
from sweeps.options import Execution
from sweeps.pace import estimate_seconds, wall_seconds
from sweeps.tally import State, Tally, describe
from sweeps.zoos import ZooRef, check_alike, find_target, images_differ, open_sweep_zoos


def told(trial: str, share: float, **more: Any) -> Told:
    return Told(trial=trial, epoch=0, epochs=10, share=share, **more)


def test_a_tally_counts_shares_of_estimated_work():
    tally = Tally({"a": 30.0, "b": 10.0}, done_before=3)
    assert tally.look().share == 0
    tally.tell(told("a", 0.5))
    state = tally.look()
    assert (state.trials, state.done, state.running, state.share) == (5, 3, 1, 0.375)
    tally.tell(told("a", 1.0, ended=True))
    tally.tell(told("b", 1.0, ended=True, failure="no memory"))
    state = tally.look()
    assert (state.done, state.failed, state.running, state.share) == (4, 1, 0, 1.0)


def test_a_line_for_people():
    state = State(trials=12, done=4, failed=1, running=2, share=0.5, seconds_left=90.0)
    assert describe(state) == "4 of 12 trials, 1 failed, 2 running, 1 min 30 s left"
    calm = State(trials=1, done=1, failed=0, running=0, share=1.0, seconds_left=0.0)
    assert describe(calm) == "1 of 1 trials"


def test_told_again_after_a_stop():
    given = told("a", 0.3, loss=0.5, closes=True).given_up
    assert (given.ended, given.stopped, given.share, given.loss) == (True, True, 1.0, 0.5)


def test_as_many_trials_share_a_card_as_fit():
    card = parse_card("11GB")
    gib = 1 << 30
    assert share_of(10 * gib, card) == 1.0
    assert share_of(4 * gib, card) == 0.5
    # 0.8 GiB for CUDA's context in each process: 11 / 1.8 is 6 at a time.
    assert share_of(gib, card) == pytest.approx(1 / 6, abs=1e-4)
    assert 6 * share_of(gib, card) <= 1


def test_memory_is_planned_and_batches_are_cut_when_asked(opened):
    trial = tiny_trial(opened)
    (whole,) = plan_trials([trial], Execution(device="cuda"))
    assert whole.trial == trial
    assert whole.bytes > 64 * 1024**2  # cuBLAS alone
    training = replace(trial.config.training, batch=24)
    large = replace(trial, config=replace(trial.config, training=training))
    (needed,) = plan_trials([large], Execution(device="cpu"))
    # Less than is needed, beyond what a card keeps for itself.
    card = f"{819.3 + needed.bytes / 2**20 * 0.7:.2f}MB"
    with pytest.raises(PlanError, match=r"add --fit to compute \d+ networks at once, or choose"):
        plan_trials([large], Execution(device="cpu", card=card))
    (cut,) = plan_trials([large], Execution(device="cpu", card=card, fit=True))
    assert (cut.trial.config.training.micro_batch or 24) < 24
    assert cut.bytes < needed.bytes
    assert cut.trial.hash != large.hash


def test_models_that_cannot_take_the_networks_need_no_memory(opened):
    trial = tiny_trial(opened, "mlp")
    uris = tuple(ref.uri for ref in trial.test)
    data = replace(trial.config.data, zoo=uris)
    both = replace(trial, config=replace(trial.config, data=data), train=trial.test)
    (planned,) = plan_trials([both], Execution())
    assert planned.bytes == 0
    assert estimate_seconds([both], device="cpu") == {both.hash: 0.0}


def test_time_is_measured_once_for_trials_that_differ_by_seed(opened):
    one = tiny_trial(opened, "mlp")
    other, longer = tiny_trial(opened, "mlp", seed=1), tiny_trial(opened, "mlp", epochs=20)
    seconds = estimate_seconds([one, other, longer], device="cpu")
    assert seconds[one.hash] == seconds[other.hash] > 0
    assert seconds[longer.hash] == pytest.approx(10 * seconds[one.hash])


def test_all_together_take_no_less_than_the_longest():
    assert wall_seconds({"a": 10.0, "b": 30.0}, workers=2) == 30.0
    assert wall_seconds({"a": 10.0, "b": 30.0}, workers=1) == 40.0
    assert wall_seconds({}, workers=2) == 0.0


@pytest.mark.parametrize(
    ("execution", "room", "share", "found"),
    [
        (Execution(), Room(cpus=8, gpus=0), 1.0, ("cpu", 8, 0)),
        (Execution(threads=3), Room(cpus=8, gpus=0), 1.0, ("cpu", 2, 0)),
        (Execution(), Room(cpus=8, gpus=2), 0.25, ("cuda", 8, 2)),
        (Execution(device="cpu"), Room(cpus=8, gpus=2), 0.25, ("cpu", 8, 0)),
        (Execution(workers=1), Room(cpus=8, gpus=2), 0.25, ("cuda", 1, 2)),
    ],
)
def test_workers_follow_from_room(execution, room, share, found):
    crew = ray_crew(execution, room, share=share, on_start=lambda: None)
    assert (crew.device, crew.workers, crew.gpus) == found


def test_no_room_and_no_gpu_are_refused():
    with pytest.raises(PlanError, match="there is no GPU for --device cuda; cpu is always there"):
        ray_crew(Execution(device="cuda"), Room(cpus=2, gpus=0), share=1.0, on_start=print)
    with pytest.raises(PlanError, match=r"--workers 3: a trial needs 50% of a 11GB card, so 1"):
        ray_crew(Execution(workers=3), Room(cpus=8, gpus=1), share=0.5, on_start=print)


IMAGES = {
    "train_size": 8000, "test_size": 2500, "chance_accuracy": 0.11, "channels": 3, "side": 28,
    "content_hash": "a" * 64,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        # Grey and coloured copies of the same images cannot be told from their contents.
        ({"channels": 1, "content_hash": "b" * 64}, None),
        ({"content_hash": "b" * 64}, "content aaaaaaaaaaaa and bbbbbbbbbbbb"),
        ({"train_size": 60000, "channels": 1}, "train_size 8000 and 60000"),
        ({"chance_accuracy": 0.2, "side": 32}, "chance_accuracy 0.11 and 0.2"),
    ],
)
def test_images_of_one_name(changed, reason):
    assert images_differ({**IMAGES, **changed}, IMAGES) == reason


def test_mixed_data_are_refused_unless_allowed(opened):
    first, second = opened
    changed = {**second.zoo.plan.data, "content_hash": "0" * 64}
    other = replace(
        second, zoo=replace(second.zoo, plans=(replace(second.zoo.plan, data=changed),))
    )
    check_alike([first, second], allow_mixed_data=False)
    with pytest.raises(PlanError, match="are both of digits but not of the same images"):
        check_alike([first, other], allow_mixed_data=False)
    check_alike([first, other], allow_mixed_data=True)


def test_a_target_with_nulls_is_refused(opened, monkeypatch):
    table = pa.table({"test_accuracy": [0.5, None, None], "status": ["ok", "diverged", "ok"]})
    chosen = SimpleNamespace(table=lambda columns: table)
    monkeypatch.setattr(type(opened[0].zoo), "networks", lambda self, **which: chosen)
    with pytest.raises(
        DataError, match=r"2 of 3 train networks have no test_accuracy \(1 diverged"
    ):
        find_target(opened, None, Which())


def test_zoos_are_found_from_a_trials_own_folder_however_they_were_named(arch1_zoo, monkeypatch):
    monkeypatch.chdir(arch1_zoo.parent)
    (one,) = open_sweep_zoos([arch1_zoo.name])
    assert one.ref.uri == str(arch1_zoo.absolute())


def test_zoos_of_different_targets_want_one_named(arch1_zoo, sine_zoo):
    zoos = open_sweep_zoos([str(arch1_zoo), str(sine_zoo)])
    with pytest.raises(DataError, match=r"targets differ \(.*\): name one with"):
        find_target(zoos, None, Which())


def test_a_reference_survives_json(opened):
    ref = opened[0].ref
    assert ZooRef.from_json(ref.to_json()) == ref
