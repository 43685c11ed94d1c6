"""Ends what a driver leaves of its Ray: processes, then the session folder.

Started by `zoogen.ray_session` as a process of its own that waits until the driver's end of a pipe
closes, which happens however the driver ends. Killed, it leaves workers for about four seconds,
agents for a minute, and the folder for ever. Ended in order, it leaves nothing, but for a worker
that now and then waits for itself at its own end for ever (Ray 2.60).

    python -I -S ray_reaper.py SESSION_FOLDER

Needs /proc (Linux) to find processes; elsewhere it only removes the folder. Imports nothing but
the standard library, so that it costs a few megabytes.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator

PATIENCE_S = 20.0


def main(folder: str) -> None:
    """Wait for the driver's end, then end every process that uses the folder, and remove it."""
    sys.stdin.buffer.read()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not end_users(folder):
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.isdir(folder):  # noqa: PTH112
                return
        time.sleep(0.1)


def end_users(folder: str) -> int:
    """Kill the processes that use the folder, or did until it was removed; returns how many.

    This one is spared, and the one that started it, which may go on with other work.
    """
    found = list(users(folder))
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(found)


def users(folder: str) -> Iterator[int]:
    """Processes that have a file of the folder open: all of Ray's log or listen there."""
    spared = {os.getpid(), os.getppid()}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/proc"):  # noqa: PTH208
            if name.isdecimal() and int(name) not in spared and _uses(name, folder):
                yield int(name)


def _uses(pid: str, folder: str) -> bool:
    try:
        links = os.scandir(f"/proc/{pid}/fd")
    except OSError:  # ended meanwhile, or somebody else's
        return False
    with links:
        for link in links:
            with contextlib.suppress(OSError):
                if os.readlink(link.path).startswith(f"{folder}/"):  # noqa: PTH115
                    return True
    return False


if __name__ == "__main__":
    main(sys.argv[1])
