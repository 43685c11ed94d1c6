"""Tiny zoos, really trained, that the tests of sne share: made once a session, in seconds."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
import torch

from sne.config import TrainConfig
from sne.recipes import default_config
from sne.train import train


@pytest.fixture
def one_thread():
    """For measured memory: what other threads allocate, torch's profiler does not see."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_zoo(folder: Path, *arguments: str) -> Path:
    """Make a zoo by zoogen's command, without Ray."""
    command = [sys.executable, "-m", "zoogen.run", *arguments]
    flags = ["--recipe", "quick", "--local", "--out", str(folder)]
    done = subprocess.run([*command, *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def digits_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 arch1 networks on digits after 0 and 1 epochs: 24 to train on, 6 to select, 30 to test."""
    folder = tmp_path_factory.mktemp("zoos") / "digits"
    return make_zoo(
        folder, "--dataset", "digits", "--arch", "arch1", "--members", "60", "--epochs", "1"
    )


@pytest.fixture(scope="session")
def arch2_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 arch2 networks on digits: another architecture, the same task."""
    folder = tmp_path_factory.mktemp("zoos") / "arch2"
    return make_zoo(
        folder, "--dataset", "digits", "--arch", "arch2", "--members", "30", "--epochs", "1"
    )


@pytest.fixture(scope="session")
def sine_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 SIRENs: 64 to train on, 8 to select, 8 to test."""
    folder = tmp_path_factory.mktemp("zoos") / "sine"
    return make_zoo(folder, "--dataset", "sine", "--arch", "siren", "--members", "80")


def small_config(zoo: Path, *, epochs: int = 3, recipe: str = "cnn") -> TrainConfig:
    """A training of a small SNE, done in seconds."""
    config = default_config([str(zoo)], recipe=recipe)
    settings = replace(
        config.settings, chunk=16, width=8, heads=1, chunk_sabs=2, sabs=1, encoding=8, head=(8,)
    )
    training = replace(config.training, epochs=epochs, batch=8)
    return replace(config, settings=settings, training=training)


def quick_config(zoo: Path) -> TrainConfig:
    """One epoch of a model that is fast: for what does not depend on the model."""
    config = small_config(zoo, epochs=1)
    return replace(config, settings=replace(config.settings, without=("set_functions",)))


@pytest.fixture(scope="session")
def trained_digits_run(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SNE trained on digits × arch1 for three epochs; copied, never used itself."""
    return train(small_config(digits_zoo), tmp_path_factory.mktemp("runs") / "digits").path


@pytest.fixture(scope="module")
def digits_run(trained_digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run for one file of tests, which may leave evaluations in it."""
    return copytree(trained_digits_run, tmp_path_factory.mktemp("run") / "digits")
