"""Whether a Parquet file's columns are of plain values, told from its footer before Arrow sees it.

A column can be of an extension type. The library that has registered the type makes it of bytes in
the footer as soon as a file is opened, whatever is read then, and Ray (2.60) unpickles such bytes.
So the footer is looked at as bytes; the Arrow schema lies there in base64.
"""

import base64
from contextlib import nullcontext
from pathlib import Path
from typing import Any

EXTENSION = b"ARROW:extension:name"
TAIL = 64 * 1024
"""Bytes that hold the footers of most files, so that one read is enough."""
_END = 8
"""The footer's length, and `PAR1`."""


def _in_base64(text: bytes) -> tuple[bytes, ...]:
    """How a text looks within longer base64: three ways, by its place in a group of three.

    Letters that hold bits of its neighbours as well are left out.
    """
    return tuple(
        base64.b64encode(bytes(before) + text)[-(-8 * before // 6) : 8 * (before + len(text)) // 6]
        for before in range(3)
    )


_MARKS = _in_base64(EXTENSION)


def has_extensions(source: Any) -> bool:
    """Whether a footer names an extension type.

    Args:
        source: a path, or an open `pyarrow.NativeFile`, which is not closed here.

    Raises:
        OSError: it cannot be read.
    """
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        footer = _footer(file)
    return any(mark in footer for mark in _MARKS)


def _footer(file: Any) -> bytes:
    size = file.seek(0, 2)
    start = max(0, size - TAIL)
    file.seek(start)
    tail = file.read(size - start)
    wanted = int.from_bytes(tail[-_END:-4], "little") + _END
    if wanted > len(tail):
        file.seek(max(0, size - wanted))
        tail = file.read(min(size, wanted))
    file.seek(0)
    return tail[-wanted:-_END]
