"""Tiny zoos, really trained, that the tests of sne share: made once a session, in seconds."""

import subprocess
import sys
from pathlib import Path

import pytest


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
