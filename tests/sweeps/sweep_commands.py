"""Real processes of the commands of sweeps: start, wait, look at, compare what they leave."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sweeps.results import VOLATILE, finished, read_predictions, read_results
from zoogen.ray_reaper import users


def start(module: str, *flags: object, **environment: str) -> subprocess.Popen[str]:
    """A command in a process group of its own, so that signals reach it as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, flags)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ray's workers are as nice as the driver, so that tests on a busy machine end in time.
        env={**os.environ, "RAY_worker_niceness": "0", **environment},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], *, seconds: float = 280) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that was started."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


def done(module: str, *flags: object, **environment: str) -> tuple[str, str]:
    """A command until its end, which must be a good one."""
    code, out, err = finish(start(module, *flags, **environment))
    assert code == 0, err
    return out, err


def wait_until(condition: Callable[[], object], *, seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def figures(folder: Path) -> list[dict[str, Any]]:
    """All figures without what may differ between two runs, by trial."""
    return read_results(folder).drop_columns(list(VOLATILE)).to_pylist()


def same_results(a: Path, b: Path) -> bool:
    """Whether two folders hold the same figures and predictions, bit for bit."""
    return (
        finished(a) == finished(b)
        and figures(a) == figures(b)
        and all(
            (left := read_predictions(a, trial)) is not None
            and left.equals(read_predictions(b, trial))
            for trial in finished(a)
        )
    )


def trainers(driver: int) -> list[int]:
    """Ray's processes that train for a driver, by its session's folder."""
    for link in Path(f"/proc/{driver}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # closed while it was looked at
            continue
        if "/zoogen-ray-" in target:
            folder = target[: target.index("/", target.index("/zoogen-ray-") + 1)]
            return trainers_among(users(folder))
    return []


def trainers_among(pids: Iterable[int]) -> list[int]:
    """Those of these processes that are Ray's and train."""
    names = {pid: _name(pid) for pid in pids}
    return [p for p, name in names.items() if name.startswith("ray::") and "train" in name.lower()]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def states(folder: Path) -> list[Path]:
    """States of trainings that are under way."""
    return list((folder / "runs").glob("*/state/state.json"))
