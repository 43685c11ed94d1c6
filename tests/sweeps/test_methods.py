"""`python -m sweeps.methods` on tiny zoos: equal seconds, one table, kept lengths, refusals."""

import json
from functools import partial
from pathlib import Path

import pytest

from sne.config import Machine
from sne.recipes import default_config
from sweeps import methods, methods_plan, sweep
from sweeps.methods import main
from sweeps.methods_plan import epochs_in, lasting, measure_epoch, read_lengths
from sweeps.report import write_page
from sweeps.results import finished, read_results

HERE = ("--device", "cpu", "--local")
MODELS = ("mlp", "boosting", "dwsnet")
SMALL = ("--set", "deepsets.width=8", "--set", "dwsnet.width=8", "--set", "mlp.hidden=[8]")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured for a moment, and pages without t-SNE."""
    monkeypatch.setattr(methods_plan, "MEASURED_S", 0.05)
    page = partial(write_page, with_embedding=False)
    monkeypatch.setattr(
        methods, "add_page", lambda folder, measure, device: page(folder, measure=measure)
    )


def flags(out: Path, *zoos: Path) -> list[str]:
    return ["--zoos", *map(str, zoos), "--seconds", "0.2", "--seeds", "0", *SMALL, *HERE,
            "--out", str(out)]  # fmt: skip


def test_what_was_measured_is_not_measured_again(sine_zoo, tmp_path, capsys, monkeypatch):
    asked: list[str] = []

    def estimate(trials, *, device):
        asked.extend(trial.config.model for trial in trials)
        return {trial.hash: 7.0 for trial in trials}

    monkeypatch.setattr(sweep, "estimate_seconds", estimate)
    given = [*flags(tmp_path / "out", sine_zoo), "--seconds", "100"]
    assert main([*given, "--models", "mlp", "boosting", "--dry-run"]) == 0
    seconds = read_lengths_of(capsys.readouterr().out)
    assert asked == ["boosting"]
    assert seconds == {"mlp": "1 min 41 s", "boosting": "8 s"}


def read_lengths_of(plan: str) -> dict[str, str]:
    """By model what a plan's lines say of its time."""
    rows = [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in plan.splitlines()
    ]
    return {name.split(", ")[1]: seconds for _, _, seconds, name in rows}


def test_every_method_on_each_zoo_in_one_table(sine_zoo, arch1_zoo, arch2_zoo, tmp_path, capsys):
    out = tmp_path / "out"
    given = flags(out, sine_zoo, arch1_zoo)
    assert main([*given, "--models", *MODELS, "--also", str(arch2_zoo)]) == 0
    text, told = capsys.readouterr()
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    header, rows = lines[0], {cells[0]: cells for cells in lines[2:]}
    assert list(rows) == list(MODELS)
    assert header[1:5] == [
        "parameters, sine × siren", "epochs: best, all", "parameters, digits × arch1",
        "epochs: best, all",
    ]  # fmt: skip
    assert header[5:] == [
        "mean squared error, sine × siren", "Kendall's τ-b, digits × arch1",
        "Kendall's τ-b, digits × arch1 → digits × arch2",
    ]  # fmt: skip
    # Each model's own reason where it takes no convolutions, or one architecture only.
    assert rows["dwsnet"][3:5] == ["–", "–"]
    assert rows["dwsnet"][6].startswith("n/a")
    assert rows["mlp"][7].startswith("n/a")
    assert rows["boosting"][2] == "fitted at once"
    assert "30 networks; equal accuracies leave at most" in text
    assert "8 networks; the best constant has" in text
    kept = json.loads((out / "epochs.json").read_text())
    assert kept["seconds"] == 0.2
    trained = read_results(out).to_pylist()
    planned = set(kept["epochs"].values())
    assert {row["epochs"] for row in trained if row["steps"]} <= planned
    assert "Methods: frequency and test accuracy, by " in (out / "page.html").read_text()
    assert (out / "methods.tex").exists()
    assert "an epoch" in told

    # The same again measures and trains nothing; one more model does what is missing.
    before = finished(out)
    assert main([*given, "--models", *MODELS, "deepsets", "--also", str(arch2_zoo)]) == 0
    text, told = capsys.readouterr()
    (row,) = [line for line in text.splitlines() if line.startswith("| deepsets")]
    assert "n/a" not in row
    assert "measuring an epoch of each of 2 methods" in told
    assert len(finished(out) - before) == 2
    assert json.loads((out / "epochs.json").read_text())["epochs"].items() >= kept["epochs"].items()

    assert main([*given[:-2], "--seconds", "2", "--out", str(out)]) == 2
    assert "was planned with --seconds 0.2, and 2 is asked for" in capsys.readouterr().err


def test_an_epoch_is_measured_by_training_and_nothing_is_left(sine_zoo, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = default_config((str(sine_zoo),), model="mlp")
    machine = Machine(device="cpu", threads=1)
    assert 0 < measure_epoch(config, machine) < 1
    fitted = default_config((str(sine_zoo),), model="boosting")
    assert measure_epoch(fitted, machine) == 0
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_take_the_networks_has_no_epoch(arch1_zoo):
    config = default_config((str(arch1_zoo),), model="dwsnet", recipe="cnn")
    assert measure_epoch(config, Machine(device="cpu", threads=1)) == 0


def test_epochs_fill_the_seconds_and_warm_up_a_tenth_of_them():
    assert epochs_in(120, 7) == 17
    assert epochs_in(120, 500) == 1
    assert epochs_in(120, 0) == 1
    config = default_config((), model="neuralgraph", recipe="inr")
    assert config.optimizer.warmup == 1000
    short = lasting(config, epochs=10, networks=800)  # of 128: 7 steps an epoch
    assert (short.training.epochs, short.optimizer.warmup) == (10, 7)
    assert lasting(config, epochs=10_000, networks=800).optimizer.warmup == 1000


def test_damaged_lengths_are_told_of(tmp_path):
    (tmp_path / "epochs.json").write_text('{"format": 1}')
    with pytest.raises(Exception, match=r"is damaged .* remove it to measure anew"):
        read_lengths(tmp_path, seconds=1.0)
    (tmp_path / "epochs.json").write_text('{"format": 9, "seconds": 1.0, "epochs": {}}')
    with pytest.raises(Exception, match="of another format"):
        read_lengths(tmp_path, seconds=1.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--models", "nfn"), "no model 'nfn'; there are: sne"),
        (("--models", "mlp", "mlp"), "--models are different names"),
        (("--seconds", "0"), "--seconds is above 0"),
        (("--seeds", "1", "1"), "--seeds are different whole numbers"),
    ],
)
def test_bad_requests(given, said, sine_zoo, tmp_path, capsys):
    zoo = ("--zoos", str(sine_zoo))
    assert main([*zoo, "--out", str(tmp_path / "out"), *HERE, *given]) == 2
    assert said in capsys.readouterr().err
