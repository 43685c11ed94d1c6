"""One writer for each zoo: real processes on a folder, real leases on an S3 server."""

import json
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
from pyarrow import fs
from s3_fixture import s3_server, s3_zoo  # noqa: F401

from zoogen.errors import LockError
from zoogen.lock import LOCK_NAME, hold, parse_holder, read_holder, still_mine
from zoogen.object_store import ObjectStore
from zoogen.store import LocalStore, open_store

HOLDER = (
    "import sys; from zoogen.lock import hold; from zoogen.store import open_store\n"
    "with hold(open_store(sys.argv[1]), lease_seconds=float(sys.argv[2])) as lock:\n"
    "    print(lock.run, flush=True); sys.stdin.readline()\n"
)


class Process:
    """Another run that holds the lock until it is told to stop, or killed."""

    def __init__(self, uri: str, *, lease_seconds: float = 60.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, uri, str(lease_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.run = self.process.stdout.readline().strip()
        assert self.run, "the other process got no lock"

    def stop(self) -> None:
        self.process.communicate("\n")
        assert self.process.returncode == 0

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Process]:
    process = Process(str(tmp_path / "zoo"))
    yield process
    if process.process.poll() is None:
        process.kill()


def test_a_second_run_is_refused_with_the_holders_name(other: Process, tmp_path: Path) -> None:
    store = open_store(tmp_path / "zoo")
    with pytest.raises(LockError) as caught, hold(store):
        pytest.fail("two runs hold one zoo")
    assert str(caught.value) == (
        f"{tmp_path}/zoo is being written by process {other.process.pid} on "
        f"{socket.gethostname()}: wait until it ends, or stop it"
    )
    assert still_mine(store, other.run)


def test_a_lock_given_back_is_free(other: Process, tmp_path: Path) -> None:
    other.stop()
    store = open_store(tmp_path / "zoo")
    assert read_holder(store) is None
    with hold(store) as lock:
        assert lock.still_mine()
        assert still_mine(store, lock.run)
        assert not still_mine(store, other.run)
    assert not still_mine(store, lock.run)


def test_a_killed_run_frees_the_lock_and_its_workers_notice_the_next(
    other: Process, tmp_path: Path
) -> None:
    store = open_store(tmp_path / "zoo")
    other.kill()
    # Nobody took over yet: what an orphaned worker still writes is what the plan promises.
    assert still_mine(store, other.run)
    with hold(store) as lock:
        assert lock.still_mine()
        assert not still_mine(store, other.run)


def test_without_a_lock_nothing_is_written_or_asked(other: Process, tmp_path: Path) -> None:
    store = open_store(tmp_path / "zoo")
    with hold(store, enabled=False) as lock:
        assert lock.run is None
        assert lock.still_mine()
        assert still_mine(store, lock.run)
    assert still_mine(store, other.run)


def test_a_zoo_without_a_lock_belongs_to_nobody(tmp_path: Path) -> None:
    assert not still_mine(open_store(tmp_path), "some run")
    assert parse_holder(b"") is None
    assert parse_holder(b"[]") is None


def test_two_locks_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with hold(store), pytest.raises(LockError, match="is being written by"), hold(store):
        pytest.fail("two runs hold one zoo")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where a folder has to be")
    with pytest.raises(LockError, match=r"cannot write .*log/lock"), hold(LocalStore(tmp_path)):
        pytest.fail("locked")


def test_other_object_stores_want_no_lock(tmp_path: Path) -> None:
    store = ObjectStore("gs://bucket/zoo", fs.LocalFileSystem(), str(tmp_path))
    wanted = pytest.raises(LockError, match=r"cannot lock gs://bucket/zoo.*--no-lock")
    with wanted, hold(store):
        pytest.fail("locked")


# --- leases


def test_a_lease_excludes_a_second_run_and_is_given_back(s3_zoo: str) -> None:  # noqa: F811
    store = open_store(s3_zoo)
    with hold(store) as lock:
        assert lock.still_mine()
        assert still_mine(store, lock.run)
        found = read_holder(store)
        assert found is not None
        assert found.pid == os.getpid()
        with pytest.raises(LockError, match=rf"process {os.getpid()} on .*ends 60 s"), hold(store):
            pytest.fail("two runs hold one zoo")
    assert not lock.still_mine()
    assert read_holder(store) is None
    with hold(store) as again:
        assert again.run != lock.run


def test_a_lease_is_renewed_beyond_its_time(s3_zoo: str) -> None:  # noqa: F811
    store = open_store(s3_zoo)
    with hold(store, lease_seconds=1.0) as lock:
        first = json.loads(store.read(LOCK_NAME))
        time.sleep(2.5)
        assert lock.still_mine()
        assert json.loads(store.read(LOCK_NAME))["renewals"] > first["renewals"]
        with pytest.raises(LockError, match="is being written by"), hold(store):
            pytest.fail("two runs hold one zoo")


def test_a_dead_runs_lease_is_taken_over_when_it_has_expired(s3_zoo: str) -> None:  # noqa: F811
    store = open_store(s3_zoo)
    dead = Process(s3_zoo, lease_seconds=2.0)
    dead.kill()
    with pytest.raises(LockError, match=f"process {dead.process.pid} "), hold(store):
        pytest.fail("a lease that has not expired was taken over")
    deadline = time.monotonic() + 20
    while True:
        try:
            with hold(store) as lock:
                assert still_mine(store, lock.run)
                assert not still_mine(store, dead.run)
            return
        except LockError:
            assert time.monotonic() < deadline, "the lease never expired"
            time.sleep(0.3)


def test_a_run_that_lost_its_lease_notices(s3_zoo: str) -> None:  # noqa: F811
    """As after a long sleep of the machine: another run has put its own lease meanwhile."""
    store = open_store(s3_zoo)
    with hold(store, lease_seconds=1.0) as lock:
        assert lock.still_mine()
        thief = {"run": "other", "pid": 1, "host": "elsewhere", "seconds": 60.0, "renewals": 0}
        store.put(LOCK_NAME, json.dumps(thief).encode())
        deadline = time.monotonic() + 10
        while lock.still_mine():
            assert time.monotonic() < deadline, "the loss was never noticed"
            time.sleep(0.1)
        assert not still_mine(store, lock.run)
    assert json.loads(store.read(LOCK_NAME)) == thief, "the other run's lease was overwritten"


def test_missing_boto3_is_named(s3_zoo: str) -> None:  # noqa: F811
    code = (
        "import sys; sys.modules['boto3'] = None\n"
        "from zoogen.lock import hold; from zoogen.store import open_store\n"
        "from zoogen.errors import LockError\n"
        "try:\n    with hold(open_store(sys.argv[1])): pass\n"
        "except LockError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, s3_zoo], capture_output=True, text=True, check=True
    )
    assert "needs boto3" in done.stdout
    assert "--no-lock" in done.stdout


def test_a_store_that_ignores_conditions_is_found_out(
    s3_server: str,  # noqa: F811
    s3_zoo: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S3 without conditional writes overwrites silently; a client that drops them stands for it."""
    import botocore.client

    send = botocore.client.BaseClient._make_api_call

    def careless(self: Any, name: str, values: dict[str, object]) -> object:
        kept = {k: v for k, v in values.items() if k not in ("IfMatch", "IfNoneMatch")}
        return send(self, name, kept)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", careless)
    with pytest.raises(LockError, match=r"cannot lock.*--no-lock"), hold(open_store(s3_zoo)):
        pytest.fail("locked")
    assert not open_store(s3_zoo).exists(LOCK_NAME)
