"""Extension types are seen in a footer's base64 wherever in a group of letters they begin."""

import base64
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.zoogen.tiny_zoo import make_zoo, sine_plan
from zoogen.plain_columns import EXTENSION, TAIL, has_extensions


def by_decoding(footer: bytes) -> bool:
    """The slow way: each run of base64 letters decoded from each of its first four letters."""
    return any(
        EXTENSION in base64.b64decode(run[at:] + b"A" * (-(len(run) - at) % 4))
        for run in re.findall(rb"[A-Za-z0-9+/]{24,}", footer)
        for at in range(4)
    )


def as_file(footer: bytes) -> pa.BufferReader:
    """What ends as a Parquet file does."""
    return pa.BufferReader(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("letters", range(4))
def test_the_name_is_found_at_every_place(before: int, letters: int) -> None:
    random = np.random.default_rng(before).bytes
    packed = base64.b64encode(random(before) + EXTENSION + random(5))
    for footer in (b"A" * letters + packed, b"A" * letters + packed + random(TAIL)):
        assert has_extensions(as_file(footer))
        assert by_decoding(footer)


@pytest.mark.parametrize("place", range(len(EXTENSION) - 1))
def test_another_name_is_not(place: int) -> None:
    """Its last letter aside, whose bits lie beside those of what follows."""
    other = bytearray(EXTENSION)
    other[place] ^= 1
    for before in range(3):
        packed = base64.b64encode(b"x" * before + bytes(other) + b"xxxxx")
        assert has_extensions(as_file(packed)) == by_decoding(packed) is False


def test_files_are_told_apart(tmp_path: Path) -> None:
    make_zoo(tmp_path / "zoo", sine_plan(members=4))
    assert not has_extensions(tmp_path / "zoo/shards/part-00000.parquet")
    for columns in range(1, 4):
        names = ["n" * (i + 1) for i in range(columns)]
        extended = [pa.field(n, pa.binary(), metadata={EXTENSION: b"some.type"}) for n in names]
        schema = pa.schema([*(pa.field(n + "0", pa.int32()) for n in names), *extended])
        path = tmp_path / f"{columns}.parquet"
        pq.write_table(schema.empty_table(), path)
        assert has_extensions(path)
