"""What people read: progress lines, tables, the warning about models that learnt nothing."""

import io
import time

import pytest

from sne import progress as progress_module
from sne.fit import Progress
from sne.progress import Watch, duration_text, heartbeat, shown
from sne.report import UNFINISHED, evaluation_section, run_notes

ESTIMATE = {"value": 0.5, "low": 0.4, "high": 0.6, "level": 0.95, "n": 30, "reason": None}
FIGURES = {
    "zoo": {"dataset": "svhn", "family": "arch2", "uri": "zoos/a"},
    "split": "test",
    "target": "test_accuracy",
    "n": 30,
    "dropped": 2,
    "metrics": {"tau": {**ESTIMATE, "tied": 0.25, "ceiling": 0.866}, "mse": ESTIMATE},
    "invariance": {"functional": 0.01, "control": 1.5, "n": 30, "reason": None},
    "unseen": ["attention weight"],
    "reason": None,
}


def test_a_table_says_ties_ceiling_intervals_and_the_control():
    section = evaluation_section(FIGURES)
    assert section.title == "test_accuracy of svhn × arch2, split test: zoos/a"
    rows = {row[0]: row[1:] for row in section.rows}
    assert rows["Kendall's τ-b"] == (
        "0.5", "0.4 … 0.6", "30", "ceiling 0.866: 25.0% of pairs are tied",
    )  # fmt: skip
    assert rows["mean squared error"] == ("0.5", "0.4 … 0.6", "30", "")
    assert rows["invariance error"][3] == "1.5 for permutations that change the function"
    assert section.notes == (
        "intervals: 95%, bootstrap over networks",
        "2 networks were left out: a weight is not finite",
        "never seen in training, scaled as their nearest role: attention weight",
        "invariance error: how far predictions move when neurons are reordered, as a share of "
        "their variance (a model that sees no order has 0 in both)",
    )
    every = evaluation_section({**FIGURES, "checkpoints": "all"})
    assert every.title == "test_accuracy of svhn × arch2, split test, checkpoints all: zoos/a"


def test_what_is_missing_is_said():
    nothing = {**ESTIMATE, "value": None, "low": None, "high": None, "reason": "no ranking"}
    metrics = {"tau": {**nothing, "tied": 0.25, "ceiling": 0.866}}
    invariance = {"functional": None, "control": None, "n": 3, "reason": "constant"}
    section = evaluation_section({**FIGURES, "metrics": metrics, "invariance": invariance})
    assert section.rows == (("Kendall's τ-b", "–", "", "30", "no ranking"),)
    assert section.notes[-1] == "no invariance error: constant"
    refused = {**FIGURES, "metrics": None, "invariance": None, "reason": "too large"}
    assert evaluation_section(refused).notes == ("n/a: too large",)


def test_a_model_that_learnt_nothing_is_marked():
    budget = {"epochs": 3, "steps": 9, "seconds": 61.0, "best_epoch": 2}
    gain = {**ESTIMATE, "value": 0.01, "low": -0.1, "high": 0.1}
    notes = run_notes({"budget": budget, "trained": {"enough": False, "gain_over_constant": gain}})
    assert notes[0] == "budget: 3 epochs, 9 steps, 1 min 01 s; kept epoch 2"
    assert notes[1].startswith("NOT TRAINED ENOUGH: on its own training networks it is no better")
    assert "(gain 0.01, interval -0.1 … 0.1)" in notes[1]
    assert len(run_notes({"budget": budget, "trained": {"enough": True}})) == 1
    once = {"epochs": 0, "steps": 0, "seconds": 2.0, "best_epoch": 0}
    assert run_notes({"budget": once}) == ["budget: fitted at once, 2 s"]
    assert run_notes({}) == []
    assert run_notes({"budget": {}}) == [UNFINISHED]


def step(epoch: int, number: int, row=None) -> Progress:
    return Progress(epoch=epoch, epochs=4, step=number, steps=5, row=row, best_epoch=1)


def test_progress_says_epoch_losses_rate_and_time_left(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    watch = Watch(batch=10)
    assert watch.line() == "starting"
    now = 107.0
    assert watch.update(step(0, 1))
    assert watch.warm_up_s == 7
    now = 109.0
    assert not watch.update(step(0, 5))
    assert watch.line() == "epoch 1/4, 20 networks/s, 8 s left"
    watch.update(step(1, 0, {"train_loss": 0.5, "val_loss": 0.25}))
    assert watch.line() == (
        "epoch 2/4: loss 0.5, validation 0.25 (best in epoch 1), 20 networks/s, 8 s left"
    )
    assert watch.share == 0.25


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.4, "3 s"), (61, "1 min 01 s"), (7260, "2 h 01 min")]
)
def test_durations(seconds, text):
    assert duration_text(float(seconds)) == text


def test_plain_lines_where_there_is_no_terminal(monkeypatch):
    err = io.StringIO()
    monkeypatch.setattr(progress_module.sys, "stderr", err)
    with shown(batch=10) as report:
        report(step(0, 1))
        report(step(4, 0, {"train_loss": 0.5, "val_loss": None}))
    assert err.getvalue().startswith("epoch 4/4: loss 0.5, ")
    assert err.getvalue().count("\n") == 1


def test_work_without_steps_says_that_it_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(progress_module, "PLAIN_EVERY_S", 0.01)
    with heartbeat("encoding"):
        time.sleep(0.2)
    said = capsys.readouterr().err
    assert "  encoding, 0 s so far\n" in said
    time.sleep(0.05)
    assert capsys.readouterr().err == ""
