"""`--store`: results of machines that share no folder, on an object store."""

from pathlib import Path

import pytest
from conftest import tiny_trial
from sweep_commands import figures, same_results

from sne.checkpoint import load_run
from sne.config import Machine
from sweeps.attempt import Job, Told, attempt
from sweeps.errors import ResultsError
from sweeps.matrix import main
from sweeps.mirror import Mirror
from sweeps.perform import run_folder
from sweeps.results import finished
from sweeps.trial import Trial
from tests.zoogen.s3_fixture import s3_server, s3_zoo  # noqa: F401

MACHINE = Machine(device="cpu", threads=1)


@pytest.fixture
def trial(opened) -> Trial:
    return tiny_trial(opened)


def test_what_one_machine_did_the_other_has(
    s3_zoo: str,  # noqa: F811
    arch1_zoo: Path,
    arch2_zoo: Path,
    tmp_path: Path,
    capsys,
):
    given = [
        "--zoos", str(arch1_zoo), str(arch2_zoo), "--models", "deepsets", "--seeds", "0",
        "--epochs", "1", "--set", "training.batch=8", "--set", "deepsets.width=8",
        "--device", "cpu", "--local",
    ]  # fmt: skip
    here, there = tmp_path / "here", tmp_path / "there"
    assert main([*given, "--out", str(here), "--store", s3_zoo]) == 0
    first = capsys.readouterr()
    assert main([*given, "--out", str(there), "--store", s3_zoo]) == 0
    second = capsys.readouterr()
    assert "2 results from" in second.err
    assert "2 trials, 2 of them done already" in second.err
    assert second.out == first.out
    assert same_results(here, there)
    for trial in finished(there):
        assert load_run(there / "runs" / trial).result == load_run(here / "runs" / trial).result


def test_a_worker_does_what_its_own_folder_lacks_and_the_store_has_not(
    s3_zoo: str,  # noqa: F811
    trial: Trial,
    tmp_path: Path,
):
    mirror = Mirror(uri=s3_zoo)
    told: list[Told] = []
    for name in ("one", "other"):
        folder = tmp_path / name
        attempt(trial, Job(folder=folder, machine=MACHINE, command="", mirror=mirror), told.append)
        assert trial.hash in finished(folder)
    assert figures(tmp_path / "one") == figures(tmp_path / "other")
    assert sum(t.closes for t in told) == trial.config.training.epochs  # trained once
    assert (run_folder(tmp_path / "other", trial) / "model.safetensors").exists()
    driver = tmp_path / "driver"
    assert mirror.pull_all(driver) == 1
    assert mirror.pull_all(driver) == 0
    assert figures(driver) == figures(tmp_path / "one")


@pytest.mark.parametrize("uri", ["ftp://x/y", "s3://key:secret@bucket/x"])
def test_a_store_that_is_none(uri: str, tmp_path: Path):
    with pytest.raises(ResultsError, match="--store") as caught:
        Mirror(uri=uri).pull_all(tmp_path)
    assert "secret" not in str(caught.value)
