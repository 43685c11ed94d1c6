"""How much a file may become in memory: told from what its headers declare, before it is read.

Whatever is packed says how large it will be: a Parquet file's footer, a zip archive's directory
(`torch_files`). A gzip stream says nothing that can be believed: it is unpacked as far as it may.
A file that is to become more than a hundred times its size was made to fill a memory, not to be
read; a small file may become 256 MB all the same, since constant columns pack well. Weights
themselves hardly pack.

What is too much is an `Oversized`, a ValueError, which each reader tells in its own named error.
"""

import gzip
import zlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from zoogen.plain_columns import has_extensions

SMALL_BYTES = 256_000_000
"""What any file may become."""
TIMES = 100
"""What a larger file may become, for each of its bytes."""
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT96": 12}
"""Bytes of a value in memory by Parquet's physical types; 8 for all others."""


class Oversized(ValueError):
    """A file that would become too much; the text follows the file's name."""


def most_bytes(size: int) -> int:
    """What a file of this size may become."""
    return max(SMALL_BYTES, TIMES * size)


def refuse_oversized(becomes: int, size: int) -> None:
    """Stop before a file is read that becomes too much.

    Args:
        becomes: bytes that it declares, or that were unpacked so far.
        size: bytes that it is.

    Raises:
        Oversized: that is too much.
    """
    if becomes > most_bytes(size):
        raise Oversized(
            f"its {size:,} bytes would become {becomes:,} or more, and from so few no more than "
            f"{most_bytes(size):,} are read"
        )


def open_parquet(source: Any, **options: Any) -> Any:
    """A `pyarrow.parquet.ParquetFile` that becomes no more than it may, of plain columns.

    Args:
        source: a path, or an open `pyarrow.NativeFile`, which is not closed here.
        options: of `ParquetFile`.

    Raises:
        Oversized: it declares too much.
        ValueError: a column is of an extension type, whose library may run code that values hold.
        OSError, pyarrow.ArrowException: it is no Parquet file, or a damaged one.
    """
    if has_extensions(source):
        raise ValueError("a column is of an extension type, not of plain values")
    file = pq.ParquetFile(source, **options)
    size = source.stat().st_size if isinstance(source, Path) else source.size()
    refuse_oversized(_declared(file.metadata), size)
    return file


def read_parquet(source: Any, columns: list[str] | None = None) -> Any:
    """All rows of such a file as a `pyarrow.Table`; errors as those of `open_parquet`."""
    with open_parquet(source, page_checksum_verification=True) as file:
        # Threads cost more than they save on the small files that zoos and sweeps consist of.
        return file.read(columns=columns, use_threads=False)


def read_gzip(path: Path) -> bytes:
    """What a gzip file holds, unpacked no further than it may become.

    Raises:
        Oversized: it holds more.
        ValueError: it is no whole gzip file.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    try:
        with gzip.open(path) as file:
            found = file.read(most_bytes(size) + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"it is no whole gzip file ({error})") from error
    refuse_oversized(len(found), size)
    return found


def _declared(footer: Any) -> int:
    """Bytes of all columns, as pages or as values, whichever is more."""
    becomes = footer.num_rows
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            values = chunk.num_values * _WIDTHS.get(chunk.physical_type, 8)
            becomes += max(chunk.total_uncompressed_size, values)
    return becomes
