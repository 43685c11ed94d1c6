"""Real processes of `python -m zoogen.run` for tests: start, wait, look at, compare their zoos."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zoogen.ray_reaper import users

FAULTY_SITE = Path(__file__).parent / "faulty_site"
TINY = ("--dataset", "digits", "--arch", "arch1", "--recipe", "quick", "--train-fraction", "0.1")
"""Flags of a zoo whose members take milliseconds."""
SLOW = (*TINY, "--members", "96", "--epochs", "16", "--checkpoints", "0")
"""Flags of a zoo of three shards, each of about a second of one core."""


def start(*flags: str | Path, **environment: str) -> subprocess.Popen[str]:
    """The command in a process group of its own, so that signals reach it as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "zoogen.run", *map(str, flags)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ray's workers are as nice as the driver, so that tests on a busy machine end in time.
        env={**os.environ, "RAY_worker_niceness": "0", **environment},
        start_new_session=True,
    )


def run(*flags: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command until its end."""
    return finish(start(*flags, **environment))


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a started command."""
    try:
        out, err = process.communicate(timeout=240)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def made(*flags: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command until its end, which must be a complete zoo."""
    done = run(*flags, **environment)
    assert done.returncode == 0, done.stderr
    return done


def contents(zoo: Path) -> dict[str, bytes]:
    """Every file of a zoo outside log/, where alone runs may differ."""
    files = (p for p in zoo.rglob("*") if p.is_file() and p.relative_to(zoo).parts[0] != "log")
    return {str(p.relative_to(zoo)): p.read_bytes() for p in files}


def same_zoo(a: Path, b: Path) -> bool:
    """Whether two zoos are complete and byte for byte the same."""
    first, second = contents(a), contents(b)
    return "manifest.json" in first and first == second


def wait_until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def shards_of(zoo: Path) -> list[str]:
    return sorted(p.name for p in (zoo / "shards").glob("part-*.parquet"))


def temporary_files(zoo: Path) -> list[Path]:
    return [p for p in zoo.rglob(".*") if p.is_file()]


def session_folder(driver: int) -> Path:
    """The session folder of the Ray that a command has started."""
    for link in Path(f"/proc/{driver}/fd").iterdir():
        found = re.match(r".*/zoogen-ray-[^/]+", str(link.readlink()))
        if found:
            return Path(found.group())
    raise AssertionError(f"process {driver} has no Ray session")


def workers_of(zoo: Path) -> list[int]:
    """Processes that are making a shard now, as the zoo's log says."""
    attempts = sorted((zoo / "log" / "attempts").glob("part-*"))
    return [int(path.read_text().split(":")[1]) for path in attempts]


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its parent to look does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ray_processes(folder: Path) -> list[int]:
    """All processes of one Ray session, its driver included."""
    return list(users(str(folder)))


def listening(pids: list[int]) -> Iterator[str]:
    """Addresses, as /proc/net writes them, on which these processes wait for connections."""
    inodes = {inode for pid in pids for inode in _socket_inodes(pid)}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                yield fields[1].partition(":")[0]


LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
"""127.0.0.1, the same seen as IPv6, and ::1."""


def _socket_inodes(pid: int) -> Iterator[str]:
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:  # a process that was killed is gone by now
        return
    for link in links:
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


@contextmanager
def small_file_system(place: Path, *, megabytes: int) -> Iterator[Path]:
    """A file system of this size at a new folder; the test is skipped where this user may not."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
