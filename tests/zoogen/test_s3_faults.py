"""A zoo on an object store that is busy, slow, or loses connections: the same bytes in the end."""

from pathlib import Path

import pytest
from commands import TINY, contents, made, run
from faulty_proxy import Faults, faulty
from s3_fixture import KEYS, s3_server, s3_zoo  # noqa: F401
from test_run_s3 import objects

from zoogen.store import open_store

FLAGS = (*TINY, "--members", "6", "--epochs", "1", "--local")
pytestmark = pytest.mark.usefixtures("trained_cache")


@pytest.mark.parametrize(
    "faults",
    [Faults(busy=3), Faults(cut=2), Faults(pause_s=0.3)],
    ids=["answers 503 for a while", "cuts connections in the middle of a put", "answers slowly"],
)
def test_the_zoo_is_made_all_the_same(
    faults: Faults,
    s3_server: str,  # noqa: F811
    s3_zoo: str,  # noqa: F811
    tmp_path: Path,
):
    made(*FLAGS, "--out", tmp_path / "zoo")
    with faulty(s3_server, faults) as endpoint:
        done = made(*FLAGS, "--out", s3_zoo, AWS_ENDPOINT_URL=endpoint)
    assert sum(faults.done.values()) >= 2  # it did go wrong
    assert objects(open_store(s3_zoo)) == contents(tmp_path / "zoo")
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr


@pytest.mark.slow  # for a minute it is asked again and again
def test_a_store_that_stays_away_is_told_of_and_nothing_is_lost(
    s3_server: str,  # noqa: F811
    s3_zoo: str,  # noqa: F811
    tmp_path: Path,
):
    with faulty(s3_server, Faults(cut=1000)) as endpoint:
        done = run(*FLAGS, "--out", s3_zoo, AWS_ENDPOINT_URL=endpoint)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert f"cannot write {s3_zoo}/shards/part-00000.parquet" in done.stderr
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    store = open_store(s3_zoo)
    assert store.exists("plan.json")
    assert not store.exists("manifest.json")
    made(*FLAGS, "--out", s3_zoo)
    made(*FLAGS, "--out", tmp_path / "zoo")
    assert objects(store) == contents(tmp_path / "zoo")
