"""Small files that would fill a memory: refused in a sentence, and the memory stays empty.

Each bomb is little on disk and more in memory than such a file may become: some hundred megabytes,
which tell as well as gigabytes and are made in less time. While it is refused, the highest resident
size of this process grows by less than three quarters of that.
"""

import ctypes
import gc
import gzip
import io
import pickle
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.io import savemat

from sne.errors import SneError
from sne.sources import read_source
from sweeps.errors import ResultsError
from sweeps.results import read_results
from tests.zoogen.published import small_cnn_zoo
from tests.zoogen.tiny_zoo import make_zoo, sine_plan
from zoogen.bounds import SMALL_BYTES, TIMES, Oversized, refuse_oversized
from zoogen.contract import open_zoo
from zoogen.errors import DataError, ShardError, SourceError
from zoogen.images.catalog import image_set
from zoogen.images.parquet import read_parquet
from zoogen.images.torchvision_files import read_torchvision
from zoogen.importers.find import find_source
from zoogen.importers.source import Hints
from zoogen.importers.tensors import read_state

BOMB = 400_000_000
MOST_ON_DISK = 4_000_000
MNIST, SVHN = image_set("mnist"), image_set("svhn")


def packed_column(path: Path, name: str, values: Any) -> None:
    """A column of equal values, of which Parquet keeps almost nothing."""
    pq.write_table(
        pa.table({name: values}),
        path,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
    )


