"""Stores: objects that are whole or absent, in folders and on an S3 server."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from s3_fixture import KEYS, free_port, s3_server, s3_zoo, wait_for  # noqa: F401

from zoogen.errors import PlanError, ShardError
from zoogen.object_store import s3_place
from zoogen.store import LocalStore, Store, open_store


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """What follows holds for both kinds."""
    if request.param == "local":
        return open_store(tmp_path / "new" / "zoo")
    return open_store(request.getfixturevalue("s3_zoo"))


def test_put_read_replace_delete(store: Store) -> None:
    assert not store.exists("shards/part-00000.parquet")
    store.put("shards/part-00000.parquet", b"one")
    store.put("shards/part-00000.parquet", pa.py_buffer(b"two"))
    assert store.read("shards/part-00000.parquet") == b"two"
    assert store.exists("shards/part-00000.parquet")
    assert not store.exists("shards")
    store.delete("shards/part-00000.parquet")
    store.delete("shards/part-00000.parquet")
    with pytest.raises(FileNotFoundError):
        store.read("shards/part-00000.parquet")
    with pytest.raises(FileNotFoundError):
        store.open("shards/part-00000.parquet")


def test_put_new_never_replaces(store: Store) -> None:
    assert store.put_new("plan.json", b"first")
    assert not store.put_new("plan.json", b"second")
    assert store.read("plan.json") == b"first"


def test_a_folder_is_listed_in_order_and_not_below(store: Store) -> None:
    assert list(store.list("shards")) == []
    for name in ("shards/b", "shards/a", "shards/deeper/c", "plan.json"):
        store.put(name, b"x")
    assert list(store.list("shards")) == ["shards/a", "shards/b"]
    assert list(store.list("")) == ["plan.json"]


def test_parts_of_an_object_can_be_read(store: Store) -> None:
    store.put("x", bytes(range(100)))
    with store.open("x") as file:
        file.seek(10)
        assert file.read(3) == bytes([10, 11, 12])


def test_a_store_opens_again_from_its_uri(store: Store) -> None:
    store.put("x", b"1")
    assert open_store(store.uri).read("x") == b"1"


def test_large_objects_arrive_whole(store: Store) -> None:
    data = os.urandom(1 << 20) * 12  # above the size at which S3 uploads are cut into parts
    store.put("x", data)
    assert store.read("x") == data


# --- folders


def test_file_uris_are_folders(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}/a%20b").put("x", b"1")
    assert (tmp_path / "a b" / "x").read_bytes() == b"1"


def test_a_kill_while_writing_leaves_the_old_object_or_the_new(tmp_path: Path) -> None:
    """A process that writes without pause is killed; what it leaves is whole, then swept."""
    code = (
        "import sys; from zoogen.store import LocalStore; from pathlib import Path\n"
        "store = LocalStore(Path(sys.argv[1])); print('ready', flush=True)\n"
        "i = 0\n"
        "while True:\n    i += 1; store.put('x', bytes([i % 256]) * 30_000_000)\n"
    )
    left = 0
    for pause in (0.05, 0.11, 0.17, 0.23):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(pause)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        store = LocalStore(tmp_path)
        if store.exists("x"):
            data = store.read("x")
            assert len(data) == 30_000_000
            assert set(data[::4096]) == {data[0]}
        assert set(store.list("")) <= {"x"}
        left += store.sweep()
        assert {p.name for p in tmp_path.iterdir()} <= {"x"}
    assert left > 0, "no kill hit a write, so nothing was tested"


def test_sweep_removes_temporary_files_and_nothing_else(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("shards/part-00000.parquet", b"1")
    stale = tmp_path / "shards" / ".part-00001.parquet.123-abcd.tmp"
    stale.write_bytes(b"half")
    (tmp_path / "notes.tmp").write_text("not ours")
    assert list(store.list("shards")) == ["shards/part-00000.parquet"]
    assert store.sweep() == 1
    assert not stale.exists()
    assert (tmp_path / "notes.tmp").exists()


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the write stops half-way."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from zoogen.store import LocalStore; from zoogen.errors import ShardError\n"
        "store = LocalStore(Path(sys.argv[1]))\n"
        "store.put('small', b'x' * 1000)\n"
        "try: store.put('x', b'x' * 1001)\n"
        "except ShardError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"cannot write {tmp_path}/x: File too large; make room")
    assert {p.name for p in tmp_path.iterdir()} == {"small"}


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "zoo").write_text("a file")
    with pytest.raises(ShardError, match=r"cannot write .*plan\.json: .*choose another --out"):
        open_store(tmp_path / "zoo").put("plan.json", b"1")


# --- object stores


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://key:secret@bucket/zoo", "must not hold credentials"),
        ("gs://user@bucket/zoo", "must not hold credentials"),
        ("hdfs://host/zoo", "a zoo lies in a folder or at s3://"),
        ("ftp://host/zoo", "a zoo lies in a folder or at s3://"),
        ("s3:///zoo", "s3://bucket/prefix"),
    ],
)
def test_uris_that_cannot_be_a_zoo(uri: str, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        open_store(uri)
    assert "secret" not in str(caught.value)


def test_an_endpoint_comes_from_environment_or_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert s3_place("s3://b/a/c/").endpoint is None
    assert s3_place("s3://b/a/c/").key("plan.json") == "a/c/plan.json"
    assert s3_place("s3://b").key("plan.json") == "plan.json"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://one:1")
    assert s3_place("s3://b/a").endpoint == "http://one:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://two:2")
    assert s3_place("s3://b/a").endpoint == "http://two:2"
    given = s3_place("s3://b/a?endpoint_override=three:3&scheme=http&region=here")
    assert (given.endpoint, given.region, given.prefix) == ("http://three:3", "here", "a")


def test_credentials_are_never_logged(s3_zoo: str, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    caplog.set_level(logging.DEBUG, logger="zoogen")
    store = open_store(s3_zoo)
    store.put("x", b"1")
    with pytest.raises(ShardError) as caught:
        open_store("s3://no-such-bucket-here/zoo").put("x", b"1")
    seen = caplog.text + str(caught.value) + store.uri + repr(store)
    assert not any(value in seen for name, value in KEYS.items() if "KEY" in name)


FLAKY_S3 = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
s3, seen = DomainDispatcherApplication(create_backend_app), 0

def flaky(environ, start_response):
    global seen
    seen += 1
    status = {1: "503 Slow Down", 3: "500 Internal Server Error"}.get(seen % 4)
    if status is None:
        return s3(environ, start_response)
    chunked = environ.get("HTTP_TRANSFER_ENCODING") == "chunked"
    environ["wsgi.input"].read(-1 if chunked else int(environ.get("CONTENT_LENGTH") or 0))
    print(status, flush=True)
    start_response(status, [("Content-Length", "0")])
    return [b""]

run_simple("127.0.0.1", int(sys.argv[1]), flaky, threaded=True)
"""


def test_server_errors_and_throttling_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every other request fails; the store works all the same."""
    boto3 = pytest.importorskip("boto3")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    answers = tmp_path / "answers.txt"
    with answers.open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", FLAKY_S3, str(port)], stdout=log, stderr=subprocess.DEVNULL
        )
    try:
        wait_for(port)
        boto3.client("s3").create_bucket(Bucket="flaky")
        before = answers.read_text()
        store = open_store("s3://flaky/zoo")
        store.put("plan.json", b"kept")
        assert store.read("plan.json") == b"kept"
        since = answers.read_text().removeprefix(before)
        assert "503" in since, "the server refused nothing"
        assert "500" in since, "the server refused nothing"
    finally:
        server.kill()
        server.wait()
