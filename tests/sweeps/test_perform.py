"""One trial from zoos to a result: complete, never repeated, gone on with, extended, refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import MACHINE, tiny_trial

from sne.fit import Progress
from sweeps.errors import PlanError
from sweeps.perform import complete_trial, missing_tests, run_folder, run_trial
from sweeps.results import (
    VOLATILE,
    TrialResult,
    read_curves,
    read_predictions,
    read_results,
    read_where,
)


class Stop(Exception):
    """What ends a training in the middle."""


def values(folder: Path, trial: str) -> list[dict]:
    """The figures, without what may differ between two runs."""
    return read_results(folder, [trial]).drop_columns(list(VOLATILE)).to_pylist()


@pytest.fixture(scope="module")
def swept(arch1_zoo, arch2_zoo, tmp_path_factory):
    """A tiny trial that was performed, and its folder."""
    from sweeps.zoos import open_sweep_zoos

    trial = tiny_trial(open_sweep_zoos([str(arch1_zoo), str(arch2_zoo)]), "sne")
    folder = tmp_path_factory.mktemp("sweep")
    complete_trial(trial, folder, machine=MACHINE, command="python -m sweeps.matrix")
    return trial, folder


def test_a_result_is_complete(swept):
    trial, folder = swept
    rows = read_results(folder).to_pylist()
    by_test = {}
    for row in rows:
        name = row["test_zoo"]["family"] if row["test_zoo"] else row["split"]
        by_test.setdefault(name, set()).add(row["metric"])
    figures = {"tau", "tau_above_chance", "mse", "mae", "r2", "invariance", "invariance_control"}
    assert by_test == {
        "train": {"gain_over_constant"}, "val": {"val_loss"}, "arch1": figures, "arch2": figures,
    }  # fmt: skip
    tau = next(r for r in rows if r["metric"] == "tau" and r["test_zoo"]["family"] == "arch2")
    assert (tau["n_networks"], tau["n_train"], tau["epochs"], tau["steps"]) == (15, 24, 2, 6)
    assert tau["low"] <= tau["value"] <= tau["high"] <= 1
    assert tau["method"] == "percentile bootstrap over networks"
    assert tau["parameters"] > 1000
    val = next(row for row in rows if row["metric"] == "val_loss")
    curves = read_curves(folder, trial.hash).to_pylist()
    assert val["value"] == min(row["val_loss"] for row in curves)
    where = read_where(folder, trial.hash)
    assert where["command"] == "python -m sweeps.matrix"
    assert where["machine"]["threads"] == 1


def test_predictions_give_the_figures_again(swept):
    from sne.kendall import kendall

    trial, folder = swept
    table = read_predictions(folder, trial.hash)
    for ref in trial.test:
        own = table.filter([zoo == ref.label.hash for zoo in table.column("zoo").to_pylist()])
        tau = kendall(own.column("target").to_numpy(), own.column("prediction").to_numpy())
        row = next(
            row
            for row in read_results(folder).to_pylist()
            if row["metric"] == "tau" and row["test_zoo"]["hash"] == ref.label.hash
        )
        assert (row["value"], row["low"], row["high"]) == (tau.tau.value, tau.tau.low, tau.tau.high)


def test_a_finished_trial_is_not_repeated(swept):
    trial, folder = swept
    assert missing_tests(folder, trial) == ()
    assert complete_trial(trial, folder, machine=MACHINE) is None


def test_one_more_zoo_is_tested_without_training_again(swept, tmp_path):
    trial, whole = swept
    steps: list[Progress] = []
    first = replace(trial, test=trial.test[:1])
    complete_trial(first, tmp_path, machine=MACHINE)
    assert missing_tests(tmp_path, trial) == trial.test[1:]
    added = complete_trial(trial, tmp_path, machine=MACHINE, report=steps.append)
    assert isinstance(added, TrialResult)
    assert not steps
    assert values(tmp_path, trial.hash) == values(whole, trial.hash)
    assert read_predictions(tmp_path, trial.hash).equals(read_predictions(whole, trial.hash))
    assert "tested_later" in read_where(tmp_path, trial.hash)


def test_an_interrupted_trial_ends_as_an_undisturbed_one(swept, tmp_path):
    trial, whole = swept

    def stop(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (1, 1):
            raise Stop

    machine = replace(MACHINE, save_epochs=True)
    with pytest.raises(Stop):
        complete_trial(trial, tmp_path, machine=machine, report=stop)
    assert missing_tests(tmp_path, trial) == trial.test
    steps: list[Progress] = []
    complete_trial(trial, tmp_path, machine=machine, report=steps.append)
    assert (steps[0].epoch, steps[0].step) == (1, 1)
    assert values(tmp_path, trial.hash) == values(whole, trial.hash)
    assert read_predictions(tmp_path, trial.hash).equals(read_predictions(whole, trial.hash))


def test_a_model_that_cannot_take_a_zoo_is_n_a_with_the_reason(opened, tmp_path):
    trial = tiny_trial(opened, "statnn")
    complete_trial(trial, tmp_path, machine=MACHINE)
    rows = [r for r in read_results(tmp_path).to_pylist() if r["status"] == "n/a"]
    (row,) = rows
    assert (row["metric"], row["value"], row["n_networks"]) == ("tau", None, 15)
    assert row["test_zoo"]["family"] == "arch2"
    assert "statnn" in row["reason"]


def test_a_model_that_cannot_be_trained_is_n_a_everywhere(opened, tmp_path):
    trial = tiny_trial(opened, "mlp")
    config = replace(trial.config, data=replace(trial.config.data, zoo=_uris(trial.test)))
    both = replace(trial, config=config, train=trial.test)
    complete_trial(both, tmp_path, machine=MACHINE)
    rows = read_results(tmp_path).to_pylist()
    assert [(row["status"], row["epochs"], row["n_train"]) for row in rows] == [("n/a", 0, 0)] * 2
    assert not run_folder(tmp_path, both).exists()


def _uris(refs):
    return tuple(ref.uri for ref in refs)


def test_a_zoo_that_was_changed_is_noticed(opened, tmp_path):
    trial = tiny_trial(opened)
    label = replace(trial.train[0].label, hash="0" * 64)
    old = replace(trial, train=(replace(trial.train[0], label=label),))
    with pytest.raises(PlanError, match="was changed since the sweep began: start the sweep again"):
        run_trial(old, tmp_path / "run", machine=MACHINE)
    assert old.hash != trial.hash
