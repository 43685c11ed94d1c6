"""Measuring a run: on which networks, by which figures, and what is refused or not applicable."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy.stats import kendalltau

from sne.checkpoint import MODEL, load_run
from sne.errors import DataError, RunError
from sne.evaluate import main
from sne.evaluation import check_split, evaluate, figures_json
from sne.networks import identify
from sne.provenance import PROTOCOL_VERSION
from sne.recipes import default_config
from sne.train import train
from sne.zoo import open_zoo


@pytest.fixture(scope="module")
def run(digits_run):
    return load_run(digits_run)


@pytest.fixture(scope="module")
def evaluated(run, digits_zoo):
    """The run on its own zoo's test split."""
    return evaluate(run, open_zoo(digits_zoo))


@pytest.fixture(scope="module")
def mlp_run(digits_zoo, tmp_path_factory):
    """A model that takes arch1 alone."""
    config = default_config([str(digits_zoo)], model="mlp", recipe="cnn")
    config = replace(config, training=replace(config.training, epochs=1))
    return train(config, tmp_path_factory.mktemp("runs") / "mlp").path


def test_the_test_split_gives_the_figures_of_the_training(run, evaluated):
    found = evaluated.evaluation.to_json()
    kept = run.result["tests"][0]
    assert found["metrics"]["tau"] == kept["metrics"]["tau"]
    assert found["metrics"]["mse"]["value"] == pytest.approx(kept["metrics"]["mse"]["value"])


def test_figures_follow_from_the_predictions(evaluated, digits_zoo):
    rows = evaluated.predictions.to_pandas()
    assert set(rows["split"]) == {"test"}
    assert len(rows) == 30
    measured = evaluated.evaluation.measured
    assert measured is not None
    tau = kendalltau(rows["target"], rows["prediction"])[0]
    assert measured.rankings["tau"].tau.value == pytest.approx(tau)
    above = rows[rows["target"] > open_zoo(digits_zoo).plan.data["chance_accuracy"]]
    tau = kendalltau(above["target"], above["prediction"])[0]
    assert measured.rankings["tau_above_chance"].tau.value == pytest.approx(tau)
    assert measured.rankings["tau_above_chance"].tau.n == len(above) < 30
    error = ((rows["target"] - rows["prediction"]) ** 2).mean()
    assert measured.errors["mse"].value == pytest.approx(error)


def test_another_architecture_is_measured_on_any_split(run, arch2_zoo):
    zoo = open_zoo(arch2_zoo)
    assert evaluate(run, zoo).evaluation.n == 15
    everything = evaluate(run, zoo, split="all").evaluation
    assert everything.n == 30
    assert everything.unseen == ()
    assert everything.invariance is not None
    assert everything.invariance.functional is not None
    assert everything.invariance.control is not None


def test_all_networks_of_a_zoo_that_was_trained_on_are_refused(run, digits_zoo):
    zoo = open_zoo(digits_zoo)
    with pytest.raises(DataError, match=r"it is the same zoo; use --split test$"):
        evaluate(run, zoo, split="all")
    continued = replace(identify(zoo), hash="another")
    with pytest.raises(DataError, match="both are digits × arch1 of seed 0; use --split test"):
        check_split(run, continued, "all")
    check_split(run, replace(continued, seed=1), "all")


def test_a_zoo_without_the_target_is_refused(run, sine_zoo):
    with pytest.raises(DataError, match=r"the run predicts test_accuracy, which .* does not have"):
        evaluate(run, open_zoo(sine_zoo))


def test_a_model_that_cannot_take_the_networks_is_not_applicable(mlp_run, arch2_zoo, capsys):
    found = evaluate(load_run(mlp_run), open_zoo(arch2_zoo))
    assert found.predictions is None
    value = found.evaluation.to_json()
    assert (value["status"], value["metrics"]) == ("n/a", None)
    assert "mlp reads 4,970 weights at fixed places, those of arch1" in value["reason"]
    assert main([str(mlp_run), "--zoo", str(arch2_zoo)]) == 2
    assert "n/a: mlp reads 4,970 weights" in capsys.readouterr().out


def test_the_command_writes_what_it_prints(digits_run, digits_zoo, tmp_path, capsys):
    arguments = [str(digits_run), "--zoo", str(digits_zoo), "--out", str(tmp_path / "found")]
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "found" / "figures.json").read_text())
    assert printed["n"] == 30
    assert printed["budget"]["epochs"] == 3
    assert printed["n_train"] == 24
    assert len(printed["train_zoos"][0]["hash"]) == 64
    table = pq.read_table(tmp_path / "found" / "predictions.parquet")
    assert table.column_names == [
        "zoo", "member", "epoch", "arch", "split", "status", "target", "prediction",
    ]  # fmt: skip
    assert table.schema.field("target").metadata == {b"target": b"test_accuracy", b"unit": b""}
    assert (tmp_path / "found" / "predicted.png").read_bytes().startswith(b"\x89PNG")


