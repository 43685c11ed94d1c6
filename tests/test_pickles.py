"""Files that would run code: no reader that can meet one runs it, and the marker file is not made.

`Malicious` is what an unsafe loader would obey; the last test shows that it would.
"""

import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sne.checkpoint import load_run
from sne.errors import SneError
from sne.sources import read_source
from sne.state import load_state
from sweeps.errors import SweepError
from sweeps.results import read_results
from tests.samples import SAMPLES
from zoogen.contract import open_zoo
from zoogen.errors import ZooError
from zoogen.images.catalog import image_set
from zoogen.images.parquet import read_parquet
from zoogen.images.torchvision_files import read_torchvision
from zoogen.importers.find import find_source
from zoogen.importers.source import Hints
from zoogen.importers.tensors import read_state

NAMED = (ZooError, SneError, SweepError)


class Malicious:
    """Unpickled, it makes a file."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trap}",)


def torch_file(path: Path, trap: Path) -> None:
    torch.save({"a.weight": torch.ones(2), "x": Malicious(trap)}, path)


def old_torch_file(path: Path, trap: Path) -> None:
    held = {"a.weight": torch.ones(2), "x": Malicious(trap)}
    torch.save(held, path, _use_new_zipfile_serialization=False)


def bare_pickle(path: Path, trap: Path) -> None:
    path.write_bytes(pickle.dumps({"a.weight": Malicious(trap)}))


def archive(path: Path, trap: Path) -> None:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("archive/data.pkl", pickle.dumps(Malicious(trap), protocol=2))


def object_array(path: Path, trap: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([[Malicious(trap)]], dtype=object), allow_pickle=True)


def extension_types(path: Path, trap: Path) -> None:
    """A column of a type whose metadata pyarrow once unpickled, and Ray as well."""
    fields = [
        pa.field(
            name, pa.binary(),
            metadata={"ARROW:extension:name": name, "ARROW:extension:metadata": code},
        )
        for name in ("arrow.py_extension_type", "ray.data.arrow_tensor_v2")
        for code in (pickle.dumps(Malicious(trap)),)
    ]  # fmt: skip
    rows = [pa.array([pickle.dumps(Malicious(trap))])] * len(fields)
    pq.write_table(pa.Table.from_arrays(rows, schema=pa.schema(fields)), path)


def pandas_metadata(path: Path, trap: Path) -> None:
    """A column of pickles, and metadata that says pandas wrote objects."""
    code = pickle.dumps(Malicious(trap))
    table = pa.table({"label": [code]})
    pq.write_table(table.replace_schema_metadata({"pandas": code, "huggingface": code}), path)


FORMS = (torch_file, old_torch_file, bare_pickle, archive, object_array)
TABLES = (extension_types, pandas_metadata)
Reader = Callable[[Path], object]


def network(name: str) -> Reader:
    return lambda folder: read_source(str(folder / name))


def convert(folder: Path) -> object:
    return find_source(folder, format_name=None, hints=Hints()).listing(lambda *_: None)


def packed(folder: Path) -> object:
    return convert(folder / "dataset.pt")


def cifar(folder: Path) -> object:
    return read_torchvision((folder / "images-idx3-ubyte",), image_set("cifar10"))


def svhn(folder: Path) -> object:
    return read_torchvision((folder / "train_32x32.mat",), image_set("svhn"))


def mnist(folder: Path) -> object:
    return read_parquet((folder / "train-00000-of-00001.parquet",), image_set("mnist"))


READERS: tuple[tuple[str, str, Reader], ...] = (
    ("run", "model.safetensors", load_run),
    ("run", "architectures.json", load_run),
    ("run", "config.json", load_run),
    ("run", "state/state.json", load_state),
    ("small-cnn-zoo", "weights.npy", convert),
    ("small-cnn-zoo", "metrics.csv.gz", convert),
    ("schuerholt", "NNmodel_0/checkpoint_000005/checkpoints", convert),
    ("schuerholt-packed", "dataset.pt", packed),
    ("dwsnets", "model_0.pth", convert),
    ("wild-park", "park/NN_0/checkpoint_000010/checkpoint.pt", convert),
    ("state-dicts", "net0.pt", convert),
    ("state-dicts", "net1.safetensors", convert),
    ("state-dicts", "net0.pt", lambda folder: read_state(folder / "net0.pt")),
    ("state-dicts", "net0.pt", network("net0.pt")),
    ("state-dicts", "net1.safetensors", network("net1.safetensors")),
    ("idx images", "images-idx3-ubyte", cifar),
    ("matlab images", "train_32x32.mat", svhn),
)
"""Sample, file and reader: where a file that may be a pickle can come from."""
TABLE_READERS: tuple[tuple[str, str, Reader], ...] = (
    ("zoo", "shards/part-00000.parquet", lambda folder: open_zoo(folder).table(["split"])),
    ("zoo", "architectures.parquet", open_zoo),
    ("results", "results/a.parquet", read_results),
    ("parquet images", "train-00000-of-00001.parquet", mnist),
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """A copy of a sample that may be changed."""
    made: dict[str, Path] = {}

    def copied(name: str, tmp_path: Path) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("samples") / name.replace(" ", "-")
            SAMPLES[name](made[name])
        return Path(shutil.copytree(made[name], tmp_path / "copy"))

    return copied


def refused(
    form: Callable[[Path, Path], None], file: str, read: Reader, *, folder: Path, trap: Path
) -> None:
    form(folder / file, trap)
    with pytest.raises(NAMED) as said:
        read(folder)
    assert "\n" not in str(said.value).strip()
    assert not trap.exists(), file


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: f"{reader[0]}: {reader[1]}")
@pytest.mark.filterwarnings("ignore")
def test_no_file_runs_code(
    form: Callable[[Path, Path], None],
    reader: tuple[str, str, Reader],
    sample: Callable[[str, Path], Path],
    tmp_path: Path,
) -> None:
    name, file, read = reader
    refused(form, file, read, folder=sample(name, tmp_path), trap=tmp_path / "trap")


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("reader", TABLE_READERS, ids=lambda reader: f"{reader[0]}: {reader[1]}")
def test_no_table_runs_code(
    form: Callable[[Path, Path], None],
    reader: tuple[str, str, Reader],
    sample: Callable[[str, Path], Path],
    tmp_path: Path,
) -> None:
    name, file, read = reader
    refused(form, file, read, folder=sample(name, tmp_path), trap=tmp_path / "trap")


def test_ray_unpickles_no_column_for_us(
    sample: Callable[[str, Path], Path], tmp_path: Path
) -> None:
    """Where Ray Data is loaded, whoever looks at values of its object type unpickles them."""
    folder, trap = sample("zoo", tmp_path), tmp_path / "trap"
    code = (
        "import sys, pathlib, pyarrow as pa, pyarrow.parquet as pq, ray.data\n"
        "from ray.data._internal.object_extensions.arrow import ArrowPythonObjectArray\n"
        "from tests.test_pickles import Malicious\n"
        "from zoogen.contract import open_zoo, ZooError\n"
        "folder, trap = map(pathlib.Path, sys.argv[1:])\n"
        "values = ArrowPythonObjectArray.from_objects([Malicious(trap)] * 10)\n"
        "shard = folder / 'shards/part-00000.parquet'\n"
        "pq.write_table(pa.table({'split': values}), shard)\n"
        "try:\n"
        "    open_zoo(folder).table(['split']).column('split').to_pylist()\n"
        "except ZooError as error:\n"
        "    print(error)\n"
        "assert not trap.exists()\n"
        "pq.read_table(shard).column('split').to_pylist()\n"
        "assert trap.exists()\n"
    )
    command = [sys.executable, "-c", code, str(folder), str(trap)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "not of plain values" in done.stdout


@pytest.mark.parametrize("form", [torch_file, old_torch_file])
def test_an_unsafe_loader_would_have_run_it(
    form: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    form(tmp_path / "a.pt", tmp_path / "trap")
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert (tmp_path / "trap").exists()
