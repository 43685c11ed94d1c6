"""Reading zoos that are unfinished, being continued, broken or far away."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3_fixture import s3_server, s3_zoo  # noqa: F401
from tiny_zoo import (
    image_architecture,
    image_plan,
    make_zoo,
    snapshots,
)

from zoogen.architecture_file import write_architectures
from zoogen.continuation import extension, write_plan
from zoogen.errors import ShardError
from zoogen.manifest import write_manifest
from zoogen.plan import Plan
from zoogen.reader import open_zoo
from zoogen.shards import write_shard
from zoogen.store import open_store

MEMBERS = 40
ENDS = {4: (2, "diverged"), 7: (3, "diverged")}


def unfinished(path: Path, shards: int) -> Plan:
    plan = image_plan(members=100)
    store = open_store(path)
    write_plan(store, plan)
    write_architectures(store, [image_architecture()])
    for spec in list(plan.shards())[:shards]:
        write_shard(store, plan=plan, spec=spec, snapshots=snapshots(plan, spec))
    return plan


def test_an_unfinished_zoo_is_read_only_when_asked(tmp_path: Path) -> None:
    plan = unfinished(tmp_path, 2)
    total = plan.shard_count()
    with pytest.raises(ShardError, match=rf"not complete: 2 of {total} shards .*partial=True"):
        open_zoo(tmp_path)
    zoo = open_zoo(tmp_path, partial=True)
    assert not zoo.complete
    assert len(zoo) == sum(len(s.members) for s in list(plan.shards())[:2])
    assert zoo.weights().shape == (len(zoo), 4970)
    assert repr(zoo).endswith("not complete)")


def test_a_zoo_without_any_shard_has_empty_tables(tmp_path: Path) -> None:
    unfinished(tmp_path, 0)
    zoo = open_zoo(tmp_path, partial=True)
    assert len(zoo) == 0
    assert zoo.table().num_rows == 0
    assert zoo.weights().shape == (0, 4970)


def test_a_zoo_being_continued_reads_as_before_or_with_what_is_new(tmp_path: Path) -> None:
    first = image_plan(members=6)
    store = make_zoo(tmp_path, first)
    second = extension([first], image_plan(members=50))
    assert second is not None
    write_plan(store, second)
    specs = list(second.shards())
    write_shard(store, plan=second, spec=specs[0], snapshots=snapshots(second, specs[0]))
    assert len(open_zoo(tmp_path)) == 6
    partial = open_zoo(tmp_path, partial=True)
    assert not partial.complete
    assert len(partial) == 6 + len(specs[0].members)
    assert partial.row(specs[0].members[-1])["epoch"] == 3


def test_a_folder_that_is_no_zoo(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ShardError, match="is no zoo: it has no plan"):
            open_zoo(path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    store = make_zoo(tmp_path, image_plan(members=40))
    store.delete("shards/part-00001.parquet")
    with pytest.raises(ShardError, match=r"1 of 2 shards of the manifest are missing: shards/part"):
        open_zoo(tmp_path)


def test_a_shard_that_vanishes_or_breaks_later_is_named(tmp_path: Path) -> None:
    store = make_zoo(tmp_path, image_plan(members=40))
    zoo = open_zoo(tmp_path)
    path = tmp_path / "shards/part-00001.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:1000])
    with pytest.raises(ShardError, match=r"part-00001\.parquet is damaged"):
        zoo.weights()
    store.delete("shards/part-00001.parquet")
    with pytest.raises(ShardError, match=r"part-00001\.parquet is missing"):
        zoo.table()
    path.mkdir()
    with pytest.raises(ShardError, match=r"part-00001\.parquet cannot be opened"):
        zoo.table()


def test_another_format_version_is_named(tmp_path: Path) -> None:
    make_zoo(tmp_path, image_plan())
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 3}))
    with pytest.raises(ShardError, match="zoo format 3; this version of zoogen reads 1 and 2"):
        open_zoo(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"family": "arch1"', '"family": "arch9"', "describes"),
        ('"size": 16', '"size": 17', "holds a description that cannot be: arch1, tensor"),
        ('"spaces"', '"places"', "holds a description that cannot be: 'spaces'"),
    ],
)
def test_descriptions_are_checked(tmp_path: Path, old: str, new: str, message: str) -> None:
    make_zoo(tmp_path, image_plan())
    path = tmp_path / "architectures.parquet"
    table = pq.read_table(path)
    text = table.column("description")[0].as_py()
    assert old in text
    wrong = pa.array([text.replace(old, new)])
    pq.write_table(table.set_column(3, table.schema.field(3), wrong), path)
    with pytest.raises(ShardError, match=rf"architectures\.parquet.* {message}"):
        open_zoo(tmp_path)


def test_a_missing_or_damaged_description_file_is_named(tmp_path: Path) -> None:
    make_zoo(tmp_path, image_plan())
    path = tmp_path / "architectures.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ShardError, match=r"architectures\.parquet is damaged"):
        open_zoo(tmp_path)
    path.unlink()
    with pytest.raises(ShardError, match=r"architectures\.parquet is missing"):
        open_zoo(tmp_path)


def test_a_zoo_on_s3_reads_like_a_local_one(s3_zoo: str, tmp_path: Path) -> None:  # noqa: F811
    plan = image_plan(members=40)
    make_zoo(s3_zoo, plan)
    make_zoo(tmp_path, plan)
    there, here = open_zoo(s3_zoo), open_zoo(tmp_path)
    np.testing.assert_array_equal(there.weights(split="test"), here.weights(split="test"))
    assert there.table().equals(here.table())


def test_two_plans_are_one_zoo(tmp_path: Path) -> None:
    first = image_plan(members=6)
    second = extension([first], image_plan(members=12))
    assert second is not None
    store = make_zoo(tmp_path, first)
    entries = [
        write_shard(store, plan=p, spec=s, snapshots=snapshots(p, s))
        for p in (first, second)
        for s in p.shards()
    ]
    write_manifest(store, plans=[first, second], entries=entries)
    zoo = open_zoo(tmp_path)
    assert len(zoo) == 12
    assert zoo.complete
    members = zoo.table(["member"]).column("member").to_pylist()
    assert sorted(members) == list(range(12))
