"""torchvision's layout, written here from real images and read back."""

import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from scipy.io import savemat

from zoogen.datasets import PreparedImages, load_images
from zoogen.errors import DataError
from zoogen.recipe import ImagePrep

Arrays: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
pytestmark = pytest.mark.data


def real(image_slices: Path, name: str) -> Arrays:
    data = load_images(name, ImagePrep(), data_dir=image_slices).data
    return data.train_images, data.train_labels, data.test_images, data.test_labels


def write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def write_mnist(folder: Path, arrays: Arrays, name: str = "MNIST") -> None:
    for prefix, images, labels in (("train", *arrays[:2]), ("t10k", *arrays[2:])):
        write_idx(folder / name / "raw" / f"{prefix}-images-idx3-ubyte", images[..., 0])
        write_idx(folder / name / "raw" / f"{prefix}-labels-idx1-ubyte", labels)


def write_fashion(folder: Path, arrays: Arrays) -> None:
    write_mnist(folder, arrays, "FashionMNIST")


PlainPickler: Any = vars(pickle)["_Pickler"]


class Python2Pickler(PlainPickler):
    """Writes what Python 2 wrote, as in the official batches: str is bytes, flags are 0 and 1."""

    def save_bytes(self, value: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)

    def save_text(self, value: str) -> None:
        self.save_bytes(value.encode("latin1"))

    def save_flag(self, value: bool) -> None:
        self.write(pickle.BININT1 + bytes([value]))

    dispatch = {  # noqa: RUF012
        **PlainPickler.dispatch,
        bytes: save_bytes,
        str: save_text,
        bool: save_flag,
    }


def write_batch(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """The training batches as Python 2 pickled them, the test batch as Python 3 does."""
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    batch = {"batch_label": path.name, "labels": labels.tolist(), "data": np.array(rows)}
    stream = io.BytesIO()
    if path.name == "test_batch":
        pickle.dump(batch, stream, protocol=2)
    else:
        Python2Pickler(stream, protocol=2).dump(batch)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue().replace(b"numpy._core.", b"numpy.core."))


def write_cifar(folder: Path, arrays: Arrays) -> None:
    parts = zip(np.array_split(arrays[0], 5), np.array_split(arrays[1], 5), strict=True)
    for number, (images, labels) in enumerate(parts, start=1):
        write_batch(folder / "cifar-10-batches-py" / f"data_batch_{number}", images, labels)
    write_batch(folder / "cifar-10-batches-py" / "test_batch", arrays[2], arrays[3])


