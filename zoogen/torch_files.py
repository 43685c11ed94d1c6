"""Files of `torch.save` that anybody may have written, looked at before torch loads them.

Nothing here imports torch.
"""

import mmap
import pickle
import struct
import zipfile
from pathlib import Path

from zoogen.bounds import refuse_oversized

BROKEN_TORCH = (
    OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError,
    AssertionError, ArithmeticError, MemoryError, struct.error,
)  # fmt: skip
"""What torch raises on damaged files, collected at random; besides these `UnpicklingError`."""
_ARCHIVE, _LONGEST_HEADER = b"PK\x03\x04", 1 << 17
"""How a zip archive begins, and what an entry's header takes at most."""
_BYTES_BY_NUMBER = b"\nbytearray\n"


def check_torch_file(path: Path) -> None:
    """Refuse a file of `torch.save` that becomes more than it is, before torch loads it.

    Its archives hold their entries as they are, so one that is packed, or that lies over another,
    is of somebody else's making. A pickle in it may ask for a `bytearray` of any length, which
    torch's `weights_only` allows and state dicts never need.

    Raises:
        Oversized: it declares too much.
        ValueError: another of these, or no whole archive.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if not file.read(1):
            raise ValueError("it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            pickles = _pickles(path, data) if _is_archive(path) else [(0, len(data))]
            if any(data.find(_BYTES_BY_NUMBER, *part) >= 0 for part in pickles):
                raise ValueError("its pickle asks for builtins.bytearray")


def is_pickle(path: Path) -> bool:
    """Whether it begins as files of `torch.save` do, of today and of old, and Python's pickles."""
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO or _is_archive(path)


def _is_archive(path: Path) -> bool:
    """Whether torch takes the file for an archive: it looks at the first bytes alone."""
    with path.open("rb") as file:
        return file.read(len(_ARCHIVE)) == _ARCHIVE


def _pickles(path: Path, data: mmap.mmap) -> list[tuple[int, int]]:
    """Where an archive's pickles lie, their headers included."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error) as error:
        raise ValueError(f"it is no whole archive ({error})") from error
    refuse_oversized(sum(entry.file_size for entry in entries), len(data))
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("its entries are packed, which torch.save does not do")
    return [
        (entry.header_offset, entry.header_offset + entry.file_size + _LONGEST_HEADER)
        for entry in entries
        if entry.filename.lower().endswith(".pkl")
    ]
