"""Files that are whole or absent: written under a temporary name, synced, then renamed."""

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sne.errors import DataError
from sne.zoo import parse_json

TEMPORARY_SUFFIX = ".tmp"


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file that is whole or absent; one of the same name is replaced in one step.

    Raises:
        DataError: the place refuses it (full, read-only, no permission).
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


def write_json(path: Path, value: Any) -> None:
    """Readable JSON; floats keep all their digits."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def write_table(path: Path, table: Any) -> None:
    """A `pyarrow.Table` as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(path, sink.getvalue().to_pybytes())


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        DataError: it is missing or no JSON.
    """
    try:
        return parse_json(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from error


def sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder."""
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        path.unlink(missing_ok=True)