def packed_shard(folder: Path) -> None:
    make_zoo(folder, sine_plan(members=2))
    zeros = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(BOMB // 4, np.float32)), 100)
    (shard,) = (folder / "shards").iterdir()
    packed_column(shard, "weights", zeros)


def shard_of_nulls(folder: Path) -> None:
    make_zoo(folder, sine_plan(members=2))
    (shard,) = (folder / "shards").iterdir()
    packed_column(shard, "mse", pa.nulls(BOMB // 8, pa.float64()))


def packed_architectures(folder: Path) -> None:
    make_zoo(folder, sine_plan(members=2))
    packed_column(folder / "architectures.parquet", "description", pa.array(["x" * BOMB]))


def packed_results(folder: Path) -> None:
    (folder / "results").mkdir(parents=True)
    packed_column(folder / "results/a.parquet", "value", np.zeros(BOMB // 8))


def packed_images(folder: Path) -> None:
    folder.mkdir()
    encoded = pa.StructArray.from_arrays([pa.array([b"x" * BOMB])], ["bytes"])
    table = pa.table({"image": encoded, "label": [1]})
    pq.write_table(table, folder / "train.parquet", compression="zstd", write_statistics=False)


def png(width: int, height: int) -> bytes:
    """A whole PNG image of black pixels."""
    packer = zlib.compressobj(1)
    rows = [packer.compress(bytes(1 + width)) for _ in range(height)]
    data = b"".join([*rows, packer.flush()])
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    parts = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(held).to_bytes(4, "big") + kind + held + zlib.crc32(kind + held).to_bytes(4, "big")
        for kind, held in parts
    )


def one_image(folder: Path, data: bytes, rows: int = 1) -> None:
    folder.mkdir()
    encoded = pa.StructArray.from_arrays([pa.array([data] * rows)], ["bytes"])
    pq.write_table(pa.table({"image": encoded, "label": [1] * rows}), folder / "train.parquet")


def large_image(folder: Path) -> None:
    one_image(folder, png(20_000, 20_000))


def many_images(folder: Path) -> None:
    """One image of 28 x 28, half a million times, as a dictionary keeps it."""
    one_image(folder, png(28, 28), rows=BOMB // 28**2)


def packed_matrix(folder: Path) -> None:
    """A variable of .mat that unpacks to zeros alone."""
    folder.mkdir()
    savemat(folder / "train.mat", {"X": np.zeros((32, 32, 3, 1), np.uint8)}, do_compression=True)
    head = (folder / "train.mat").read_bytes()[:128]
    packer = zlib.compressobj(1)
    held = packer.compress(bytes(BOMB)) + packer.flush()
    tag = (15).to_bytes(4, "little") + len(held).to_bytes(4, "little")
    (folder / "train.mat").write_bytes(head + tag + held)


def long_table(folder: Path) -> None:
    small_cnn_zoo(folder, networks=1)
    with gzip.open(folder / "metrics.csv.gz", "wb", compresslevel=1) as file:
        file.write(b"0,0\n" * (BOMB // 4))


def tall_matrix(folder: Path) -> None:
    """A header that promises more rows than there are."""
    small_cnn_zoo(folder, networks=1)
    sink = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        sink, {"descr": "<f4", "fortran_order": False, "shape": (10**7, 4970)}
    )
    (folder / "weights.npy").write_bytes(sink.getvalue() + bytes(100))


def packed_archive(folder: Path) -> None:
    """A PyTorch file whose tensor is packed, which torch never does and always unpacks."""
    folder.mkdir()
    torch.save({"a": torch.zeros(10)}, folder / "plain.pt")
    with (
        zipfile.ZipFile(folder / "plain.pt") as old,
        zipfile.ZipFile(folder / "a.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            large = entry.filename.endswith("data/0")
            with new.open(entry.filename, "w", force_zip64=True) as file:
                file.write(bytes(BOMB) if large else old.read(entry))


def wide_tensor(folder: Path) -> None:
    """A tensor of 10¹⁰ numbers over one."""
    folder.mkdir()
    torch.save({"a.weight": torch.zeros(1).expand(10**5, 10**5)}, folder / "a.pt")


class Made:
    """Unpickled, a `bytearray` of that many bytes."""

    def __reduce__(self) -> Any:
        return bytearray, (BOMB,)


def long_bytes(folder: Path) -> None:
    folder.mkdir()
    torch.save({"a.weight": torch.zeros(2), "b": Made()}, folder / "a.pt")


def old_long_bytes(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.pt").write_bytes(pickle.dumps(Made(), protocol=2))


def convert(folder: Path) -> object:
    return find_source(folder, format_name=None, hints=Hints()).listing(lambda *_: None)


def weights(folder: Path) -> object:
    return open_zoo(folder).weights()


def table(folder: Path) -> object:
    return open_zoo(folder).table(["mse"])


def mnist(folder: Path) -> object:
    return read_parquet((folder / "train.parquet",), MNIST)


def svhn(folder: Path) -> object:
    return read_torchvision((folder / "train.mat",), SVHN)


def state(folder: Path) -> object:
    return read_state(folder / "a.pt")


def network(folder: Path) -> object:
    return read_source(str(folder / "a.pt"))


BOMBS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object], type[Exception], str]] = {
    "shard": (packed_shard, weights, ShardError, "would become"),
    "nulls": (shard_of_nulls, table, ShardError, "would become"),
    "architectures": (packed_architectures, open_zoo, ShardError, "would become"),
    "results": (packed_results, read_results, ResultsError, "would become"),
    "images": (packed_images, mnist, DataError, "would become"),
    "large image": (large_image, mnist, DataError, "not a whole PNG"),
    "many images": (many_images, mnist, DataError, "would become"),
    "matlab": (packed_matrix, svhn, DataError, "would become"),
    "gzip": (long_table, convert, SourceError, "would become"),
    "npy": (tall_matrix, convert, SourceError, "cannot be read as a matrix"),
    "archive": (packed_archive, state, SourceError, "would become"),
    "archive, encoded": (packed_archive, network, SneError, "no PyTorch file"),
    "tensor": (wide_tensor, state, SourceError, "says it has the shape"),
    "tensor, encoded": (wide_tensor, network, SneError, "says it has the shape"),
    "bytes": (long_bytes, state, SourceError, "builtins.bytearray"),
    "bytes, of old": (old_long_bytes, state, SourceError, "builtins.bytearray"),
    "bytes, encoded": (long_bytes, network, SneError, "no PyTorch file"),
}
"""How a bomb is made, what reads it, and how it is refused."""


def peak_bytes() -> int:
    """The highest resident size of this process since it was asked to forget higher ones."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.partition("VmHWM:")[2].split()[0])


def settled_bytes() -> int:
    """The resident size, with what is free given back, as the new peak."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at memory through /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(name: str, tmp_path: Path) -> None:
    make, read, error, said = BOMBS[name]
    make(tmp_path / "bomb")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < MOST_ON_DISK
    before = settled_bytes()
    with pytest.raises(error, match=said):
        read(tmp_path / "bomb")
    assert peak_bytes() - before < 0.75 * BOMB


@pytest.mark.skipif(sys.platform != "linux", reason="looks at memory through /proc")
def test_the_look_at_memory_can_fail() -> None:
    before = settled_bytes()
    assert len(b"x" * BOMB) == BOMB
    assert peak_bytes() - before > 0.75 * BOMB


def test_files_may_become_much_but_not_more() -> None:
    refuse_oversized(SMALL_BYTES, 0)
    refuse_oversized(TIMES * 10**9, 10**9)
    with pytest.raises(Oversized, match="its 5 bytes would become 256,000,001 or more"):
        refuse_oversized(SMALL_BYTES + 1, 5)
