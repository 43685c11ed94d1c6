"""Read images from Hugging Face style Parquet files: encoded PNG or JPEG bytes in a struct column.

Imported only when images have to be decoded, since it loads pyarrow and Pillow.
"""

import logging
import struct
import time
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from math import prod
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64, UInt8
from PIL import Image

from zoogen.bounds import Oversized, open_parquet, refuse_oversized
from zoogen.errors import DataError, first_line
from zoogen.images.catalog import ImageSet
from zoogen.images.damage import not_whole

log = logging.getLogger(__name__)

IMAGE_COLUMNS = ("image", "img")
MODES = {1: "L", 3: "RGB"}
FORMATS = ("PNG", "JPEG")
ROWS_AT_ONCE = 1_000
SECONDS_BETWEEN_REPORTS = 2.0
_BROKEN_PARQUET = (pa.ArrowException, OSError, ValueError)
_BROKEN_IMAGE = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises on damaged PNG and JPEG streams, depending on where the damage is."""


def read_parquet(
    paths: tuple[Path, ...], wanted: ImageSet
) -> tuple[UInt8[np.ndarray, "n h w c"], Int64[np.ndarray, " n"]]:
    """Decode one split.

    Raises:
        DataError: a file is not Parquet, is damaged, or holds something else than this data set.
    """
    files = [(path, _open(path)) for path in paths]
    total = sum(file.metadata.num_rows for _, file in files)
    shape = (total, wanted.side, wanted.side, wanted.channels)
    try:
        refuse_oversized(prod(shape), sum(path.stat().st_size for path, _ in files))
    except Oversized as error:
        raise DataError(f"{paths[0].parent} holds no {wanted.name}: {error}") from error
    images = np.empty(shape, np.uint8)
    labels = np.empty(total, np.int64)
    done, reported = 0, time.monotonic()
    for path, file in files:
        start = done
        for encoded, some_labels in _batches(path, file):
            stop = done + len(encoded)
            # Pillow warns of images that are large enough to be bombs; here they are refused.
            with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
                _decode(encoded, images[done:stop], wanted, at=(path, done - start))
            labels[done:stop] = some_labels
            done = stop
            if time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
                log.info("%s: decoded %s of %s images", path.name, f"{done:,}", f"{total:,}")
                reported = time.monotonic()
    return images, labels


def _open(path: Path) -> pq.ParquetFile:
    try:
        return open_parquet(path, page_checksum_verification=True)
    except Oversized as error:
        raise DataError(f"{path} is no data set: {error}") from error
    except _BROKEN_PARQUET as error:
        raise not_whole(path, "Parquet file", error) from error


def _batches(
    path: Path, file: pq.ParquetFile
) -> Iterator[tuple[list[bytes | None], Int64[np.ndarray, " n"]]]:
    column = _image_column(path, file.schema_arrow)
    batches = file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[column, "label"])
    try:
        for batch in batches:
            labels = batch.column("label")
            if labels.null_count:
                raise DataError(f"{path} has rows without a label")
            encoded = batch.column(column).field("bytes").to_pylist()
            yield encoded, labels.to_numpy(zero_copy_only=False).astype(np.int64)
    except _BROKEN_PARQUET as error:
        raise DataError(f"{path} is damaged ({first_line(error)}): fetch it again") from error


def _image_column(path: Path, schema: pa.Schema) -> str:
    for name in IMAGE_COLUMNS:
        if name in schema.names and "label" in schema.names:
            kind = schema.field(name).type
            is_struct = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
            if is_struct and pa.types.is_integer(schema.field("label").type):
                return name
    came = ", ".join(f"{field.name}: {field.type}" for field in schema)
    raise DataError(
        f"{path} holds no labelled images: wanted a column image (or img) of struct<bytes, path> "
        f"and an integer column label, got {came}"
    )


def _decode(
    encoded: list[bytes | None],
    out: UInt8[np.ndarray, "n h w c"],
    wanted: ImageSet,
    *,
    at: tuple[Path, int],
) -> None:
    """Fill `out` with the images of the rows from `at` = (file, row) on."""
    expected = (MODES[wanted.channels], (wanted.side, wanted.side))
    shape = out.shape[1:]
    for index, data in enumerate(encoded):
        where = f"{at[0]}, row {at[1] + index}"
        if data is None:
            raise DataError(f"{where}: no image bytes (a path alone is not enough)")
        try:
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                got = (image.mode, image.size)  # of the header: no pixel is unpacked yet
                image.verify()  # PNG's checksums, which reading the pixels skips
            if got == expected:
                with Image.open(BytesIO(data), formats=FORMATS) as image:
                    out[index] = np.asarray(image).reshape(shape)
        except _BROKEN_IMAGE as error:
            raise not_whole(where, "PNG or JPEG image", error) from error
        if got != expected:
            raise DataError(
                f"{where}: {wanted.name} has {_words(*expected)} images, this one is {_words(*got)}"
            )


def _words(mode: str, size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} {mode}"
