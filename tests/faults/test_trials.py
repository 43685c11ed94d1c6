"""A trial of a sweep on two Ray nodes finds no memory: the others are done, and it goes on."""

import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import Tried
from tests.faults.two_nodes import Nodes
from tests.sweeps.sweep_commands import (
    done,
    finish,
    same_results,
    start,
    states,
    trainers_among,
    wait_until,
)
from tests.zoogen.commands import made

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]
TRIALS = (
    "--models", "deepsets", "mlp", "--set", "training.batch=2", "--set", "deepsets.width=8",
    "--epochs", "200", "--device", "cpu",
)  # fmt: skip


def test_a_trial_has_no_memory_left(nodes: Nodes, tmp_path: Path, tried: Tried):
    zoo = tmp_path / "zoo"
    networks = ("--dataset", "digits", "--arch", "arch1", "--members", "60", "--epochs", "1")
    made(*networks, "--recipe", "quick", "--local", "--out", zoo)
    flags = ("--zoos", zoo, *TRIALS)
    done("sweeps.matrix", *flags, "--local", "--out", tmp_path / "calm")
    flags = (*flags, *nodes.flags, "--out", tmp_path / "matrix")
    process = start("sweeps.matrix", *flags, **nodes.environment)
    wait_until(
        lambda: (
            len(states(tmp_path / "matrix")) == 2 and len(trainers_among(nodes.processes())) == 2
        )
    )
    victim = trainers_among(nodes.processes())[0]
    used = int(Path(f"/proc/{victim}/statm").read_text().split()[0]) * resource.getpagesize()
    _, most = resource.prlimit(victim, resource.RLIMIT_AS)
    resource.prlimit(victim, resource.RLIMIT_AS, (used, most))
    wait_until(lambda: list((tmp_path / "matrix" / "failures").glob("*.json")))
    os.kill(victim, signal.SIGKILL)  # the limit stays, and Ray's own threads would wait in it
    code, _, said = finish(process)
    # Where Ray has not heard of the failure when the process is killed, it tries the trial again.
    assert code in (0, 1), said
    assert "no memory left: use fewer --workers" in said
    assert "Traceback" not in said
    done("sweeps.matrix", *flags, **nodes.environment)
    assert same_results(tmp_path / "matrix", tmp_path / "calm")
    tried(
        fault="a trial has no memory left",
        ended="a sentence, the other trials done; right, by the same command",
        commands=2,
    )
