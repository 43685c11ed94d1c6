"""Manifests of very many shards: in parts, refused by old readers, whole or named, small files."""

import json
from pathlib import Path

import pytest
from tiny_zoo import OTHER_PLATFORM, image_plan, make_zoo, snapshots

from zoogen import listing
from zoogen.check.files import read_files
from zoogen.continuation import extension, write_plan
from zoogen.entry import ShardEntry
from zoogen.errors import ShardError
from zoogen.exporters.hugging_face import export
from zoogen.listing import LISTED, cut
from zoogen.manifest import Manifest, read_manifest, write_manifest
from zoogen.plan import Plan, check_format
from zoogen.reader import open_zoo
from zoogen.shards import write_shard
from zoogen.store import Store, open_store

MEMBERS = 140
SHARDS = 5


@pytest.fixture(autouse=True)
def two_lines_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LISTED", 2)


@pytest.fixture
def plan() -> Plan:
    return image_plan(members=MEMBERS, checkpoints=(0, 1))


@pytest.fixture
def store(plan: Plan, tmp_path: Path) -> Store:
    return make_zoo(tmp_path / "zoo", plan)


def listed(store: Store) -> dict:
    return json.loads(store.read("manifest.json"))


def part_names(store: Store) -> list[str]:
    return list(store.list("manifest"))


def test_many_shards_are_listed_in_parts(store: Store, plan: Plan) -> None:
    value = listed(store)
    assert value["format"] == 2
    assert "shards" not in value
    assert [part["shards"] for part in value["parts"]] == [2, 2, 1]
    assert [part["name"] for part in value["parts"]] == part_names(store)
    names = [s["name"] for part in part_names(store) for s in json.loads(store.read(part))]
    assert names == [spec.name for spec in plan.shards()]


def test_such_a_zoo_reads_and_verifies_as_any_other(store: Store) -> None:
    zoo = open_zoo(store.uri)
    assert zoo.complete
    assert (len(zoo), len(zoo.shards)) == (MEMBERS, SHARDS)
    assert zoo.row(MEMBERS - 1)["member"] == MEMBERS - 1
    files = read_files(store, partial=False)
    assert (files.faults, len(files.specs)) == ((), SHARDS)


def test_few_shards_stay_in_the_manifest(tmp_path: Path) -> None:
    store = make_zoo(tmp_path, image_plan(members=64, checkpoints=(0, 1)))
    value = listed(store)
    assert (value["format"], len(value["shards"])) == (1, 2)
    assert part_names(store) == []


def test_a_reader_of_format_1_refuses_it_in_a_sentence(store: Store) -> None:
    with pytest.raises(ShardError, match=r"zoo format 2; this version of zoogen reads 1$"):
        check_format(listed(store))


def test_a_manifest_without_its_zoo_says_where_the_shards_are(store: Store) -> None:
    with pytest.raises(ShardError, match="lists its shards in parts"):
        Manifest.from_json(listed(store))


def test_a_missing_part_is_named(store: Store) -> None:
    lost = part_names(store)[1]
    store.delete(lost)
    with pytest.raises(ShardError, match=f"manifest.json: {lost} is missing, which lists 2 shards"):
        read_manifest(store)
    (fault,) = read_files(store, partial=False).faults
    assert lost in str(fault)


def test_a_changed_part_is_named(store: Store) -> None:
    name = part_names(store)[0]
    store.put(name, store.read(name).replace(b'"rows": 64', b'"rows": 65'))
    with pytest.raises(ShardError, match=f"{name} is damaged: its SHA-256 is"):
        read_manifest(store)


@pytest.mark.parametrize("name", ["../secret.json", "manifest/part-00000.json", "plan.json"])
def test_a_part_cannot_lie_elsewhere(store: Store, name: str) -> None:
    value = listed(store)
    value["parts"][0]["name"] = name
    with pytest.raises(ShardError, match=r"a part is manifest/part-NNNNN-HASH\.json"):
        Manifest.from_json(value, store=store)


def test_the_old_parts_stay_until_the_new_manifest_is_there(
    store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, old_parts = read_manifest(store), part_names(store)
    assert old is not None
    longer = image_plan(members=MEMBERS + 40, checkpoints=(0, 1), platform=OTHER_PLATFORM)
    second = extension([plan], longer)
    assert second is not None
    write_plan(store, second)
    entries = [
        write_shard(store, plan=second, spec=spec, snapshots=snapshots(second, spec))
        for spec in second.shards()
    ]
    put = store.put

    def dies_at_the_manifest(name: str, data: bytes) -> None:
        if name == "manifest.json":
            raise KeyboardInterrupt
        put(name, data)

    monkeypatch.setattr(store, "put", dies_at_the_manifest)
    with pytest.raises(KeyboardInterrupt):
        write_manifest(store, plans=[plan, second], entries=[*old.shards, *entries])
    assert read_manifest(store) == old
    monkeypatch.setattr(store, "put", put)
    new = write_manifest(store, plans=[plan, second], entries=[*old.shards, *entries])
    assert read_manifest(store) == new
    assert part_names(store) == [part.name for part in new.parts]
    assert set(old_parts[:2]) <= set(part_names(store))
    assert old_parts[2] not in part_names(store)


def test_parts_are_exported_with_their_manifest(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    export(open_zoo(store.uri), folder, lambda *_: None)
    assert read_manifest(open_store(folder)) == read_manifest(store)


def test_no_file_of_a_manifest_passes_ten_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of a zoo with millions of shards, each as long as a line gets."""
    monkeypatch.setattr(listing, "LISTED", LISTED)
    entry = ShardEntry(
        name="shards/part-1000000.parquet",
        rows=10_000,
        networks=1_000,
        status={"diverged": 100, "ok": 800, "unfitted": 100},
        bytes=64_000_000,
        sha256="f" * 64,
    )
    (first, data), (last, _) = cut([entry] * (LISTED + 1))
    assert len(data) < 10_000_000
    assert (first.shards, last.shards) == (LISTED, 1)
    assert list(cut([entry] * LISTED)) == []
