"""Read the files that torchvision downloads, without torchvision: idx, CIFAR batches, SVHN's .mat.

torchvision itself takes only files with the published MD5 sums, and importing it costs seconds.
"""

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from zoogen.errors import DataError
from zoogen.images.arrays import SplitArrays
from zoogen.images.catalog import ImageSet
from zoogen.images.damage import not_whole
from zoogen.images.matlab import read_matlab

_UNSIGNED_BYTE = 0x08
# What unpickling raises on damaged files, collected by damaging files at random.
_BROKEN_PICKLE = (
    OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    MemoryError, pickle.UnpicklingError,
)  # fmt: skip


def read_torchvision(paths: tuple[Path, ...], wanted: ImageSet) -> SplitArrays:
    """Read one split; whether it holds as many labels as images is for `check_split` to say.

    Raises:
        DataError: a file is damaged or is not what its name says.
    """
    if wanted.name == "cifar10":
        return _read_cifar(paths)
    if wanted.name == "svhn":
        return _read_svhn(paths[0])
    return _read_idx(paths[0], axes=3)[..., None], _read_idx(paths[1], axes=1).astype(np.int64)


def _read_idx(path: Path, *, axes: int) -> UInt8[np.ndarray, "*shape"]:
    """The idx format: two zero bytes, type, number of axes, sizes (big endian), the values."""
    data = _read_bytes(path)
    start = 4 + 4 * axes
    if len(data) < start or data[:4] != bytes((0, 0, _UNSIGNED_BYTE, axes)):
        raise DataError(f"{path} is not an idx file of unsigned bytes with {axes} axes")
    shape = struct.unpack(f">{axes}I", data[4:start])
    values = np.frombuffer(data, np.uint8, offset=start)
    if values.size != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{path} is damaged: its header promises {'x'.join(map(str, shape))} values, it holds "
            f"{values.size:,}: fetch it again"
        )
    return values.reshape(shape)


def _read_cifar(paths: tuple[Path, ...]) -> SplitArrays:
    images: list[UInt8[np.ndarray, "n h w c"]] = []
    labels: list[Int64[np.ndarray, " n"]] = []
    for path in paths:
        rows, named = _load_batch(path)
        if rows.dtype != np.uint8 or named.dtype != np.int64 or rows.shape != (named.size, 3072):
            raise DataError(
                f"{path} is not a CIFAR-10 batch: wanted data of uint8 (n, 3072) and n labels, got "
                f"data of {rows.dtype} {rows.shape} and labels of {named.dtype} {named.shape}"
            )
        images.append(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(named)
    return np.ascontiguousarray(np.concatenate(images)), np.concatenate(labels)


class _ArraysOnly(pickle.Unpickler):
    """Unpickles dicts, lists, numbers, text and numpy arrays; a foreign file can run no code."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if global_name == "_reconstruct" and module_name in (
            "numpy.core.multiarray",
            "numpy._core.multiarray",
        ):
            return _empty
        allowed = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _dtype,
            ("_codecs", "encode"): _encode_latin1,
        }
        if (module_name, global_name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return allowed[module_name, global_name]


class _Array:
    """Stands for numpy's class, which would make an array of any size."""


def _empty(kind: type, shape: tuple[int, ...], code: str | bytes) -> np.ndarray:
    """What an array begins as; type, shape and values come with its state, from the file."""
    del code
    if kind is not _Array or shape != (0,):
        raise pickle.UnpicklingError(f"it begins an array as {kind} of shape {shape}")
    return np.empty(0)


def _dtype(code: str, align: int, copy: int) -> np.dtype[Any]:
    """Python 2 wrote the flags as 0 and 1; numpy wants booleans (damaged text is a warning)."""
    return np.dtype(code, align=bool(align), copy=bool(copy))


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """Python 3 writes bytes so under the pickle protocol 2 that these files have."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


def _load_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The arrays that a batch calls data and labels, of whatever type and shape."""
    try:
        with path.open("rb") as file:
            batch = _ArraysOnly(file, encoding="latin1").load()
        return np.asarray(batch["data"]), np.asarray(batch["labels"])
    except _BROKEN_PICKLE as error:
        raise not_whole(path, "CIFAR-10 batch", error) from error


def _read_svhn(path: Path) -> SplitArrays:
    content = read_matlab(path, ("X", "y"))
    pixels, labels = content.get("X"), content.get("y")
    if pixels is None or labels is None or pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise DataError(f"{path} holds no uint8 array X of four axes and labels y: not SVHN")
    named = labels.astype(np.int64).reshape(-1)
    named[named == 10] = 0  # the publishers label the digit 0 as 10
    return np.ascontiguousarray(pixels.transpose(3, 0, 1, 2)), named


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
