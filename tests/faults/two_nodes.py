"""A small cluster on this machine: a head without CPUs and nodes of one CPU each, all on loopback.

As a program it is the cluster, and obeys the lines `add` and `remove N` on its standard input; at
the end of that input everything ends. `two_nodes` starts it and speaks to it.

    python -m tests.faults.two_nodes FOLDER OBJECT_STORE_BYTES
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from zoogen.ray_reaper import end_users, users
from zoogen.ray_session import LOOPBACK, QUIET, token_file

LEAST_OBJECT_STORE = 78_643_200
"""Bytes; Ray 2.60 refuses less."""
TOKEN = {"RAY_AUTH_MODE": "token"}
REPOSITORY = Path(__file__).resolve().parents[2]


class Nodes:
    """A running cluster, as tests see it."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder
        self.address = self._answer()
        self.raylets = [int(self._answer()) for _ in range(2)]
        """Process of each node, in the order of their coming."""

    @property
    def flags(self) -> tuple[str, ...]:
        """What lets a command join."""
        return ("--address", self.address)

    @property
    def environment(self) -> dict[str, str]:
        """What lets a process join."""
        return {**TOKEN, "RAY_AUTH_TOKEN_PATH": str(token_file())}

    def add(self) -> None:
        """One more node."""
        self._say("add")
        self.raylets.append(int(self._answer()))

    def remove(self, number: int) -> None:
        """Take a node away with all its processes."""
        self._say(f"remove {number}")
        self._answer()

    def processes(self) -> list[int]:
        """All that belong to the cluster now, drivers and workers too, but for its keeper."""
        return [pid for pid in users(str(self._folder)) if pid != self._process.pid]

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the cluster ended"
        return line


@contextmanager
def two_nodes(
    folder: Path, *, object_store: int = 2 * LEAST_OBJECT_STORE, **environment: str
) -> Iterator[Nodes]:
    """Two nodes for the time of the `with`.

    Args:
        folder: for Ray's session; of few characters, as sockets lie there.
        object_store: bytes of each node.
        environment: what workers see besides.
    """
    command = [sys.executable, "-m", "tests.faults.two_nodes", str(folder), str(object_store)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **TOKEN, "RAY_AUTH_TOKEN_PATH": str(token_file()), **environment},
        start_new_session=True,
    ) as process:
        try:
            yield Nodes(process, folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
            end_users(str(folder))


def main(folder: str, object_store: str) -> None:
    """Be the cluster."""
    os.environ |= {**LOOPBACK, **QUIET, "RAY_TMPDIR": folder}
    (Path(folder) / "ray").mkdir(parents=True)  # Ray's tool notes its address there
    from ray.cluster_utils import Cluster

    size = int(object_store)
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": size}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    _tell(cluster.gcs_address)
    nodes = []
    for line in chain(("add", "add"), _lines()):
        match line.split():
            case ["add"]:
                nodes.append(cluster.add_node(num_cpus=1, object_store_memory=size))
                _tell(nodes[-1].all_processes["raylet"][0].process.pid)
            case ["remove", number]:
                cluster.remove_node(nodes[int(number)])
                _tell("removed")
            case _:
                raise ValueError(f"add or remove N, not {line!r}")
    cluster.shutdown()


def _lines() -> Iterator[str]:
    while line := sys.stdin.readline():
        yield line


def _tell(answer: object) -> None:
    print(answer, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