def write_svhn(folder: Path, arrays: Arrays) -> None:
    """The digit 0 has the label 10 there, and the image number is the last axis."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, images, labels in (("train", *arrays[:2]), ("test", *arrays[2:])):
        ten = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        content = {"X": images.transpose(1, 2, 3, 0), "y": ten}
        savemat(folder / f"{split}_32x32.mat", content, do_compression=True)


WRITERS: dict[str, Callable[[Path, Arrays], None]] = {
    "mnist": write_mnist,
    "fashion_mnist": write_fashion,
    "cifar10": write_cifar,
    "svhn": write_svhn,
}


def load(name: str, folder: Path) -> PreparedImages:
    return load_images(name, ImagePrep(), data_dir=folder, download=False)


@pytest.mark.parametrize("name", list(WRITERS))
@pytest.mark.parametrize("inside", [".", "of_its_own"])
def test_layout_is_read_back_equal(
    name: str, inside: str, image_slices: Path, cache_dir: Path, tmp_path: Path
):
    arrays = real(image_slices, name)
    root = tmp_path / "data"
    WRITERS[name](root if inside == "." else root / name, arrays)
    loaded = load(name, root)
    data = loaded.data
    assert loaded.identity.source == "torchvision"
    read = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    for ours, expected in zip(read, arrays, strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert loaded.identity.content_hash == load(name, image_slices).identity.content_hash


def test_a_wrong_layout_would_be_noticed(image_slices: Path, cache_dir: Path, tmp_path: Path):
    """The comparison above can fail: height and width exchanged is another content."""
    arrays = real(image_slices, "svhn")
    turned = (arrays[0].swapaxes(1, 2), arrays[1], arrays[2].swapaxes(1, 2), arrays[3])
    write_svhn(tmp_path / "data", turned)
    loaded = load("svhn", tmp_path / "data")
    assert loaded.identity.content_hash != load("svhn", image_slices).identity.content_hash


def test_parquet_wins_where_both_are_there(image_slices: Path, cache_dir: Path, tmp_path: Path):
    root = tmp_path / "data"
    write_svhn(root, real(image_slices, "svhn"))
    (root / "svhn").symlink_to(image_slices / "svhn")
    assert load("svhn", root).identity.source == "parquet"


def refused(name: str, folder: Path) -> str:
    with pytest.raises(DataError) as raised:
        load(name, folder)
    message = str(raised.value)
    assert "\n" not in message
    return message


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_missing_files_are_named(image_slices: Path, cache_dir: Path, tmp_path: Path):
    write_cifar(tmp_path, real(image_slices, "cifar10"))
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    message = refused("cifar10", tmp_path)
    assert message.endswith(
        "holds cifar-10-batches-py/data_batch_1 but not cifar-10-batches-py/data_batch_3: "
        "complete the copy, or remove it"
    )


@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte", "promises 300x28x28 values, it holds 117,"),
        ("mnist", "MNIST/raw/t10k-labels-idx1-ubyte", "promises 100 values, it holds 46"),
        ("cifar10", "cifar-10-batches-py/data_batch_2", "is not a whole CIFAR-10 batch"),
        ("svhn", "test_32x32.mat", "is not a whole MATLAB 5 file"),
    ],
)
def test_truncated_files(
    name: str, file: str, expected: str, image_slices: Path, cache_dir: Path, tmp_path: Path
):
    WRITERS[name](tmp_path, real(image_slices, name))
    cut(tmp_path / file)
    message = refused(name, tmp_path)
    assert expected in message
    assert message.startswith(str(tmp_path / file))
    assert message.endswith("fetch it again")


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", bytes(range(256)) * 20])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte"),
        ("cifar10", "cifar-10-batches-py/test_batch"),
        ("svhn", "train_32x32.mat"),
    ],
    ids=["mnist", "cifar10", "svhn"],
)
def test_foreign_files(
    name: str, file: str, content: bytes, image_slices: Path, cache_dir: Path, tmp_path: Path
):
    WRITERS[name](tmp_path, real(image_slices, name))
    (tmp_path / file).write_bytes(content)
    assert refused(name, tmp_path).startswith(f"{tmp_path / file} is not a")


def test_every_place_of_damage_in_a_mat_file(image_slices: Path, cache_dir: Path, tmp_path: Path):
    """Wherever a bit flips, the file is read as it was or refused in one sentence."""
    arrays = real(image_slices, "svhn")
    small = tuple(array[:12] for array in arrays)
    write_svhn(tmp_path, small)  # pyright: ignore[reportArgumentType]
    path = tmp_path / "train_32x32.mat"
    whole = path.read_bytes()
    reference = load("svhn", tmp_path).identity.content_hash
    refusals = 0
    for place in (*range(120, 200), *range(200, len(whole), len(whole) // 40)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        try:
            assert load("svhn", tmp_path).identity.content_hash == reference
        except DataError:
            refusals += 1
    assert refusals > 50


class Malice:
    """Unpickled the plain way it would run a command."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_cannot_run_code(image_slices: Path, cache_dir: Path, tmp_path: Path):
    write_cifar(tmp_path, real(image_slices, "cifar10"))
    marker = tmp_path / "made by the pickle"
    evil = pickle.dumps({"data": Malice(marker), "labels": []}, protocol=2)
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(evil)
    assert "it asks for posix.mkdir" in refused("cifar10", tmp_path)
    assert not marker.exists()
    pickle.load(io.BytesIO(evil))
    assert marker.exists(), "it would have run"


def test_other_content_is_refused(image_slices: Path, cache_dir: Path, tmp_path: Path):
    arrays = real(image_slices, "mnist")
    write_mnist(tmp_path / "a", (arrays[0][:, :20, :20], *arrays[1:]))
    assert "holds images of 20x20x1, wanted 28x28x1" in refused("mnist", tmp_path / "a")
    write_mnist(tmp_path / "b", (arrays[0], arrays[1] + 1, *arrays[2:]))
    assert "has the label 10 in row" in refused("mnist", tmp_path / "b")
    write_mnist(tmp_path / "c", (arrays[0], arrays[1][:-1], *arrays[2:]))
    assert "holds 300 images and 299 labels" in refused("mnist", tmp_path / "c")
    write_mnist(tmp_path / "d", (*arrays[:2], arrays[2][:0], arrays[3][:0]))
    assert "holds 0 images and 0 labels" in refused("mnist", tmp_path / "d")
