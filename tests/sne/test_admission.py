"""What a training does about its card: refuses, or cuts its batches up and keeps to that."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from conftest import quick_config

from sne import admission
from sne.admission import admit
from sne.cards import MIB, RESERVED_BYTES
from sne.config import Machine, TrainConfig
from sne.errors import CapacityError, RunError, SettingError
from sne.fit import Progress
from sne.rehearsal import plan_training
from sne.train import main, train
from sne.workload import read_workload

CPU = torch.device("cpu")


class Stop(Exception):
    """In place of a kill."""


def label(budget: float) -> str:
    """A card with so much to give."""
    return f"{(budget + RESERVED_BYTES) / MIB:.6f}MB"


def planned(config: TrainConfig) -> int:
    return plan_training(config, read_workload(config), device="cpu").total_bytes


@pytest.fixture
def config(digits_zoo) -> TrainConfig:
    """Batches of 8 in two epochs."""
    found = quick_config(digits_zoo)
    return replace(found, training=replace(found.training, epochs=2))


@pytest.fixture
def tight(config) -> str:
    """A card for half a batch, not for a whole one."""
    return label(planned(config) - MIB / 100)


def parts_of(run: Path) -> int | None:
    return json.loads((run / "config.json").read_text())["config"]["training"]["micro_batch"]


def losses(run: Path) -> list[float]:
    return pq.read_table(run / "curves.parquet").column("train_loss").to_pylist()


def test_a_training_that_does_not_fit_is_refused_before_anything_is_written(
    config, tight, tmp_path
):
    with pytest.raises(CapacityError) as caught:
        train(config, tmp_path / "run", machine=Machine(card=tight, device="cpu"))
    text = str(caught.value)
    assert text.startswith("sne needs ")
    assert f"for 8 networks at once, and {tight} has " in text
    assert "--micro-batch 4 (" in text
    assert not (tmp_path / "run").exists()


def test_a_training_that_fits_is_left_as_it_is(config, tmp_path, caplog):
    machine = Machine(card=label(planned(config) + MIB), fit=True, device="cpu")
    with caplog.at_level(logging.INFO, logger="sne"):
        assert admit(config, machine=machine, device=CPU, out=tmp_path / "run") == config
    assert "memory: " in caplog.text
    assert "needed" in caplog.text


def test_parts_that_fit_are_recorded_and_kept(config, tight, tmp_path):
    """Also where an interrupted run goes on upon a larger card: with an unbroken one's losses."""

    def stop(progress: Progress) -> None:
        if progress.epoch == 1 and progress.step == 1:
            raise Stop

    fits = Machine(card=tight, fit=True, device="cpu", save_every=0.0)
    with pytest.raises(Stop):
        train(config, tmp_path / "run", machine=fits, report=stop)
    assert parts_of(tmp_path / "run") == 4
    train(config, tmp_path / "run", machine=replace(fits, card="11GB"))
    assert parts_of(tmp_path / "run") == 4
    half = replace(config, training=replace(config.training, micro_batch=4))
    assert losses(train(half, tmp_path / "given").path) == losses(tmp_path / "run")
    with pytest.raises(RunError, match=r"micro_batch: 4 there, None now"):
        train(config, tmp_path / "run", machine=Machine(card="11GB", device="cpu"))


def test_a_run_keeps_its_parts_even_where_they_no_longer_fit(config, tight, tmp_path):
    half = replace(config, training=replace(config.training, micro_batch=4))
    (tmp_path / "config.json").write_text(json.dumps({"config": half.to_json()}))
    machine = Machine(card=tight, fit=True, device="cpu")
    assert admit(config, machine=machine, device=CPU, out=tmp_path) == half
    smaller = replace(machine, card=label(planned(half) - MIB / 100))
    with pytest.raises(CapacityError, match=r"--micro-batch [23] .*--fit chooses it in a new run"):
        admit(config, machine=smaller, device=CPU, out=tmp_path)


def test_a_cpu_is_not_checked_unless_a_card_is_named(config, tmp_path, monkeypatch):
    monkeypatch.setattr(admission, "read_workload", None)
    assert admit(config, machine=Machine(), device=CPU, out=tmp_path) == config
    with pytest.raises(SettingError) as caught:
        admit(config, machine=Machine(fit=True), device=CPU, out=tmp_path)
    assert str(caught.value) == "--fit needs --card SIZE on cpu: how much may be taken?"


@pytest.mark.gpu
def test_a_gpu_is_its_own_card(config, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="sne"):
        admit(config, machine=Machine(), device=torch.device("cuda"), out=tmp_path)
    assert torch.cuda.get_device_name() in caplog.text


def test_the_command(digits_zoo, tmp_path, capsys):
    flags = ["--zoo", str(digits_zoo), "--model", "deepsets", "--epochs", "1", "--device", "cpu"]
    out = ["--out", str(tmp_path / "run")]
    assert main([*flags, *out, "--card", "850MB", "--batch", "24"]) == 2
    assert "deepsets needs " in capsys.readouterr().err
    assert main([*flags, *out, "--card", "850MB", "--batch", "24", "--fit"]) == 0
    assert "batches of 24 are computed in parts of " in capsys.readouterr().err
    assert parts_of(tmp_path / "run") in (2, 3, 4)
    assert main([*flags, *out, "--card", "big"]) == 2
    assert "a card's size is a number and GB or MB, such as 11GB" in capsys.readouterr().err
