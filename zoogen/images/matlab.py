"""SVHN's .mat files, as MATLAB 5 wrote them: one variable behind the other, each packed by zlib.

scipy unpacks whatever a variable is said to hold, so what each really holds is counted before, a
block at a time.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from zoogen.bounds import Oversized, refuse_oversized
from zoogen.errors import DataError
from zoogen.images.damage import not_whole

BLOCK = 1 << 20
_HEADER, _PACKED = 128, 15
# What scipy raises on damaged files, collected by damaging files at random.
_BROKEN = (
    OSError, EOFError, ValueError, TypeError, LookupError, MemoryError, NotImplementedError,
    struct.error, zlib.error,
)  # fmt: skip


def read_matlab(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Variables of a file by name.

    Raises:
        DataError: it is damaged, or would become too much.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            becomes = 0
            for block in unpacked(file):
                becomes += len(block)
                refuse_oversized(becomes, size)
        return loadmat(path, variable_names=names)
    except Oversized as error:
        raise DataError(f"{path} is no data set: {error}") from error
    except (*_BROKEN, MatReadError) as error:
        raise not_whole(path, "MATLAB 5 file", error) from error


def unpacked(file: BinaryIO) -> Iterator[bytes]:
    """What the packed variables of a file hold, a megabyte at most at a time.

    Raises:
        zlib.error: one is damaged.
    """
    head = file.read(_HEADER)
    order = ">" if head[126:] == b"MI" else "<"
    while len(tag := file.read(8)) == 8:
        kind, size = struct.unpack(f"{order}II", tag)
        if kind != _PACKED:
            file.seek(size, 1)
            continue
        unpacker = zlib.decompressobj()
        while size and (block := file.read(min(BLOCK, size))):
            size -= len(block)
            while block:
                yield unpacker.decompress(block, BLOCK)
                block = unpacker.unconsumed_tail
