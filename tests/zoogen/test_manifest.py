"""Manifests: written once, last, complete; summaries; continuation; the same from S3."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from s3_fixture import s3_server, s3_zoo  # noqa: F401
from tiny_zoo import OTHER_PLATFORM, accuracy_of, image_plan, make_zoo, sine_plan, snapshots

from zoogen.continuation import extension, write_plan
from zoogen.entry import ShardEntry
from zoogen.errors import ShardError
from zoogen.manifest import Manifest, read_manifest, write_manifest
from zoogen.plan import Plan
from zoogen.shards import write_shard
from zoogen.store import Store, open_store


def shards_of(store: Store, plan: Plan) -> list[ShardEntry]:
    return [
        write_shard(store, plan=plan, spec=spec, snapshots=snapshots(plan, spec))
        for spec in plan.shards()
    ]


def test_a_manifest_survives_json_text(tmp_path: Path) -> None:
    store = make_zoo(tmp_path, image_plan())
    manifest = read_manifest(store)
    assert manifest is not None
    assert Manifest.from_json(json.loads(manifest.text)) == manifest
    assert (tmp_path / "manifest.json").read_text() == manifest.text


def test_it_lists_shards_with_rows_and_hash_and_columns_with_meaning(tmp_path: Path) -> None:
    plan = image_plan(members=40)
    make_zoo(tmp_path, plan)
    value = json.loads((tmp_path / "manifest.json").read_text())
    assert value["format"] == 1
    assert value["plans"] == [plan.to_json()]
    assert [s["name"] for s in value["shards"]] == [s.name for s in plan.shards()]
    for shard in value["shards"]:
        data = (tmp_path / shard["name"]).read_bytes()
        assert shard["sha256"] == hashlib.sha256(data).hexdigest()
        assert shard["bytes"] == len(data)
    assert sum(s["rows"] for s in value["shards"]) == 120
    columns = {c["name"]: c for c in value["columns"]}
    assert columns["test_loss"]["unit"] == "nat"
    assert columns["test_accuracy"]["role"] == "property"
    assert all(c["meaning"] for c in columns.values())


def test_nothing_in_it_depends_on_time_folder_or_order(tmp_path: Path) -> None:
    plan = image_plan(members=40)
    one, two = tmp_path / "one", tmp_path / "two"
    make_zoo(one, plan)
    store = open_store(two)
    entries = shards_of(store, plan)
    write_manifest(store, plans=[plan], entries=[*reversed(entries), entries[0]])
    assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()
    assert str(tmp_path) not in (one / "manifest.json").read_text()


def test_counts_and_quantiles_are_those_of_the_last_checkpoints(tmp_path: Path) -> None:
    plan = image_plan(members=20)
    store = make_zoo(tmp_path, plan, ends={4: (2, "diverged"), 7: (1, "diverged")})
    manifest = read_manifest(store)
    assert manifest is not None
    summary = manifest.summary
    well = [m for m in plan.draw(range(20)) if m.index not in (4, 7)]
    splits = Counter(m.split for m in plan.draw(range(20)))
    assert summary["networks"] == 20
    assert summary["status"]["all"] == {"diverged": 2, "ok": 18}
    assert {k: sum(v.values()) for k, v in summary["status"].items()} == {**splits, "all": 20}
    assert summary["final"]["column"] == "test_accuracy"
    for split in ("train", "val", "test"):
        values = [accuracy_of(m.index, 3) for m in well if m.split == split]
        assert summary["final"]["quantiles"][split]["0.5"] == pytest.approx(np.median(values))
    values = [accuracy_of(m.index, 3) for m in well]
    assert summary["final"]["quantiles"]["all"]["0"] == pytest.approx(min(values))
    assert summary["final"]["quantiles"]["all"]["1"] == pytest.approx(max(values))


def test_inrs_are_judged_by_their_error(tmp_path: Path) -> None:
    manifest = read_manifest(make_zoo(tmp_path, sine_plan(members=10)))
    assert manifest is not None
    assert manifest.summary["final"]["column"] == "mse"
    assert manifest.summary["final"]["quantiles"]["all"]["1"] == 0.5
    assert manifest.summary["final"]["quantiles"]["all"]["0"] == 0.05


def test_a_zoo_with_a_shard_missing_is_not_completed(tmp_path: Path) -> None:
    plan = image_plan(members=40)
    store = open_store(tmp_path)
    entries = shards_of(store, plan)
    with pytest.raises(ShardError, match=r"has 1 of 2 shards; missing: shards/part-00001"):
        write_manifest(store, plans=[plan], entries=entries[:1])
    stranger = replace(entries[0], name="shards/part-00099.parquet")
    with pytest.raises(ShardError, match="has 3 of 2 shards"):
        write_manifest(store, plans=[plan], entries=[*entries, stranger])
    with pytest.raises(ShardError, match="made twice with different bytes"):
        write_manifest(store, plans=[plan], entries=[*entries, replace(entries[0], sha256="0")])
    assert read_manifest(store) is None


def test_a_zoo_continues_and_the_old_manifest_stays_until_the_new_one(tmp_path: Path) -> None:
    first = image_plan(members=6)
    store = make_zoo(tmp_path, first)
    old = read_manifest(store)
    assert old is not None
    second = extension([first], image_plan(members=50, platform=OTHER_PLATFORM))
    assert second is not None
    write_plan(store, second)
    entries = shards_of(store, second)
    assert read_manifest(store) == old
    new = write_manifest(store, plans=[first, second], entries=[*old.shards, *entries])
    assert read_manifest(store) == new
    assert [s.name for s in new.shards] == [f"shards/part-{i:05d}.parquet" for i in range(3)]
    assert new.summary["networks"] == 50
    assert new.shards[0] == old.shards[0]
    assert new.plans[1].platform == OTHER_PLATFORM


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "manifest.json is no JSON"),
        ('{"format": 7}', "zoo format 7; this version of zoogen reads 1"),
        ('{"format": 1}', "lacks or misuses a field"),
    ],
)
def test_a_broken_manifest_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ShardError, match=message):
        read_manifest(open_store(tmp_path))


def test_a_zoo_on_s3_has_the_manifest_of_a_local_one(s3_zoo: str, tmp_path: Path) -> None:  # noqa: F811
    plan = image_plan()
    there, here = make_zoo(s3_zoo, plan), make_zoo(tmp_path, plan)
    assert read_manifest(there) == read_manifest(here)
    assert there.read("architectures.parquet") == here.read("architectures.parquet")
