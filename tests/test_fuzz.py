"""Readers of everything, given damaged and hostile files: an error with a name, or a value.

A table says what is damaged and what reads it. `make test` tries some of each; `pytest -m slow`
more than ten thousand in all, and `--fuzz-seed` others.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sne.checkpoint import load_run
from sne.errors import SneError
from sne.sources import read_source
from sne.state import load_state
from sweeps.asked import read_asked
from sweeps.errors import SweepError
from sweeps.results import read_results
from tests.fuzz import mutation_for, unnamed
from tests.samples import SAMPLES
from zoogen.contract import open_zoo
from zoogen.errors import ZooError
from zoogen.exporters.choose import EXPORTERS
from zoogen.exporters.place import whole_folder
from zoogen.images.arrays import check_split
from zoogen.images.catalog import image_set
from zoogen.images.parquet import read_parquet
from zoogen.images.torchvision_files import read_torchvision
from zoogen.importers.find import find_source
from zoogen.importers.source import Hints
from zoogen.importers.write import plan_conversion, shard_table
from zoogen.look.content import read_content
from zoogen.rows import check_table
from zoogen.store import open_store

NAMED = (ZooError, SneError, SweepError)
FEW, MANY = 8, 260


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What is damaged, and who reads it."""

    sample: str
    file: str
    read: Callable[[Path], object]


def whole_zoo(folder: Path) -> object:
    opened = open_zoo(folder)
    return opened.networks(status=None).table(), opened.weights(status=None), repr(opened)


def looked_at(folder: Path) -> object:
    return read_content(open_store(folder))


def exported(form: str) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        out = folder.with_name("exported")
        with whole_folder(out) as made:
            EXPORTERS[form](open_zoo(folder), made, quiet)
        shutil.rmtree(out)

    return read


def converted(folder: Path) -> object:
    """A whole conversion that writes nothing."""
    files = [path for path in folder.iterdir() if path.name == "dataset.pt"]
    source = find_source(files[0] if files else folder, format_name=None, hints=Hints())
    conversion = plan_conversion(source, seed=0, report=quiet)
    for spec in conversion.plan.shards():
        check_table(conversion.plan, spec, shard_table(conversion, conversion.plan, spec))
    return conversion


def quiet(*_: object) -> None:
    pass


def network(name: str) -> Callable[[Path], object]:
    return lambda folder: read_source(str(folder / name))


def images(name: str, read: Callable[..., Any], *files: str) -> Callable[[Path], object]:
    wanted = image_set(name)

    def look(folder: Path) -> object:
        split = read(tuple(folder / file for file in files), wanted)
        return check_split(split, side=wanted.side, channels=wanted.channels, where="it")

    return look


CASES = (
    Case(sample="zoo", file="plan.json", read=lambda folder: open_zoo(folder, partial=True)),
    Case(sample="zoo", file="plan.json", read=looked_at),
    Case(sample="zoo", file="manifest.json", read=whole_zoo),
    Case(sample="zoo", file="manifest.json", read=looked_at),
    Case(sample="zoo", file="manifest.json", read=exported("state-dicts")),
    Case(sample="zoo", file="architectures.parquet", read=whole_zoo),
    Case(sample="zoo", file="shards/part-00000.parquet", read=whole_zoo),
    Case(sample="zoo", file="shards/part-00000.parquet", read=looked_at),
    Case(sample="zoo", file="shards/part-00000.parquet", read=exported("hf")),
    Case(sample="zoo", file="shards/part-00000.parquet", read=exported("safetensors")),
    Case(sample="run", file="config.json", read=load_run),
    Case(sample="run", file="architectures.json", read=load_run),
    Case(sample="run", file="model.safetensors", read=load_run),
    Case(sample="run", file="state/state.json", read=load_state),
    Case(sample="results", file="sweep.json", read=read_asked),
    Case(sample="results", file="results/a.parquet", read=read_results),
    Case(sample="small-cnn-zoo", file="weights.npy", read=converted),
    Case(sample="small-cnn-zoo", file="metrics.csv.gz", read=converted),
    Case(sample="small-cnn-zoo", file="layout.csv", read=converted),
    Case(sample="schuerholt", file="NNmodel_0/params.json", read=converted),
    Case(sample="schuerholt", file="NNmodel_0/result.json", read=converted),
    Case(sample="schuerholt", file="NNmodel_0/checkpoint_000005/checkpoints", read=converted),
    Case(sample="schuerholt-packed", file="dataset.pt", read=converted),
    Case(sample="dwsnets", file="ssl_splits.json", read=converted),
    Case(sample="dwsnets", file="model_0.pth", read=converted),
    Case(sample="wild-park", file="cnn_park_splits.json", read=converted),
    Case(sample="wild-park", file="park/NN_0/checkpoint_000010/checkpoint.pt", read=converted),
    Case(sample="state-dicts", file="networks.csv", read=converted),
    Case(sample="state-dicts", file="net0.pt", read=converted),
    Case(sample="state-dicts", file="net1.safetensors", read=converted),
    Case(sample="state-dicts", file="net0.pt", read=network("net0.pt")),
    Case(sample="state-dicts", file="net1.safetensors", read=network("net1.safetensors")),
    Case(sample="exported", file="networks.csv", read=converted),
    Case(sample="exported", file="architectures.json", read=converted),
    Case(sample="exported", file="zoo.json", read=converted),
    Case(
        sample="parquet images",
        file="train-00000-of-00001.parquet",
        read=images("mnist", read_parquet, "train-00000-of-00001.parquet"),
    ),
    Case(
        sample="matlab images",
        file="train_32x32.mat",
        read=images("svhn", read_torchvision, "train_32x32.mat"),
    ),
    Case(
        sample="idx images",
        file="images-idx3-ubyte",
        read=images("mnist", read_torchvision, "images-idx3-ubyte", "labels-idx1-ubyte"),
    ),
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a sample, made once."""
    made: dict[str, Path] = {}

    def sample(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("samples") / name.replace(" ", "-")
            SAMPLES[name](made[name])
        return made[name]

    return sample


def fuzz(case: Case, sample: Path, tmp_path: Path, seeds: range) -> list[str]:
    """What was no error with a name, each kind once."""
    copy = tmp_path / "copy"
    shutil.copytree(sample, copy)
    whole, change = (copy / case.file).read_bytes(), mutation_for(case.file)

    def attempt(dice: Random) -> None:
        (copy / case.file).write_bytes(change(whole, dice))
        case.read(copy)

    found = unnamed(attempt, seeds, NAMED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]
    return found


@pytest.mark.parametrize(
    "count", [FEW, pytest.param(MANY, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))]
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.sample}: {case.file}")
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_told_of(
    case: Case,
    count: int,
    samples: Callable[[str], Path],
    tmp_path: Path,
    fuzz_seed: int,
) -> None:
    seeds = range(fuzz_seed, fuzz_seed + count)
    found = fuzz(case, samples(case.sample), tmp_path, seeds)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.sample}: {case.file}")
def test_what_is_whole_is_read(case: Case, samples: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copytree(samples(case.sample), tmp_path / "copy")
    if case.sample != "results":  # a table that no sweep wrote
        case.read(tmp_path / "copy")


def test_ten_thousand_are_tried_in_all() -> None:
    assert len(CASES) * MANY > 9_800
    assert len(CASES) * FEW > 300
