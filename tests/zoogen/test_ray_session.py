"""A Ray that cannot start is said in one sentence, and what is left of one is ended."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace
from typing import Any

import pytest

from zoogen import ray_session
from zoogen.errors import ZooError


@pytest.mark.parametrize(
    "error",
    [
        # Ray 2.60's own, where a loaded machine takes more than 30 s.
        Exception("The current node timed out during startup. This could happen."),
        ConnectionError("no port is left"),
    ],
)
def test_a_ray_that_does_not_start_is_one_sentence(error: Exception, tmp_path: Path, monkeypatch):
    def init(**settings: Any):
        raise error

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(ZooError) as refusal:
        getattr(ray_session, "_start")(cpus=1, gpus=0, folder=tmp_path)  # noqa: B009
    assert str(refusal.value) == (
        f"Ray did not start on this machine: {error}; --local runs the same plan in one process "
        "without Ray"
    )


def test_a_fault_of_ours_is_no_ray_that_does_not_start(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=None))
    with pytest.raises(TypeError):
        getattr(ray_session, "_start")(cpus=1, gpus=0, folder=tmp_path)  # noqa: B009


@pytest.mark.parametrize("removed", [False, True])
def test_what_is_left_of_a_session_is_ended_and_its_driver_is_not(removed: bool, tmp_path: Path):
    """Also when the folder is gone already, as it is when the driver ends in order."""
    folder = tmp_path / "session"
    (folder / "logs").mkdir(parents=True)
    stuck = "import sys, time; log = open(sys.argv[1], 'w'); print(flush=True); time.sleep(20)"
    command = [sys.executable, "-c", stuck, str(folder / "logs/worker")]
    with (folder / "logs/driver").open("w"), subprocess.Popen(command, stdout=PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.read(1)  # its log is open
        with ray_session._reaper(folder):
            if removed:
                shutil.rmtree(folder)
        assert worker.wait(timeout=5) == -signal.SIGKILL
    assert not folder.exists()
