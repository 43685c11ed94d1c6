"""Rows of weights straight from a shard's pages, without decoding what is stored as it is.

zoogen stores weights uncompressed, PLAIN and without nulls, so the values of a data page are the
last 4·n bytes of it, and a network is a slice of these bytes. Copying slices out of a memory map
touches only the networks that were asked for. Files written otherwise go through pyarrow.

Source: the Parquet format (parquet.thrift, Encodings.md): page headers are structs in Thrift's
compact protocol, data pages (version 1) hold repetition levels, definition levels, values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

_DATA_PAGE, _PLAIN = 0, 0
_ENCODINGS = {"PLAIN", "RLE", "BIT_PACKED"}
Run: TypeAlias = tuple[int, int]
"""Rows first … stop-1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainRows:
    """The weights of one row group: where each page's values lie among all of them."""

    starts: Sequence[int]
    """First byte of each page's values, counted over all values of the row group."""
    pages: Sequence[UInt8[np.ndarray, " _"]]

    def copy(self, runs: Sequence[Run], out: Float[np.ndarray, "n p"]) -> None:
        """Copy runs of rows one after the other into `out`, which they must fill."""
        row, target, at = out.shape[1] * 4, out.reshape(-1).view(np.uint8), 0
        for first, stop in runs:
            for part in self._parts(first * row, stop * row):
                target[at : at + part.size] = part
                at += part.size

    def _parts(self, first: int, stop: int) -> Iterator[UInt8[np.ndarray, " _"]]:
        for start, page in zip(self.starts, self.pages, strict=True):
            low, high = max(first - start, 0), min(stop - start, page.size)
            if low < high:
                yield page[low:high]


def plain_rows(file: Any, chunk: Any, *, values: int) -> PlainRows | None:
    """The pages of a column chunk; None if it is not stored plainly.

    Args:
        file: an open `pyarrow.NativeFile`.
        chunk: the chunk's `pyarrow.parquet.ColumnChunkMetaData`.
        values: numbers that it must hold, so that none can be null.
    """
    plain = (
        chunk.physical_type == "FLOAT"
        and chunk.compression == "UNCOMPRESSED"
        and not chunk.has_dictionary_page
        and set(chunk.encodings) <= _ENCODINGS
        and chunk.num_values == values
    )
    if not plain:
        return None
    file.seek(chunk.data_page_offset)
    data = memoryview(file.read_buffer(chunk.total_compressed_size)).cast("B")
    try:
        rows = _pages(data)
    except (ValueError, IndexError, KeyError):
        return None  # pyarrow says better what is wrong with a damaged page
    return rows if sum(page.size for page in rows.pages) == 4 * values else None


def _pages(data: memoryview) -> PlainRows:
    whole = np.frombuffer(data, dtype=np.uint8)
    starts: list[int] = []
    pages: list[UInt8[np.ndarray, " _"]] = []
    at = seen = 0
    while at < len(data):
        header, at = _struct(data, at)
        page = header[5]
        if header[1] != _DATA_PAGE or page[2] != _PLAIN:
            raise ValueError("a page that is not plain data")
        at += header[3]
        starts.append(seen)
        pages.append(whole[at - 4 * page[1] : at])
        seen += 4 * page[1]
    return PlainRows(starts=starts, pages=pages)


# Thrift's compact protocol, as far as page headers use it.
_TRUE, _FALSE, _INTEGERS, _BINARY, _STRUCT = 1, 2, (4, 5, 6), 8, 12


def _struct(data: memoryview, at: int) -> tuple[dict[int, Any], int]:
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if step == 0:
            number, at = _zigzag(data, at)
        else:
            number += step
        fields[number], at = _value(data, at, kind)
    return fields, at + 1


def _value(data: memoryview, at: int, kind: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _INTEGERS:
        return _zigzag(data, at)
    if kind == _BINARY:
        size, at = _varint(data, at)
        return bytes(data[at : at + size]), at + size
    if kind == _STRUCT:
        return _struct(data, at)
    raise ValueError(f"a page header holds a field of Thrift type {kind}")


def _zigzag(data: memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
