"""Run `python -m zoogen.run` as a user does, and look at its processes from outside (Linux)."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from zoogen.execute import Receipt

LIMIT_S = 600.0
POLL_S = 0.02


class CommandFailed(RuntimeError):
    """A command ended with an exit code that is not 0, or not at all; the end of its stderr."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="zoogen-bench-") as folder:
        yield Path(folder)


def zoo_command(out: Path, *flags: str) -> list[str]:
    """Make a zoo of arch1 by the quick recipe, on the digits that are always there."""
    fixed = ("--dataset", "digits", "--arch", "arch1", "--recipe", "quick", "--no-download")
    return [sys.executable, "-m", "zoogen.run", *fixed, "--out", str(out), *flags]


def run(
    command: list[str],
    *,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[int], None] | None = None,
) -> float:
    """Run a command to its end; the seconds it took.

    Args:
        command: program and arguments.
        environment: added to this process's.
        watch: called with the process's id again and again while it runs.

    Raises:
        CommandFailed: it failed or took longer than `LIMIT_S`; it is stopped then.
    """
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, env={**os.environ, **(environment or {})}, stderr=errors,
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                if watch is not None:
                    watch(process.pid)
                if time.perf_counter() - start > LIMIT_S:
                    raise CommandFailed(f"{' '.join(command[1:])}: not done after {LIMIT_S:.0f} s")
                time.sleep(POLL_S)
        finally:
            _stop(process)
        seconds = time.perf_counter() - start
        if process.returncode:
            errors.seek(0)
            text = errors.read().decode(errors="replace").strip()[-500:]
            raise CommandFailed(f"{' '.join(command[1:])}: exit {process.returncode}: {text}")
    return seconds


def receipts(zoo: Path) -> list[Receipt]:
    """What the runs of a zoo noted of its shards."""
    lines = [
        line
        for file in sorted((zoo / "log").glob("receipts-*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    return [Receipt.from_json(json.loads(line)) for line in lines]


def worker_process(receipt: Receipt) -> int:
    """The process that made the shard."""
    return int(receipt.worker.rpartition(":")[2])


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        parent = _parent(folder)
        if parent is not None:
            children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for process in found:
        found.extend(children.get(process, ()))
    return found


def peak_megabytes(pid: int) -> float | None:
    """The most memory that a living process has held in RAM; None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    values = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(values[0]) / 1024 if values else None


def _parent(folder: Path) -> int | None:
    try:
        text = (folder / "stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[1])  # the name in brackets may hold blanks


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop what still runs, gently first: Ctrl-C leaves nothing behind."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
