"""Readers of everything that is kept, given damaged and hostile files: a named error or a value.

`make test` reads some hundred of each kind, `pytest -m slow` ten thousand in all.
"""

import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sne.checkpoint import load_run
from sne.config import Machine
from sne.errors import SneError
from sne.recipes import default_config
from sne.sources import read_source
from sne.state import load_state
from sne.train import train
from sweeps.asked import read_asked
from sweeps.errors import SweepError
from sweeps.results import read_results
from tests.fuzz import mutation_for
from zoogen.contract import open_zoo
from zoogen.errors import ZooError
from zoogen.run import main as make_zoo

NAMED = (ZooError, SneError, SweepError)
Reader = Callable[[Path], object]
FEW, MANY = 25, 1_300


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fuzz") / "zoo"
    flags = ["--dataset", "sine", "--arch", "siren", "--recipe", "quick", "--members", "10"]
    assert make_zoo([*flags, "--local", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def run(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is done, with the state of one that was stopped."""
    out = tmp_path_factory.mktemp("fuzz-run") / "run"

    class Stopped(Exception):
        pass

    def stop(progress: object) -> None:
        if getattr(progress, "row", None) is not None and (out / "state" / "state.json").exists():
            raise Stopped

    config = default_config((str(zoo),), model="mlp")
    machine = Machine(device="cpu", threads=1, save_every=0.0, save_epochs=True)
    with pytest.raises(Stopped):
        train(config, out, machine=machine, report=stop)
    return out


def read_zoo(folder: Path) -> object:
    opened = open_zoo(folder)
    return opened.networks(status=None).table(), opened.weights(status=None), repr(opened)


def read_run(folder: Path) -> object:
    return load_run(folder).budget


CASES: dict[str, tuple[str, Reader]] = {
    "plan.json": ("zoo", lambda folder: open_zoo(folder, partial=True)),
    "manifest.json": ("zoo", read_zoo),
    "architectures.parquet": ("zoo", read_zoo),
    "shards/part-00000.parquet": ("zoo", read_zoo),
    "config.json": ("run", read_run),
    "architectures.json": ("run", read_run),
    "model.safetensors": ("run", read_run),
    "state/state.json": ("run", load_state),
}


def fuzz(folder: Path, name: str, reader: Reader, tmp_path: Path, count: int) -> list[str]:
    """What was no named error, each kind once."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    whole, change = (folder / name).read_bytes(), mutation_for(name)
    wrong: dict[str, str] = {}
    for number in range(count):
        (copy / name).write_bytes(change(whole, Random(number)))
        try:
            reader(copy)
        except NAMED:
            continue
        except Exception as error:
            wrong.setdefault(f"{type(error).__name__}: {str(error)[:60]}", f"seed {number}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy"]
    return [f"{error} ({where})" for error, where in wrong.items()]


@pytest.mark.parametrize(
    "count", [FEW, pytest.param(MANY, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))]
)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_told_of(name, count, zoo, run, tmp_path):
    kind, reader = CASES[name]
    assert fuzz({"zoo": zoo, "run": run}[kind], name, reader, tmp_path, count) == []


def test_the_fuzzing_can_fail(zoo, tmp_path):
    def careless(folder: Path) -> object:
        return pq.read_table(folder / "shards/part-00000.parquet")

    found = fuzz(zoo, "shards/part-00000.parquet", careless, tmp_path, FEW)
    assert any("ArrowInvalid" in error for error in found)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("import pathlib; pathlib.Path('/tmp/zooscope-bomb').touch()",)


@pytest.fixture
def no_bomb():
    mark = Path("/tmp/zooscope-bomb")
    mark.unlink(missing_ok=True)
    yield
    assert not mark.exists()


@pytest.mark.usefixtures("no_bomb")
@pytest.mark.parametrize("form", ["torch", "pickle", "zip"])
def test_no_file_runs_code(form: str, run: Path, tmp_path: Path):
    path = tmp_path / "network.pt"
    if form == "torch":
        torch.save({"a.weight": torch.ones(2), "x": Bomb()}, path)
    elif form == "pickle":
        path.write_bytes(pickle.dumps({"a.weight": Bomb()}))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    with pytest.raises(SneError):
        read_source(str(path))
    # And under the names that a run and a search have.
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    for name in ("model.safetensors", "state/state.json"):
        shutil.copy(path, copy / name)
    with pytest.raises(SneError):
        load_run(copy)
    with pytest.raises(SneError):
        load_state(copy)


def test_shards_have_names_that_stay_in_the_zoo(zoo: Path, tmp_path: Path):
    copy = tmp_path / "zoo"
    shutil.copytree(zoo, copy)
    manifest = (copy / "manifest.json").read_text()
    for name in ("../evil.parquet", "/tmp/evil.parquet", "shards/../../evil.parquet"):
        (copy / "manifest.json").write_text(manifest.replace("shards/part-00000.parquet", name))
        with pytest.raises(ZooError, match=r"a shard is shards/part-NNNNN\.parquet"):
            open_zoo(copy)


@pytest.mark.parametrize("name", ["results", "sweep.json"])
def test_damaged_results_are_told_of(name: str, tmp_path: Path):
    (tmp_path / "results").mkdir()
    table = pa.table({"trial": ["a"]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    dice = Random(0)
    for _ in range(FEW):
        (tmp_path / "results" / "a.parquet").write_bytes(
            mutation_for("a.parquet")(sink.getvalue(), dice)
        )
        (tmp_path / "sweep.json").write_bytes(
            mutation_for("sweep.json")(b'{"format": 1, "kind": "matrix", "entries": []}', dice)
        )
        with pytest.raises(SweepError):
            read_results(tmp_path) if name == "results" else read_asked(tmp_path)