def test_several_zoos_go_to_folders_of_their_own(digits_run, digits_zoo, arch2_zoo, capsys):
    assert main([str(digits_run), "--zoo", str(digits_zoo), "--zoo", str(arch2_zoo)]) == 0
    folders = sorted(path.name for path in (digits_run / "evaluations").iterdir())
    assert [name.rsplit("-", 2)[0] for name in folders] == ["digits-arch1", "digits-arch2"]
    text = capsys.readouterr().out
    assert text.count("Kendall's τ-b") == 2
    assert "% of pairs are tied" in text
    assert "intervals: 95%, bootstrap over networks" in text
    two = ["--zoo", str(digits_zoo), "--zoo", str(arch2_zoo), "--out", str(digits_run / "x")]
    assert main([str(digits_run), *two]) == 2
    assert "--out is one zoo's folder, got 2 zoos: leave it out" in capsys.readouterr().err


def test_other_checkpoints_replace_no_evaluation_of_the_usual_ones(run, digits_zoo, capsys):
    """Without --zoo it is the zoo that the run was trained on."""
    assert main([str(run.path), "--json"]) == 0
    usual = json.loads(capsys.readouterr().out)
    assert main([str(run.path), "--checkpoints", "all", "--json"]) == 0
    every = json.loads(capsys.readouterr().out)
    assert usual["zoo"] == every["zoo"]
    assert (usual["checkpoints"], every["checkpoints"]) == ("last", "all")
    assert usual["statuses"] == ["ok"]
    # Two checkpoints of each network, counted as one.
    assert (usual["n"], every["n"]) == (30, 60)
    assert every["metrics"]["tau"]["n"] == every["invariance"]["n"] == 30
    name = f"digits-arch1-{usual['zoo']['hash'][:8]}-test"
    for folder, figures in ((name, usual), (f"{name}-checkpoints-all", every)):
        kept = run.path / "evaluations" / folder / "figures.json"
        assert json.loads(kept.read_text()) == figures


def test_a_category_of_another_zoo_is_judged_by_the_training_zoos_classes(
    digits_zoo, arch2_zoo, tmp_path
):
    config = default_config([str(digits_zoo)], model="statnn", recipe="cnn")
    training = replace(config.training, epochs=1)
    data = replace(config.data, target="optimizer")
    run = train(replace(config, training=training, data=data), tmp_path / "run")
    # Leave out a class that the zoo has.
    run = replace(run, target=replace(run.target, classes=("adam", "rmsprop", "nobody's")))
    found = evaluate(run, open_zoo(digits_zoo))
    measured, rows = found.evaluation.measured, found.predictions.to_pandas()
    assert measured is not None
    assert measured.errors["accuracy"].n == 30
    assert measured.errors["cross_entropy"].n == (rows["target"] != "sgd").sum() < 30
    assert measured.errors["accuracy"].value == (rows["target"] == rows["prediction"]).mean()
    assert np.allclose([sum(p) for p in rows["probabilities"]], 1)
    assert main([str(run.path), "--zoo", str(digits_zoo)]) == 0  # draws who was taken for whom
    # The MLP of statistics cannot read other layers.
    assert evaluate(run, open_zoo(arch2_zoo)).evaluation.refusal is not None


def test_an_order_blind_model_shows_in_the_control(sine_zoo, tmp_path):
    config = default_config([str(sine_zoo)], model="deepsets")
    training = replace(config.training, epochs=2)
    run = train(replace(config, training=training), tmp_path / "run")
    found = evaluate(run, open_zoo(sine_zoo)).evaluation.invariance
    assert found is not None
    assert found.functional == pytest.approx(0, abs=1e-6)
    assert found.control == pytest.approx(0, abs=1e-6)
    assert (found.copies, found.n) == (5, 8)


def test_a_constant_model_has_no_figures_to_be_proud_of(run, digits_zoo):
    constant = load_run(run.path)
    with torch.no_grad():
        for parameter in constant.module.get_submodule("predictor").parameters():
            parameter.zero_()
    again = evaluate(constant, open_zoo(digits_zoo)).evaluation
    assert again.invariance is not None
    assert again.invariance.functional is None
    assert again.invariance.reason == "the prediction is constant"
    assert again.measured is not None
    assert again.measured.rankings["tau"].tau.value is None
    assert again.measured.rankings["tau"].tau.reason == "no ranking: the prediction is constant"


def test_figures_can_be_traced(run, evaluated):
    value = figures_json(run, evaluated.evaluation)
    for name in ("run", "model", "seed", "train_zoos", "budget", "protocol_version", "reason"):
        assert name in value
    json.dumps(value)


def test_runs_that_are_none(digits_run, tmp_path, capsys):
    with pytest.raises(RunError, match=r"is no run: it has no config\.json"):
        load_run(tmp_path)
    for name in ("config.json", "architectures.json"):
        (tmp_path / name).write_bytes((digits_run / name).read_bytes())
    with pytest.raises(RunError, match=r"has no model\.safetensors yet: its training has not"):
        load_run(tmp_path)
    (tmp_path / MODEL).write_bytes((digits_run / MODEL).read_bytes()[:-4])
    with pytest.raises(RunError, match="is damaged or of another model"):
        load_run(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "protocol_version": 0}))
    with pytest.raises(
        RunError, match=f"under protocol 0, this version of sne has {PROTOCOL_VERSION}"
    ):
        load_run(tmp_path)
    assert main([str(tmp_path / "gone"), "--zoo", "x"]) == 2
    assert "is no run" in capsys.readouterr().err
