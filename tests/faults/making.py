"""The command on a cluster, watched from outside while tests do things to it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.two_nodes import Nodes
from tests.zoogen.commands import TINY, alive, finish, shards_of, start, wait_until

LONG = (*TINY, "--members", "384", "--epochs", "64", "--checkpoints", "0")
"""Flags of a zoo of twelve shards, each of about two seconds of one core."""
PATIENCE_S = 600.0
"""Ray notices a lost machine after 12 to 14 s, and begins lost work last."""


class Making:
    """`python -m zoogen.run` on two nodes: who makes which shard, and how often each was begun."""

    def __init__(self, nodes: Nodes, zoo: Path, flags: Sequence[str | Path] = LONG) -> None:
        self.zoo, self.nodes = zoo, nodes
        self._flags = tuple(flags)
        self._without_receipt: set[str] = set()
        self.commands = 0
        self.process = self._start()

    def workers(self) -> dict[int, str]:
        """Processes that are making a shard now, each with the name of its attempt."""
        found: dict[int, str] = {}
        for path in sorted((self.zoo / "log" / "attempts").glob("part-*")):
            try:
                pid = int(path.read_text().split(":")[1])
            except (FileNotFoundError, IndexError):  # over since it was listed, or being written
                continue
            if path.name not in self._without_receipt:
                found[pid] = path.name
        return found

    def both(self) -> dict[int, str]:
        """Its two workers, once both make a shard."""
        wait_until(lambda: len(self.workers()) == 2, seconds=PATIENCE_S)
        return self.workers()

    def until_begun_anew(self, maker: int, attempt: str | None) -> float | None:
        """Wait until what a process was making when it died is begun by another.

        Args:
            maker: the process that is gone.
            attempt: what it was making; None: nothing.

        Returns:
            Seconds that this took; None where nothing was lost, or the command ended before.
        """
        if attempt is None:
            return None
        part, begun = attempt[: len("part-00000")], time.monotonic()

        def anew() -> bool:
            return any(n.startswith(part) and pid != maker for pid, n in self.workers().items())

        wait_until(lambda: anew() or self.process.poll() is not None, seconds=PATIENCE_S)
        return time.monotonic() - begun if anew() else None

    def until_working(self) -> float:
        """Wait until any shard is being made; seconds that this took."""
        begun = time.monotonic()
        wait_until(self.workers, seconds=PATIENCE_S)
        return time.monotonic() - begun

    def kill(self) -> None:
        """End the driver without a word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        finish(self.process)
        self._forget()

    def end(self, *, code: int = 0) -> str:
        """Wait for the command's end; returns what it wrote to stderr."""
        done = finish(self.process)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        if code != 0:
            assert not (self.zoo / "manifest.json").exists()
            self._forget()
        return done.stderr

    def go_on(self) -> None:
        """Start the same command again."""
        self.process = self._start()

    def begun_again(self) -> int:
        """Attempts beyond the first of each shard, over all commands, once the zoo is complete."""
        receipts = [
            json.loads(line)
            for path in (self.zoo / "log").glob("receipts-*")
            for line in path.read_text().splitlines()
        ]
        self._forget()
        made = sum(receipt["attempt"] for receipt in receipts)
        return made + len(self._without_receipt) - len(shards_of(self.zoo))

    def lost(self, before: Iterable[int]) -> tuple[int, str | None]:
        """The one process of these that is gone, and what it was making; None: nothing just then.

        A worker outlives its raylet by seconds, and may end its shard.
        """
        gone: list[int] = []
        wait_until(lambda: gone or gone.extend(pid for pid in before if not alive(pid)))
        return gone[0], self.workers().get(gone[0])

    def _start(self) -> subprocess.Popen[str]:
        self.commands += 1
        flags = (*self._flags, *self.nodes.flags, "--out", self.zoo)
        return start(*flags, **self.nodes.environment)

    def _forget(self) -> None:
        """The next command forgets attempts that have no receipt; they were begun all the same."""
        self._without_receipt |= set(self.workers().values())
