"""The same plan through Ray: equal bytes, killed workers and drivers, signals, nothing left.

A start of Ray takes seconds, so each test asks several things of one run.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import (
    FAULTY_SITE,
    LOOPBACK,
    SLOW,
    TINY,
    alive,
    contents,
    finish,
    listening,
    made,
    ray_processes,
    run,
    same_zoo,
    session_folder,
    shards_of,
    start,
    temporary_files,
    wait_until,
    workers_of,
)

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]
_REFERENCE: list[Path] = []


@pytest.fixture
def reference(tmp_path_factory: Any, trained_cache: Path) -> Path:
    """The zoo of SLOW, made in one process; not to be changed."""
    if not _REFERENCE:
        zoo = tmp_path_factory.mktemp("reference") / "zoo"
        made(*SLOW, "--local", "--out", zoo)
        _REFERENCE.append(zoo)
    return _REFERENCE[0]


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    return tmp_path / "zoo"


def foreign_listeners(pids: list[int]) -> list[str]:
    return [address for address in listening(pids) if address not in LOOPBACK]


def test_the_look_at_listeners_can_fail():
    with socket.create_server(("0.0.0.0", 0)):
        assert foreign_listeners([os.getpid()]) == ["00000000"]


def test_two_workers_one_killed_make_the_same_bytes(reference: Path, zoo: Path):
    # One thread for each worker, whatever the user's shell says.
    process = start(*SLOW, "--workers", "2", "--out", zoo, OMP_NUM_THREADS="4")
    wait_until(lambda: len(workers_of(zoo)) == 2, seconds=120)
    for worker in workers_of(zoo):
        environment = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
        assert {b"OMP_NUM_THREADS=1", b"OMP_WAIT_POLICY=PASSIVE"} <= {*environment}
    victim, *_ = workers_of(zoo)
    os.kill(victim, signal.SIGKILL)
    folder = session_folder(process.pid)
    processes = ray_processes(folder)
    assert len(list(listening(processes))) >= 5
    assert foreign_listeners(processes) == []
    done = finish(process)
    assert done.returncode == 0, done.stderr
    assert "took 2 attempts: its worker died" in done.stderr
    # Results on stdout, and on stderr nothing that Ray says by itself.
    assert done.stdout.startswith(f"{zoo}: complete, 96 networks")
    assert len(done.stdout.splitlines()) == 4
    assert not [word for word in ("raylet", "core_worker", "Warning") if word in done.stderr]
    assert same_zoo(zoo, reference)
    assert workers_of(zoo) == []
    wait_until(lambda: not [p for p in processes if alive(p)], seconds=20)
    assert not folder.exists()


def test_a_killed_driver_leaves_nobody_and_the_same_command_goes_on(reference: Path, zoo: Path):
    command = (*SLOW, "--workers", "1", "--out", zoo)
    process = start(*command)
    wait_until(lambda: len(shards_of(zoo)) >= 1 and workers_of(zoo), seconds=120)
    folder = session_folder(process.pid)
    processes = ray_processes(folder)
    assert len(processes) > 5
    process.kill()
    finish(process)
    wait_until(lambda: not [p for p in processes if alive(p)] and not folder.exists(), seconds=10)
    assert "manifest.json" not in contents(zoo)
    done = made(*command)
    assert "members are there already" in done.stderr
    assert same_zoo(zoo, reference)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_everything_within_seconds(
    reference: Path, zoo: Path, number: int, code: int
):
    command = (*SLOW, "--workers", "2", "--out", str(zoo))
    process = start(*command)
    wait_until(lambda: len(workers_of(zoo)) == 2, seconds=120)
    folder = session_folder(process.pid)
    processes = ray_processes(folder)
    sent = time.monotonic()
    os.killpg(process.pid, number)
    done = finish(process)
    assert time.monotonic() - sent < 10
    assert done.returncode == code
    assert done.stdout == ""
    assert f"python -m zoogen.run {' '.join(command)}" in done.stderr
    wait_until(lambda: not [p for p in processes if alive(p)], seconds=20)
    assert not folder.exists()
    assert temporary_files(zoo) == []
    made(*SLOW, "--local", "--out", zoo)
    assert same_zoo(zoo, reference)


@pytest.mark.slow
def test_a_shard_that_kills_its_worker_ends_the_run_with_its_name(reference: Path, zoo: Path):
    command = (*SLOW, "--workers", "2", "--out", zoo)
    done = run(*command, PYTHONPATH=str(FAULTY_SITE), ZOOGEN_TEST_KILLS="40")
    assert done.returncode == 1
    assert "its worker died 3 times" in done.stderr
    assert "32 members: " in done.stderr
    assert "1 of 3 shards failed" in done.stderr
    assert len(shards_of(zoo)) == 2
    made(*SLOW, "--local", "--out", zoo)
    assert same_zoo(zoo, reference)


@pytest.fixture
def cluster(trained_cache: Path) -> Iterator[dict[str, str]]:
    """A Ray of another process: its address, and what a driver needs to join it."""
    code = (
        "import sys\n"
        "from zoogen.ray_session import ray_session\n"
        "with ray_session(cpus=2):\n"
        "    import ray\n"
        "    print(ray.get_runtime_context().gcs_address, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    head = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert head.stdin is not None
    assert head.stdout is not None
    with head:
        address = head.stdout.readline().strip()
        assert address.startswith("127.0.0.1:")
        token = str(trained_cache / "ray-token")
        yield {"address": address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token}
        head.stdin.close()
        assert head.wait(timeout=60) == 0


@pytest.mark.slow
def test_a_cluster_that_is_joined(reference: Path, zoo: Path, cluster: dict[str, str]):
    address = cluster.pop("address")
    command = (*SLOW, "--address", address, "--out", zoo)
    too_many = run(*command, "--workers", "3", **cluster)
    assert too_many.returncode == 2
    assert f"the cluster at {address} has room for 2" in too_many.stderr
    made(*command, **cluster)
    assert same_zoo(zoo, reference)
    # The cluster is not ours to end.
    assert "nothing had to be made" in made(*command, **cluster).stdout


@pytest.mark.slow
def test_a_cluster_that_is_not_there(trained_cache: Path, zoo: Path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
    missing = run(*TINY, "--address", address, "--out", zoo)
    assert missing.returncode == 2
    assert f"no Ray cluster could be joined at --address {address}" in missing.stderr
    assert missing.stderr.count("\n") == 1
    assert not zoo.exists()


def test_ray_must_not_be_imported_first():
    code = "import ray\nfrom zoogen.ray_session import ray_session\nray_session().__enter__()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Ray was imported before its session" in done.stderr


def test_the_token_is_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOOGEN_CACHE", str(tmp_path))
    from zoogen.ray_session import token_file

    first = token_file()
    assert first.stat().st_mode & 0o777 == 0o600
    assert len(first.read_text()) == 64
    first.chmod(0o644)
    assert token_file().stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [first]
