"""Names and links that lead out of a folder: nothing outside it is read or written."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.samples import SAMPLES
from tests.zoogen.tiny_zoo import make_zoo, sine_plan
from zoogen.contract import open_zoo
from zoogen.errors import SourceError, ZooError
from zoogen.importers.find import find_source
from zoogen.importers.source import Hints
from zoogen.importers.write import plan_conversion
from zoogen.lock import hold
from zoogen.store import open_store, within

NAMES = (
    "../evil", "shards/../../evil", "..", "/evil", "shards//../../evil", "shards\\..\\..\\evil",
    "..\\evil", "C:\\evil", "evil\0", "shards/\0",
)  # fmt: skip
SHARD = "shards/part-00000.parquet"


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    make_zoo(tmp_path / "zoo", sine_plan(members=4))
    return tmp_path / "zoo"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_store_reads_and_writes_within_its_folder(name: str, zoo: Path) -> None:
    store, before = open_store(zoo), sorted(zoo.parent.rglob("*"))
    for act in (
        lambda: store.put(name, b"x"),
        lambda: store.put_new(name, b"x"),
        lambda: store.read(name),
        lambda: store.open(name),
        lambda: store.exists(name),
        lambda: store.delete(name),
        lambda: list(store.list(name)),
    ):
        with pytest.raises(ZooError, match="is no name of an object"):
            act()
    assert sorted(zoo.parent.rglob("*")) == before


def test_names_of_objects_are_taken(tmp_path: Path) -> None:
    assert within(tmp_path, SHARD) == tmp_path / SHARD
    assert within(tmp_path, "shards") == tmp_path / "shards"


@pytest.mark.parametrize("name", [*NAMES, "shards/part-0.parquet", "shards/part-00000.parquet/x"])
def test_a_manifest_names_shards_alone(name: str, zoo: Path) -> None:
    manifest = json.loads((zoo / "manifest.json").read_text())
    manifest["shards"][0]["name"] = name
    (zoo / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ZooError, match=r"a shard is shards/part-NNNNN\.parquet"):
        open_zoo(zoo)


def test_a_shard_that_is_a_link_out_is_not_read(zoo: Path, outside: Path) -> None:
    shutil.move(zoo / SHARD, outside / "shard")
    (zoo / SHARD).symlink_to(outside / "shard")
    with pytest.raises(ZooError, match="a link that leads out of"):
        open_zoo(zoo).weights()


def test_a_zoo_may_itself_be_a_link(zoo: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(zoo)
    assert len(open_zoo(tmp_path / "link").weights()) == 4


@pytest.mark.parametrize("folder", ["shards", "log"])
def test_nothing_is_written_through_a_link(folder: str, zoo: Path, outside: Path) -> None:
    shutil.rmtree(zoo / folder, ignore_errors=True)
    (zoo / folder).symlink_to(outside)
    store = open_store(zoo)
    with pytest.raises(ZooError, match="a link that leads out of"):
        store.put(f"{folder}/new", b"x")
    with pytest.raises(ZooError, match="a link that leads out of"):
        list(store.list(folder))
    assert os.listdir(outside) == ["secret"]  # noqa: PTH208


def test_a_lock_that_is_a_link_empties_no_file(zoo: Path, outside: Path) -> None:
    (zoo / "log").mkdir(exist_ok=True)
    (zoo / "log/lock").unlink(missing_ok=True)
    (zoo / "log/lock").symlink_to(outside / "secret")
    with pytest.raises(ZooError, match="a link that leads out of"), hold(open_store(zoo)):
        pass
    assert (outside / "secret").read_text() == "secret"


def table(folder: Path, name: str) -> None:
    lines = (folder / "networks.csv").read_text().splitlines()
    lines[1] = ",".join([f'"{name}"', *lines[1].split(",")[1:]])
    (folder / "networks.csv").write_text("\n".join(lines))


def splits(folder: Path, name: str) -> None:
    (path,) = folder.glob("*.json")
    value = json.loads(path.read_text())
    value["train"]["path"] = [name]
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("sample", "change", "file"),
    [
        ("state-dicts", table, "net0.pt"),
        ("dwsnets", splits, "model_0.pth"),
        ("wild-park", splits, "park/NN_0/checkpoint_000010/checkpoint.pt"),
    ],
)
@pytest.mark.parametrize("form", ["up", "root", "link", "zero", "windows"])
def test_a_list_names_files_of_its_folder(
    form: str, sample: str, change: Callable[[Path, str], None], file: str, tmp_path: Path
) -> None:
    folder, other = tmp_path / "source", tmp_path / "other.pth"
    SAMPLES[sample](folder)
    shutil.move(folder / file, other)
    (folder / "link.pth").symlink_to(other)
    names = {
        "up": "../other.pth", "root": str(other), "link": "link.pth", "zero": "link.pth\0",
        "windows": "..\\other.pth",
    }  # fmt: skip
    change(folder, names[form])
    source = find_source(folder, format_name=sample, hints=Hints())
    with pytest.raises(SourceError, match="below"):
        plan_conversion(source, seed=0, report=lambda *_: None)
