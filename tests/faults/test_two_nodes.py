"""A zoo made by two Ray nodes while something goes wrong: it ends with the same bytes each time.

`make test-faults` runs this and shows the table. The faults are real: signals to real processes,
a full file system, limits of the operating system.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Tried
from tests.faults.making import LONG, Making
from tests.faults.two_nodes import LEAST_OBJECT_STORE, Nodes, two_nodes
from tests.zoogen.commands import (
    FAULTY_SITE,
    alive,
    made,
    run,
    same_zoo,
    shards_of,
    small_file_system,
    temporary_files,
    wait_until,
)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]
MISSING = re.compile(r"1 of [34] machines no longer answer; the others make their shards")
KILLS = 50


def test_a_worker_is_killed(nodes: Nodes, undisturbed: Path, zoo: Path, tried: Tried):
    making = Making(nodes, zoo)
    pid, attempt = next(iter(making.both().items()))
    os.kill(pid, signal.SIGKILL)
    seconds = making.until_begun_anew(pid, attempt)
    assert "took 2 attempts: its worker died" in making.end()
    assert same_zoo(zoo, undisturbed)
    tried(
        fault="a worker is killed",
        ended="right; names the shard that took two attempts",
        making=making,
        recovered_s=seconds,
    )


def test_a_raylet_is_killed(nodes: Nodes, undisturbed: Path, zoo: Path, tried: Tried):
    making = Making(nodes, zoo)
    before = making.both()
    os.kill(nodes.raylets[0], signal.SIGKILL)
    seconds = making.until_begun_anew(*making.lost(before))
    assert MISSING.search(making.end())
    assert same_zoo(zoo, undisturbed)
    tried(
        fault="a raylet is killed",
        ended="right; says that a machine is missing",
        making=making,
        recovered_s=seconds,
    )


def test_a_node_leaves_and_one_joins(nodes: Nodes, undisturbed: Path, zoo: Path, tried: Tried):
    making = Making(nodes, zoo)
    before = making.both()
    nodes.remove(0)
    lost = making.lost(before)
    nodes.add()
    seconds = making.until_begun_anew(*lost)
    assert MISSING.search(making.end())
    assert same_zoo(zoo, undisturbed)
    tried(
        fault="a node leaves, another joins",
        ended="right; says that a machine is missing",
        making=making,
        recovered_s=seconds,
    )


def test_the_driver_is_killed(nodes: Nodes, undisturbed: Path, zoo: Path, tried: Tried):
    making = Making(nodes, zoo)
    making.both()
    wait_until(lambda: len(shards_of(zoo)) >= 2)
    making.kill()
    making.go_on()
    seconds = making.until_working()
    assert "members are there already" in making.end()
    assert same_zoo(zoo, undisturbed)
    tried(
        fault="the driver is killed",
        ended="right, by the same command",
        making=making,
        recovered_s=seconds,
    )


def test_a_worker_stands_still_for_a_minute(
    nodes: Nodes, undisturbed: Path, zoo: Path, tried: Tried
):
    making = Making(nodes, zoo)
    pid, attempt = next(iter(making.both().items()))
    os.kill(pid, signal.SIGSTOP)
    time.sleep(60)
    assert attempt in making.workers().values()
    assert len(shards_of(zoo)) == 11  # the other worker has made all the others
    os.kill(pid, signal.SIGCONT)
    making.end()
    assert same_zoo(zoo, undisturbed)
    tried(
        fault="a worker stands still for a minute",
        ended="right; the other makes the rest meanwhile",
        making=making,
    )


def test_the_disk_is_full(
    nodes: Nodes, undisturbed: Path, tmp_path: Path, tried: Tried, small_disk: Path
):
    making = Making(nodes, small_disk / "zoo")
    said = making.end(code=1)
    assert "No space left on device" in said
    assert temporary_files(making.zoo) == []
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    making.go_on()
    making.end()
    assert same_zoo(making.zoo, undisturbed)
    tried(
        fault="the disk is full",
        ended="a sentence; right, by the same command once there is room",
        making=making,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "disk", megabytes=8) as place:
        yield place


def test_a_worker_has_no_memory_left(session: Path, undisturbed: Path, zoo: Path, tried: Tried):
    path = str(FAULTY_SITE)
    with two_nodes(session, PYTHONPATH=path, ZOOGEN_TEST_ASKS="40") as nodes:
        making = Making(nodes, zoo)
        assert "no memory left: use fewer --workers" in making.end(code=1)
    assert len(shards_of(zoo)) == 11
    made(*LONG, "--local", "--out", zoo)
    assert same_zoo(zoo, undisturbed)
    tried(
        fault="a worker has no memory left",
        ended="a sentence, keeps 11 of 12 shards; right, once there is some",
        commands=2,
        making=making,
    )


def test_object_stores_of_the_least_size(session: Path, undisturbed: Path, zoo: Path, tried: Tried):
    with two_nodes(session, object_store=LEAST_OBJECT_STORE) as nodes:
        making = Making(nodes, zoo)
        making.end()
    assert same_zoo(zoo, undisturbed)
    tried(
        fault="object stores of the least size (75 MiB)",
        ended="right",
        making=making,
    )


def test_a_member_raises(session: Path, undisturbed: Path, zoo: Path, tried: Tried):
    path = str(FAULTY_SITE)
    with two_nodes(session, PYTHONPATH=path, ZOOGEN_TEST_RAISES="40") as nodes:
        making = Making(nodes, zoo)
        said = making.end(code=1)
    assert "member 40 " in said
    assert "1 of 12 shards failed" in said
    assert len(shards_of(zoo)) == 11
    made(*LONG, "--local", "--out", zoo)
    assert same_zoo(zoo, undisturbed)
    tried(
        fault="a member's training raises",
        ended="names it, keeps 11 of 12 shards; right, once that is mended",
        commands=2,
        making=making,
    )


def test_an_image_file_is_damaged(
    nodes: Nodes, image_slices: Path, tmp_path: Path, zoo: Path, tried: Tried
):
    flags = (
        "--dataset", "mnist", "--arch", "arch1", "--recipe", "quick", "--members", "64",
        "--epochs", "2", "--checkpoints", "0", "--data-dir", str(tmp_path / "images"),
    )  # fmt: skip
    shutil.copytree(image_slices, tmp_path / "images")
    sound = tmp_path / "sound"
    made(*flags, "--local", "--out", sound)
    file = next((tmp_path / "images" / "mnist").glob("train-*"))
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[len(damaged) // 3] ^= 1
    file.write_bytes(damaged)
    refused = run(*flags, *nodes.flags, "--out", zoo, **nodes.environment)
    assert refused.returncode == 2
    assert file.name in refused.stderr
    assert "Traceback" not in refused.stderr
    file.write_bytes(whole)
    made(*flags, *nodes.flags, "--out", zoo, **nodes.environment)
    assert same_zoo(zoo, sound)
    tried(
        fault="a bit of an image file is turned",
        ended="names the file; right, once it is whole",
        commands=2,
    )


def test_everything_is_told_to_stop(session: Path, undisturbed: Path, zoo: Path, tried: Tried):
    """As a cloud does it that takes its machines back."""
    with two_nodes(session) as nodes:
        making = Making(nodes, zoo)
        making.both()
        everything = {*nodes.processes(), making.process.pid}
        told = time.monotonic()
        for pid in everything:
            os.kill(pid, signal.SIGTERM)
        said = making.end(code=143)
        wait_until(lambda: not [pid for pid in making.workers() if alive(pid)], seconds=30)
        stopped = time.monotonic() - told
    assert stopped < 30
    assert "the same command goes on" in said
    shutil.rmtree(session)
    with two_nodes(session) as nodes:
        making.nodes = nodes
        making.go_on()
        making.end()
    assert same_zoo(zoo, undisturbed)
    tried(
        fault="SIGTERM to every process",
        ended=f"all of it ended within {stopped:.0f} s; right, on another cluster",
        making=making,
    )


@pytest.mark.timeout(2400)
def test_fifty_kills_at_random(nodes: Nodes, tmp_path: Path, tried: Tried):
    flags = (*LONG, "--members", "768")
    calm = Making(nodes, tmp_path / "calm", flags)
    calm.end()
    dice = random.Random(20240)
    making = Making(nodes, tmp_path / "zoo", flags)
    kills = dict.fromkeys(("worker", "driver", "raylet"), 0)
    while sum(kills.values()) < KILLS:
        _until_working_or_over(making)
        time.sleep(dice.uniform(0.2, 2.0))
        if making.process.poll() is not None:
            continue
        victim = dice.choices(("worker", "driver", "raylet"), weights=(7, 2, 1))[0]
        if victim == "driver":
            making.kill()
            making.go_on()
        elif victim == "raylet":
            os.kill(nodes.raylets[-1], signal.SIGKILL)
            nodes.add()
        else:
            living = [pid for pid in making.workers() if alive(pid)]
            if not living:
                continue
            os.kill(dice.choice(living), signal.SIGKILL)
        kills[victim] += 1
    while making.process.wait() != 0:
        _go_on_after_a_sentence(making)
    making.end()
    assert same_zoo(making.zoo, calm.zoo)
    told = ", ".join(f"{number} × {victim}" for victim, number in kills.items())
    tried(
        fault=f"{KILLS} kills at random over one zoo of 24 shards ({told})",
        ended="right, by the same command",
        making=making,
    )


def _until_working_or_over(making: Making) -> None:
    """Wait for somebody to kill; a command that gave up is started again."""
    while not [pid for pid in making.workers() if alive(pid)]:
        if making.process.poll() is not None:
            _go_on_after_a_sentence(making)
        time.sleep(0.05)


def _go_on_after_a_sentence(making: Making) -> None:
    assert making.process.returncode == 1, "it was complete before the last kill"
    assert "the same command tries the rest again" in making.end(code=1)
    making.go_on()
