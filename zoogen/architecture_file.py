"""`architectures.parquet`: one row for each architecture of a zoo, under its content id."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoogen.bounds import read_parquet
from zoogen.description import Architecture
from zoogen.errors import PlanError, ShardError
from zoogen.json_text import parse_json
from zoogen.store import Store
from zoogen.typed import MISUSED, checked

ARCHITECTURES_NAME = "architectures.parquet"
ARCHITECTURES_SCHEMA = pa.schema(
    [
        pa.field("arch", pa.string(), metadata={"meaning": "content id"}),
        pa.field("family", pa.string(), metadata={"meaning": "what --arch calls it"}),
        pa.field("parameters", pa.int64(), metadata={"meaning": "length of its weights"}),
        pa.field("description", pa.string(), metadata={"meaning": "tensors, spaces, graph; JSON"}),
    ]
)


def write_architectures(store: Store, architectures: Iterable[Architecture]) -> None:
    """Write the file if its content is not there already; equal content gives equal bytes."""
    rows = [
        {
            "arch": arch.content_id,
            "family": arch.family,
            "parameters": arch.parameters,
            "description": json.dumps(arch.to_json(), sort_keys=True),
        }
        for arch in sorted(architectures, key=lambda a: a.content_id)
    ]
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows, schema=ARCHITECTURES_SCHEMA)
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    data = sink.getvalue()
    if not (store.exists(ARCHITECTURES_NAME) and store.read(ARCHITECTURES_NAME) == data):
        store.put(ARCHITECTURES_NAME, data)


def read_architectures(store: Store) -> Mapping[str, Architecture]:
    """All descriptions by content id.

    Raises:
        ShardError: the file is missing or damaged, or a description is not what its id says.
    """
    where = f"{store.uri}/{ARCHITECTURES_NAME}"
    try:
        source = pa.BufferReader(store.read(ARCHITECTURES_NAME))
        rows: list[dict[str, Any]] = read_parquet(source).to_pylist()
    except FileNotFoundError as error:
        raise ShardError(f"{where} is missing: the run that made the zoo writes it") from error
    except (OSError, pa.ArrowException, ValueError) as error:
        raise ShardError(f"{where} is damaged: {error}") from error
    try:
        found = {
            r["arch"]: checked(Architecture.from_json(parse_json(r["description"]))) for r in rows
        }
    except (PlanError, *MISUSED) as error:
        raise ShardError(f"{where} holds a description that cannot be: {error}") from error
    for arch, description in found.items():
        if description.content_id != arch:
            raise ShardError(f"{where}: {arch} describes {description.content_id}")
    return found
