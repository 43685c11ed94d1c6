"""Runs compared on the same networks: paired differences, refusals, and what is printed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import quick_config

from sne.checkpoint import load_run
from sne.compare import compare, main
from sne.errors import DataError
from sne.networks import open_zoos
from sne.recipes import default_config
from sne.train import train


@pytest.fixture(scope="module")
def boosting_run(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = default_config([str(digits_zoo)], model="boosting", recipe="cnn")
    return train(config, tmp_path_factory.mktemp("runs") / "boosting").path


def test_a_run_compared_with_itself_does_not_differ(digits_run: Path, digits_zoo: Path):
    run = load_run(digits_run)
    first, again = compare([run, run], open_zoos([str(digits_zoo)])[0])
    assert first.differences == {}
    tau = again.differences["tau"]
    assert (tau.value, tau.low, tau.high) == (0, 0, 0)


def test_differences_are_those_of_the_figures_and_paired(
    digits_run: Path, boosting_run: Path, digits_zoo: Path
):
    runs = [load_run(boosting_run), load_run(digits_run)]
    first, second = compare(runs, open_zoos([str(digits_zoo)])[0])
    for name in ("mse", "tau"):
        one, other = (c.evaluation.to_json()["metrics"][name]["value"] for c in (first, second))
        difference = second.differences[name].to_json()
        assert difference["value"] == pytest.approx(other - one)
        assert difference["low"] < difference["value"] < difference["high"]
        assert difference["method"].startswith("paired")


def test_several_checkpoints_of_a_network_count_as_one(digits_zoo: Path, tmp_path):
    config = default_config([str(digits_zoo)], model="boosting", recipe="cnn")
    config = replace(config, data=replace(config.data, checkpoints="all"))
    run = train(config, tmp_path / "all")
    again = compare([run, run], open_zoos([str(digits_zoo)])[0])[1]
    assert again.evaluation.n == 60
    assert {found.n for found in again.differences.values()} == {30}


def test_a_model_that_cannot_take_a_zoo_is_shown_as_such(
    digits_run: Path, boosting_run: Path, arch2_zoo: Path, capsys
):
    runs = [str(digits_run), str(boosting_run)]
    assert main([*runs, "--zoo", str(arch2_zoo)]) == 0
    assert "n/a" in capsys.readouterr().out
    assert main([*runs, "--zoo", str(arch2_zoo), "--json"]) == 0
    sne, boosting = json.loads(capsys.readouterr().out)["compared"]
    assert (sne["status"], boosting["status"]) == ("ok", "n/a")
    assert boosting["differences"] == {}


def test_runs_that_cannot_be_compared_are_refused(digits_run: Path, digits_zoo: Path, tmp_path):
    run = load_run(digits_run)
    zoo = open_zoos([str(digits_zoo)])[0]
    with pytest.raises(DataError, match="at least two runs"):
        compare([run], zoo)
    config = quick_config(digits_zoo)
    config = replace(config, data=replace(config.data, target="learning_rate"))
    other = train(config, tmp_path / "rate")
    with pytest.raises(DataError, match=r"predicts test_accuracy; .* predicts log10 learning_rate"):
        compare([run, other], zoo)
