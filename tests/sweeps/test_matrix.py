"""The matrix in one process: filled, extended, killed and resumed; its tables and refusals."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sweep_commands import done, figures, finish, same_results, start, states, wait_until

from sweeps.asked import read_asked
from sweeps.matrix import PROGRAM, main
from sweeps.results import finished, read_results
from zoogen.lock import hold
from zoogen.store import open_store

MATRIX = PROGRAM.removeprefix("python -m ")
TINY = (
    "--epochs", "2", "--set", "training.batch=8", "--set", "deepsets.width=8", "--device", "cpu",
)  # fmt: skip
ONE = (*TINY, "--seeds", "0")


@pytest.fixture(scope="module")
def filled(arch1_zoo, arch2_zoo, tmp_path_factory) -> Path:
    """A matrix of two zoos and two models, made in one process."""
    out = tmp_path_factory.mktemp("matrix") / "filled"
    zoos = ("--zoos", arch1_zoo, arch2_zoo)
    done(MATRIX, *zoos, "--models", "deepsets", "statnn", *ONE, "--local", "--out", out)
    return out


def test_every_model_is_trained_once_for_each_zoo_and_seed(filled):
    rows = [r for r in figures(filled) if r["metric"] == "tau"]
    assert len(finished(filled)) == 4
    places = {
        (r["model"], r["seed"], r["train_zoos"][0]["family"], r["test_zoo"]["family"]): r["status"]
        for r in rows
    }
    assert len(places) == 8
    refused = {place for place, status in places.items() if status == "n/a"}
    assert refused == {
        ("statnn", 0, "arch1", "arch2"),
        ("statnn", 0, "arch2", "arch1"),
    }


def test_its_tables_and_its_picture(filled):
    text = (filled / "matrix.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| digits")]
    assert len(lines) == 6
    assert lines[1].startswith("| digits × arch1 | digits × arch2 | 15 |")
    assert lines[1].endswith("n/a [a] |")
    assert "[a] statnn reads statistics of 8 tensors" in text
    assert lines[4].startswith("| digits × arch1 | mean |")
    assert "| all pairs | mean |" in text
    latex = (filled / "matrix.tex").read_text()
    assert latex.count("\\\\\n") == 8
    assert "digits $\\times$ arch1" in latex
    assert (filled / "matrix.png").read_bytes().startswith(b"\x89PNG")
    asked = read_asked(filled)
    assert asked.command.startswith("python -m sweeps.matrix --zoos ")
    assert {entry.table for entry in asked.entries} == {"deepsets", "statnn"}


def test_a_killed_matrix_goes_on_and_ends_bit_for_bit_as_an_undisturbed_one(
    filled, arch1_zoo, arch2_zoo, tmp_path
):
    out = tmp_path / "killed"
    flags = (
        "--zoos", arch1_zoo, arch2_zoo, "--models", "deepsets", "statnn", *ONE, "--local",
        "--out", out,
    )  # fmt: skip
    process = start(MATRIX, *flags)
    wait_until(lambda: len(finished(out)) >= 1 and states(out))
    process.kill()
    finish(process)
    there = finished(out)
    if len(there) == 4:
        pytest.skip("every trial was done before the signal came")
    assert there
    before = {trial: (out / "results" / f"{trial}.parquet").stat().st_mtime_ns for trial in there}
    _, err = done(MATRIX, *flags)
    assert f"4 trials, {len(there)} of them done already" in err
    assert same_results(out, filled)
    assert (out / "matrix.tex").read_bytes() == (filled / "matrix.tex").read_bytes()
    for trial, written in before.items():
        assert (out / "results" / f"{trial}.parquet").stat().st_mtime_ns == written


def test_a_signal_says_how_to_go_on(arch1_zoo, tmp_path):
    out = tmp_path / "stopped"
    flags = ("--zoos", arch1_zoo, "--models", "deepsets", *ONE, "--local", "--out", out)
    process = start(MATRIX, *flags, "--epochs", "1000")
    wait_until(lambda: states(out))
    os.killpg(process.pid, signal.SIGTERM)
    code, stdout, err = finish(process)
    assert (code, stdout) == (143, "")
    assert f"the same command goes on:\n  python -m sweeps.matrix --zoos {arch1_zoo} " in err


def test_one_more_zoo_or_model_runs_what_is_missing(filled, arch1_zoo, arch2_zoo, tmp_path):
    out = tmp_path / "grown"
    first = ("--models", "deepsets", *ONE, "--local", "--out", str(out))
    assert main(["--zoos", str(arch1_zoo), *first]) == 0
    runs = {p: p.stat().st_mtime_ns for p in (out / "runs").glob("*/model.safetensors")}
    both = ("--zoos", str(arch1_zoo), str(arch2_zoo))
    more = ("--models", "deepsets", "statnn", *first[2:])
    assert main([*both, *more]) == 0
    assert {p: p.stat().st_mtime_ns for p in runs} == runs
    rows, whole = (
        sorted(figures(folder), key=lambda r: json.dumps([r["trial"], r["metric"], r["test_zoo"]]))
        for folder in (out, filled)
    )
    assert rows == whole
    assert (out / "matrix.tex").read_bytes() == (filled / "matrix.tex").read_bytes()


def test_a_dry_run_lists_trials_and_trains_nothing(arch1_zoo, tmp_path, capsys):
    out = tmp_path / "dry"
    flags = ["--zoos", str(arch1_zoo), "--models", "deepsets", *ONE, "--local", "--out", str(out)]
    assert main([*flags, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("deepsets, digits × arch1, seed 0")
    assert "MiB" in lines[0]
    assert not out.exists()


def test_a_trial_that_fails_is_said_and_tried_again(arch1_zoo, tmp_path, capsys):
    out = tmp_path / "failing"
    flags = ["--zoos", str(arch1_zoo), "--models", "deepsets", "boosting", *ONE]
    flags += ["--local", "--out", str(out)]
    # A loss that is not finite in the first epoch; the other model takes no steps.
    spoiled = ["--set", "optimizer.learning_rate=1e30"]
    assert main([*flags, *spoiled]) == 1
    captured = capsys.readouterr()
    assert "| – [a] |" in captured.out
    assert "[a] failed: the training loss is" in captured.out
    # Said when it happened, and not once more.
    assert captured.err.count("the training loss is") == 1
    assert "failed: deepsets, digits × arch1, seed 0" in captured.err
    (record,) = (out / "failures").iterdir()
    assert "Traceback" in json.loads(record.read_text())["traceback"]
    assert main([*flags, *spoiled, "--models", "deepsets"]) == 1
    assert capsys.readouterr().out == ""
    assert main(flags) == 0
    assert "the same command" not in capsys.readouterr().err


REFUSALS = [
    (["--models", "snee"], "no model 'snee'; there are: sne, mlp, deepsets, statnn, boosting"),
    (["--models", "mlp", "mlp"], "--models are different names"),
    (["--metric", "auc"], "no metric 'auc' for tables; there are: tau, mse, mae, accuracy"),
    (["--target", "colour"], "has no target 'colour'; there are: epoch, "),
    (["--target", "epoch"], "'epoch' has one value only (1) among the 24 training networks"),
    (["--seeds", "1", "1"], "--seeds are different whole numbers from 0, got [1, 1]"),
    (["--set", "sne.chunks=4", "--models", "sne"], "no setting 'chunks' in --set sne.chunks=4"),
    (["--set", "cnn.chunk=4"], "no group 'cnn' in --set cnn.chunk=4; there are: data, training, "),
    (["--set", "chunk"], "--set is GROUP.NAME=VALUE, for example sne.chunk=16"),
    (["--set", "training.seed=3"], "--set training.seed=3: there is a flag for seed"),
    (["--set", "training.batch=all"], "--set training.batch=all: batch is like 64, got 'all'"),
    (["--card", "tiny"], "a card's size is a number and GB or MB, such as 11GB, got 'tiny'"),
    (["--card", "0.81GB", "--models", "statnn"], "and --card 0.81GB has 10.2 MiB to give"),
    (["--address", "127.0.0.1:1"], "--local trains in this process, --address on a cluster"),
    (["--device", "gpu9"], "there is no device 'gpu9' here; cpu is always there"),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "message"), REFUSALS)
def test_refusals(arch1_zoo, tmp_path, capsys, flags, message):
    out = tmp_path / "out"
    known = ["--zoos", str(arch1_zoo), "--models", "sne", "--local", "--out", str(out)]
    try:
        code = main([*known, *flags])
    except SystemExit as stop:  # usage errors end as tyro does it
        code = stop.code
    assert code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (out / "results").exists()


def refused(zoos: list[Path], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said to a matrix of these zoos, which must be one line."""
    flags = ["--models", "deepsets", *ONE, "--local", "--out", str(out)]
    assert main(["--zoos", *map(str, zoos), *flags]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_zoos_that_cannot_be_read(arch1_zoo, tmp_path, capsys):
    said = refused([arch1_zoo.parent / "arch9"], tmp_path / "out", capsys)
    assert "arch9 is no zoo: it has no plan.json; zoos in" in said
    assert "arch1" in said
    unfinished = shutil.copytree(arch1_zoo, tmp_path / "unfinished")
    (unfinished / "manifest.json").unlink()
    assert "is not complete: 2 of 2 shards are there" in refused(
        [unfinished], tmp_path / "o", capsys
    )
    other = shutil.copytree(arch1_zoo, tmp_path / "other")
    for path in (other / "plan.json", other / "manifest.json"):
        path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    assert "99" in refused([other], tmp_path / "o", capsys)
    assert "are the same zoo: name it once" in refused([arch1_zoo] * 2, tmp_path / "o", capsys)


def test_folders_of_something_else_and_of_another_sweep(filled, arch1_zoo, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("three years")
    assert "is a folder of something else" in refused([arch1_zoo], tmp_path, capsys)
    assert "is a file: choose another" in refused([arch1_zoo], tmp_path / "thesis.txt", capsys)
    with hold(open_store(filled)):
        flags = ["--zoos", str(arch1_zoo), "--models", "deepsets", *ONE, "--local"]
        assert main([*flags, "--out", str(filled)]) == 2
    assert "is being written by process" in capsys.readouterr().err


def test_rows_of_results_name_what_made_them(filled):
    (row, *_) = read_results(filled).to_pylist()
    config = json.loads(row["config"])
    assert config["config"]["training"]["epochs"] == row["epochs"] == 2
    assert config["train"] == [row["train_zoos"][0]["hash"]]


def test_the_command_needs_no_ray_until_it_is_asked_to():
    code = "import sys, sweeps.matrix, sweeps.ablation, sweeps.tuner; print('ray' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
