"""Tiny zoos, really trained, and tiny trials on them, that the tests of sweeps share."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sne.config import Machine, TrainConfig
from sne.recipes import default_config
from sweeps.trial import Trial, make_trial
from sweeps.zoos import SweepZoo, find_target, open_sweep_zoos

MACHINE = Machine(device="cpu", threads=1)


def make_zoo(folder: Path, *flags: str) -> Path:
    """A zoo of members that train for one epoch, by zoogen's command and without Ray."""
    command = [sys.executable, "-m", "zoogen.run", *flags]
    done = subprocess.run(
        [*command, "--recipe", "quick", "--local", "--out", str(folder)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def arch1_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 arch1 networks on digits: 24 to train on, 6 to select, 30 to test."""
    flags = ("--dataset", "digits", "--arch", "arch1", "--members", "60", "--epochs", "1")
    return make_zoo(tmp_path_factory.mktemp("zoos") / "arch1", *flags)


@pytest.fixture(scope="session")
def arch2_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 arch2 networks on digits: another architecture, the same images."""
    flags = ("--dataset", "digits", "--arch", "arch2", "--members", "30", "--epochs", "1")
    return make_zoo(tmp_path_factory.mktemp("zoos") / "arch2", *flags)


@pytest.fixture(scope="session")
def sine_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 SIRENs: 64 to train on, 8 to select, 8 to test."""
    flags = ("--dataset", "sine", "--arch", "siren", "--members", "80")
    return make_zoo(tmp_path_factory.mktemp("zoos") / "sine", *flags)


@pytest.fixture
def opened(arch1_zoo: Path, arch2_zoo: Path) -> tuple[SweepZoo, ...]:
    return open_sweep_zoos([str(arch1_zoo), str(arch2_zoo)])


def tiny_config(model: str = "deepsets", *, epochs: int = 2, seed: int = 0) -> TrainConfig:
    """A training of a second or so."""
    config = default_config((), model=model, recipe="cnn")
    if model == "sne":
        settings = replace(
            config.settings, chunk=16, width=8, heads=1, chunk_sabs=2, sabs=1, encoding=8, head=(8,)
        )
        config = replace(config, settings=settings)
    if model == "deepsets":
        config = replace(config, settings=replace(config.settings, width=8))
    return replace(config, training=replace(config.training, epochs=epochs, batch=8, seed=seed))


def tiny_trial(zoos: tuple[SweepZoo, ...], model: str = "deepsets", **changes: int) -> Trial:
    """A trial on the first zoo, tested on all."""
    config = tiny_config(model, **changes)
    target = find_target(zoos, None, config.data.which)
    refs = [one.ref for one in zoos]
    return make_trial(config, train=refs[:1], test=refs, target=target)
