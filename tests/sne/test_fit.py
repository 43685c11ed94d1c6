"""The training loop: what it minimises, keeps and reports, and that it goes on where it stood."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from sne.errors import RunError, SettingError, TrainingError
from sne.fit import Fitted, Progress, Saving, fit
from sne.schedule import OptimizerConfig, learning_rate, warmed_share
from sne.state import FOLDER, RECORD, State, load_state, save_state


class Line:
    """A line through noisy points; batches follow from (epoch, step)."""

    def __init__(self, *, validates: bool = True) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        self.steps = 5
        self._validates = validates

    def _batch(self, *key: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(hash(key) % 2**31)
        x = torch.rand(16, 1, generator=generator)
        return x, 3 * x - 1 + 0.1 * torch.randn(16, 1, generator=generator)

    def backward(self, epoch: int, step: int) -> dict[str, torch.Tensor]:
        x, y = self._batch(epoch, step)
        loss = (self.module(x) - y).square().mean()
        loss.backward()
        return {"loss": loss.detach()}

    def validate(self) -> float | None:
        x, y = self._batch(-1, -1)
        return float((self.module(x) - y).square().mean()) if self._validates else None


class Stop(Exception):
    """What ends a loop in the middle."""


CONFIG = OptimizerConfig(learning_rate=0.02)


def run(
    lesson=None, *, epochs=8, state=None, save=None, report=None, config=CONFIG, saving=None
) -> Fitted:
    return fit(
        lesson or Line(),
        config,
        epochs=epochs,
        state=state,
        report=report or (lambda progress: None),
        saving=saving or Saving(every_s=0.0, save=save or (lambda state: None)),
    )


def losses(fitted: Fitted) -> list[tuple]:
    return [(row["train_loss"], row["val_loss"]) for row in fitted.curves]


def test_a_loop_learns_and_keeps_its_best_epoch():
    lesson = Line()
    fitted = run(lesson, epochs=40)
    validated = [row["val_loss"] or math.nan for row in fitted.curves]
    assert validated[-1] < 0.2 * validated[0]
    assert fitted.best_epoch == 1 + validated.index(min(validated))
    lesson.module.load_state_dict(fitted.best)
    with torch.no_grad():
        assert lesson.validate() == min(validated)


def test_without_a_validation_split_the_last_epoch_is_kept():
    lesson = Line(validates=False)
    fitted = run(lesson)
    assert fitted.best_epoch == 8
    assert fitted.curves[-1]["val_loss"] is None
    for name, tensor in lesson.module.state_dict().items():
        assert torch.equal(fitted.best[name], tensor)


@pytest.mark.parametrize("stop", [1, 4, 7, 13, 26])
def test_an_interrupted_loop_has_the_losses_of_an_undisturbed_one(tmp_path, stop):
    whole = run()
    count = 0

    def interrupt(state: State) -> None:
        nonlocal count
        save_state(tmp_path, state)
        count += 1
        if count == stop:
            raise Stop

    with pytest.raises(Stop):
        run(save=interrupt)
    state = load_state(tmp_path)
    assert state is not None
    assert (state.epoch, state.step) == divmod(stop, 5)
    resumed = run(state=state)
    assert losses(resumed) == losses(whole)
    assert resumed.best_epoch == whole.best_epoch
    for name, tensor in whole.best.items():
        assert torch.equal(resumed.best[name], tensor)


def test_forgetting_a_part_of_the_state_changes_the_losses(tmp_path):
    """The comparison above can fail: each part of the state is needed."""
    whole = run()

    def interrupt(state: State) -> None:
        save_state(tmp_path, state)
        if state.epoch == 2 and state.step == 3:
            raise Stop

    with pytest.raises(Stop):
        run(save=interrupt)
    state = load_state(tmp_path)
    assert state is not None
    for part in ("optimizer", "model", "sum"):
        forgotten = {
            k: torch.zeros_like(t) if k.startswith(part) else t for k, t in state.tensors.items()
        }
        assert losses(run(state=replace(state, tensors=forgotten))) != losses(whole)


def test_one_state_is_kept_and_a_finished_one_trains_no_more(tmp_path):
    whole = run(save=lambda state: save_state(tmp_path, state))
    names = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
    assert names == ["00008-00000.safetensors", RECORD]
    again = run(state=load_state(tmp_path))
    assert losses(again) == losses(whole)
    assert load_state(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(("each_epoch", "moments"), [(True, [1, 2, 3]), (False, [3])])
def test_states_are_saved_after_epochs_when_asked(each_epoch, moments):
    saved: list[State] = []
    run(epochs=3, saving=Saving(every_s=math.inf, save=saved.append, each_epoch=each_epoch))
    assert [(state.epoch, state.step) for state in saved] == [(epoch, 0) for epoch in moments]


def test_a_damaged_state_is_refused(tmp_path):
    run(epochs=1, save=lambda state: save_state(tmp_path, state))
    (tensors,) = (tmp_path / FOLDER).glob("*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:50])
    with pytest.raises(RunError, match="remove it to train this run from the start"):
        load_state(tmp_path)


def test_progress_counts_steps_and_epochs():
    seen: list[Progress] = []
    run(epochs=2, report=seen.append)
    assert [(p.epoch, p.step, p.row is not None) for p in seen] == [
        *[(0, step, False) for step in range(1, 6)], (1, 0, True),
        *[(1, step, False) for step in range(1, 6)], (2, 0, True),
    ]  # fmt: skip


def test_a_loss_that_is_not_finite_stops_with_advice():
    with pytest.raises(TrainingError, match="in epoch 1: lower --learning-rate, or clip"):
        run(config=OptimizerConfig(learning_rate=1e38))


def test_the_gradient_is_clipped():
    free, clipped = run(), run(config=replace(CONFIG, clip_norm=1e-3))
    assert losses(free) != losses(clipped)


def test_the_step_size_falls_at_milestones():
    config = OptimizerConfig(learning_rate=1.0, milestones=(0.5, 0.8), decay=0.1)
    rates = [learning_rate(config, epoch=e, epochs=10) for e in range(10)]
    assert rates == pytest.approx([1] * 5 + [0.1] * 3 + [0.01] * 2)
    assert math.isclose(learning_rate(config, epoch=0, epochs=1), 1.0)


def test_the_step_size_rises_over_steps_whatever_epochs_they_are_of(tmp_path):
    config = replace(CONFIG, warmup=8)
    shares = [warmed_share(config, step=step) for step in (0, 3, 7, 20)]
    assert shares == pytest.approx([1 / 8, 1 / 2, 1, 1])
    assert warmed_share(CONFIG, step=0) == 1
    whole = run(config=config)
    assert losses(whole) != losses(run())

    def interrupt(state: State) -> None:
        save_state(tmp_path, state)
        if (state.epoch, state.step) == (1, 1):
            raise Stop

    with pytest.raises(Stop):
        run(config=config, save=interrupt)
    # Five steps an epoch: the rise goes on in the second.
    state = load_state(tmp_path)
    assert losses(run(config=config, state=state)) == losses(whole)
    assert losses(run(state=state)) != losses(whole)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"learning_rate": 0.0}, "above 0"),
        ({"warmup": -1}, "warm-up from 0"),
        ({"milestones": (0.8, 0.5)}, "milestones ascend"),
        ({"milestones": (0.5, 1.0)}, "shares of the epochs"),
        ({"clip_norm": 0.0}, "clipped to above 0"),
    ],
)
def test_impossible_settings(changed, message):
    with pytest.raises(SettingError, match=message):
        OptimizerConfig(**changed)
