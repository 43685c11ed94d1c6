"""Training from zoos to figures: what is kept, that it repeats, resumes and refuses in words."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import quick_config, small_config

from sne import fused
from sne.checkpoint import load_run
from sne.config import Data, Machine, Symmetry
from sne.errors import DataError, RunError, SettingError
from sne.fit import Progress
from sne.native import library
from sne.outcome import machine_facts
from sne.provenance import PROTOCOL_VERSION
from sne.recipes import default_config
from sne.train import main, train
from sne.zoo import compiler_version


def losses(run: Path) -> list[tuple[float, float]]:
    curves = pq.read_table(run / "curves.parquet")
    return list(
        zip(*(curves.column(c).to_pylist() for c in ("train_loss", "val_loss")), strict=True)
    )


class Stop(Exception):
    """What ends a training in the middle."""


def test_a_run_holds_everything_that_is_needed(digits_run, digits_zoo):
    names = {path.name for path in digits_run.iterdir()}
    assert names == {
        "config.json", "architectures.json", "model.safetensors", "curves.parquet", "curves.png",
        "predictions.parquet", "predicted-0.png", "result.json", "machine.json", "state",
    }  # fmt: skip
    assert [path.name for path in (digits_run / "state").iterdir()] == ["lock"]
    config = json.loads((digits_run / "config.json").read_text())
    assert config["zoos"][0]["uri"] == str(digits_zoo)
    assert (config["zoos"][0]["train"], config["zoos"][0]["val"]) == (24, 6)
    assert len(config["zoos"][0]["hash"]) == 64
    assert config["protocol_version"] == PROTOCOL_VERSION
    assert config["code_version"]
    assert config["config"]["training"]["seed"] == 0


def test_the_record_says_what_computed_attention(digits_run, monkeypatch):
    facts = json.loads((digits_run / "machine.json").read_text())
    there = library.load(width=8, heads=1) is not None
    assert facts["compiler"] == (compiler_version() if there else None)
    run, torch_alone = load_run(digits_run), Machine(compile=True)
    assert machine_facts(run, torch_alone)["compiler"] is None
    monkeypatch.setattr(fused, "load", lambda **_: None)
    assert machine_facts(run, Machine())["compiler"] is None


def test_predictions_of_all_splits_are_kept(digits_run):
    table = pq.read_table(digits_run / "predictions.parquet").to_pylist()
    assert len(table) == len({row["member"] for row in table}) == 60
    splits = [row["split"] for row in table]
    assert [splits.count(s) for s in ("train", "val", "test")] == [24, 6, 30]
    assert all(0 < row["prediction"] < 1 for row in table)


def test_figures_come_with_their_budget_and_a_warning(digits_run):
    result = load_run(digits_run).result
    (test,) = result["tests"]
    assert test["split"] == "test"
    assert test["metrics"]["tau"]["n"] == 30
    assert set(test["metrics"]) == {"tau", "tau_above_chance", "mse", "mae", "r2"}
    assert {k: result["budget"][k] for k in ("epochs", "steps")} == {"epochs": 3, "steps": 9}
    assert result["trained"]["enough"] in (True, False)


def test_equal_seeds_train_equal_models_and_others_do_not(digits_run, digits_zoo, tmp_path):
    config = small_config(digits_zoo)
    again = train(config, tmp_path / "again")
    assert losses(again.path) == losses(digits_run)
    other = train(replace(config, training=replace(config.training, seed=1)), tmp_path / "other")
    assert losses(other.path) != losses(digits_run)


def test_an_interrupted_training_goes_on_with_identical_losses(digits_run, digits_zoo, tmp_path):
    def stop(progress: Progress) -> None:
        if progress.epoch == 1 and progress.step == 2:
            raise Stop

    config, out = small_config(digits_zoo), tmp_path / "run"
    with pytest.raises(Stop):
        train(config, out, machine=Machine(save_every=0.0), report=stop)
    assert len(losses(out)) == 1
    assert load_run(out).result == {}
    seen: list[Progress] = []
    train(config, out, report=seen.append)
    assert (seen[0].epoch, seen[0].step) == (1, 2)
    assert losses(out) == losses(digits_run)


def test_a_killed_process_goes_on_with_identical_losses(digits_zoo, tmp_path):
    """A real kill -9 while it trains, at whatever step it happens to be."""
    config = small_config(digits_zoo, epochs=10)
    sizes = ["--epochs", "10", "--batch", "8"]
    for name in ("chunk", "width", "heads", "chunk_sabs", "sabs", "encoding"):
        flag = f"--sne.{name.replace('_', '-')}"
        sizes += [flag, str(getattr(config.settings, name))]
    sizes += ["--sne.head", "8"]
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "sne.train", "--zoo", str(digits_zoo), "--out", str(out)]
    process = subprocess.Popen(
        [*command, *sizes, "--save-every", "0"], stderr=subprocess.PIPE, text=True
    )
    state = out / "state" / "state.json"
    deadline = time.monotonic() + 120
    while not (state.exists() and json.loads(state.read_text())["epoch"] >= 1):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "result.json").exists()
    reached = json.loads(state.read_text())["epoch"]
    assert 1 <= reached < 10
    begun: list[Progress] = []
    train(config, out, report=begun.append)
    assert begun[0].epoch == reached
    train(config, tmp_path / "whole")
    assert losses(out) == losses(tmp_path / "whole")


def test_a_finished_run_is_not_trained_again(digits_run, digits_zoo):
    steps: list[Progress] = []
    before = (digits_run / "model.safetensors").stat().st_mtime_ns
    train(small_config(digits_zoo), digits_run, report=steps.append)
    assert not steps
    assert (digits_run / "model.safetensors").stat().st_mtime_ns == before


def test_another_training_in_the_same_folder_is_refused(digits_run, digits_zoo, tmp_path):
    with pytest.raises(RunError) as caught:
        train(small_config(digits_zoo, epochs=4), digits_run)
    assert str(caught.value) == (
        f"{digits_run} holds another training (training.epochs: 3 there, 4 now): choose another "
        "--out, or remove it"
    )
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(RunError, match="is a folder of something else: choose another --out"):
        train(small_config(digits_zoo), tmp_path)


def test_two_processes_do_not_train_one_run(digits_zoo, tmp_path):
    def second(progress: Progress) -> None:
        train(small_config(digits_zoo), tmp_path / "run")

    with pytest.raises(RunError, match="another process is training in"):
        train(small_config(digits_zoo), tmp_path / "run", report=second)


def test_several_zoos_train_one_model(digits_zoo, arch2_zoo, tmp_path):
    config = quick_config(digits_zoo)
    config = replace(config, data=Data(zoo=(str(digits_zoo), str(arch2_zoo))))
    run = train(config, tmp_path / "union")
    assert [t["zoo"]["family"] for t in run.result["tests"]] == ["arch1", "arch2"]
    # 24 and 12 networks: balanced, so 2 × 24 in batches of 8.
    assert run.result["budget"]["steps"] == 6
    with pytest.raises(DataError, match="are the same zoo: name it once"):
        train(replace(config, data=Data(zoo=(str(digits_zoo),) * 2)), tmp_path / "twice")


@pytest.mark.parametrize(
    ("target", "metrics"),
    [
        ("learning_rate", {"tau", "mse", "mae", "r2"}),
        ("optimizer", {"accuracy", "cross_entropy"}),
        ("generalization_gap", {"tau", "mse", "mae", "r2"}),
    ],
)
def test_other_targets(digits_zoo, tmp_path, target, metrics):
    config = quick_config(digits_zoo)
    run = train(replace(config, data=replace(config.data, target=target)), tmp_path / "run")
    (test,) = run.result["tests"]
    assert set(test["metrics"]) == metrics
    predicted = pq.read_table(run.path / "predictions.parquet").column("prediction").to_pylist()
    if target == "optimizer":
        assert set(predicted) <= {"adam", "rmsprop", "sgd"}
    if target == "learning_rate":
        assert run.target.label == "log10 learning_rate"
        assert all(-4 < value < -1 for value in predicted)


def test_checkpoints_may_all_be_learnt_from(digits_zoo, tmp_path):
    config = quick_config(digits_zoo)
    data = replace(config.data, target="epoch", checkpoints="all")
    run = train(replace(config, data=data), tmp_path / "run")
    (test,) = run.result["tests"]
    assert test["n"] == 60
    assert test["metrics"]["tau"]["n"] == 30  # networks
    with pytest.raises(DataError, match=r"'epoch' has one value only \(1\) among the 24 training"):
        train(replace(config, data=replace(config.data, target="epoch")), tmp_path / "last")


@pytest.mark.parametrize("model", ["mlp", "deepsets", "statnn", "boosting"])
def test_every_model_trains_and_loads(sine_zoo, tmp_path, model):
    config = default_config([str(sine_zoo)], model=model)
    config = replace(config, training=replace(config.training, epochs=2))
    run = train(config, tmp_path / model)
    assert run.result["tests"][0]["metrics"]["tau"]["n"] == 8
    table = pq.read_table(run.path / "predictions.parquet")
    assert len(set(table.column("prediction").to_pylist())) > 1


def test_a_model_fitted_at_once_takes_no_symmetries(sine_zoo, tmp_path):
    config = default_config([str(sine_zoo)], model="boosting")
    with pytest.raises(SettingError, match="boosting is fitted at once, not in steps: leave out"):
        train(replace(config, symmetry=Symmetry(augment=True)), tmp_path / "run")


def test_the_command(digits_zoo, tmp_path, capsys):
    flags = ["--zoo", str(digits_zoo), "--model", "mlp", "--epochs", "1"]
    assert main([*flags, "--out", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert f"test_accuracy of digits × arch1, split test: {digits_zoo}" in out
    assert "Kendall's τ-b" in out
    assert "budget: 1 epochs, 1 steps" in out
    assert main([*flags, "--out", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budget"]["epochs"] == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--target", "frequency"], "has no target 'frequency'; there are: epoch, "),
        (["--model", "snee"], "no model 'snee'; there are: sne, mlp, deepsets, statnn, boosting"),
        (["--recipe", "rnn"], "no recipe 'rnn'; there are: inr, cnn"),
        (["--epochs", "0"], "--epochs is at least 1, got 0"),
        (["--sne.width", "63"], "must be a multiple of the heads"),
        (["--device", "gpu9"], "there is no device 'gpu9' here; cpu is always there"),
    ],
)
def test_refusals_of_the_command(digits_zoo, tmp_path, capsys, flags, message):
    out = ["--out", str(tmp_path / "run")]
    try:
        code = main(["--zoo", str(digits_zoo), *out, *flags])
    except SystemExit as stop:  # usage errors end as tyro does it
        code = stop.code
    assert code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_zoos_that_are_none(tmp_path, capsys):
    assert main(["--zoo", str(tmp_path / "gone"), "--out", str(tmp_path / "run")]) == 2
    assert "is no zoo" in capsys.readouterr().err
