"""The command with `--out s3://…`, against an S3 server on loopback."""

import os
import signal
from pathlib import Path

import pytest
from commands import SLOW, TINY, contents, finish, made, run, start, wait_until
from s3_fixture import s3_server, s3_zoo  # noqa: F401

from zoogen.store import Store, open_store

FLAGS = (*TINY, "--members", "6", "--epochs", "1")


def objects(store: Store) -> dict[str, bytes]:
    names = ("plan.json", "manifest.json", "architectures.parquet", *store.list("shards"))
    return {name: store.read(name) for name in names if store.exists(name)}


def test_a_zoo_on_an_object_store_is_that_of_a_folder(
    s3_zoo: str,  # noqa: F811
    tmp_path: Path,
    trained_cache: Path,
):
    local = tmp_path / "zoo"
    made(*FLAGS, "--local", "--out", local)
    done = made(*FLAGS, "--local", "--out", s3_zoo)
    assert done.stdout.startswith(f"{s3_zoo}: complete, 6 networks")
    store = open_store(s3_zoo)
    assert objects(store) == contents(local)
    assert "nothing had to be made" in made(*FLAGS, "--local", "--out", s3_zoo).stdout
    made(*FLAGS, "--local", "--out", s3_zoo, "--members", "8")
    assert len(list(store.list("shards"))) == 2


def test_a_second_run_and_a_stopped_one(s3_zoo: str, trained_cache: Path):  # noqa: F811
    store = open_store(s3_zoo)
    first = start(*SLOW, "--local", "--out", s3_zoo)
    wait_until(lambda: list(store.list("log/attempts")))
    second = run(*SLOW, "--local", "--out", s3_zoo)
    assert second.returncode == 2
    assert f"process {first.pid} on " in second.stderr
    os.killpg(first.pid, signal.SIGINT)
    assert finish(first).returncode == 130
    # The lease was given back, so nobody has to wait until it expires.
    made(*SLOW, "--local", "--out", s3_zoo)
    assert store.exists("manifest.json")


@pytest.mark.ray
@pytest.mark.slow
def test_workers_write_to_an_object_store(
    s3_zoo: str,  # noqa: F811
    tmp_path: Path,
    trained_cache: Path,
):
    made(*SLOW, "--local", "--out", tmp_path / "zoo")
    made(*SLOW, "--workers", "2", "--out", s3_zoo)
    assert objects(open_store(s3_zoo)) == contents(tmp_path / "zoo")
