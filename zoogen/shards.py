"""One shard: written so that it is whole or absent, and believed only after it was read again.

A shard's bytes depend on the plan, the snapshots and the platform alone. Nothing is compressed:
trained weights shrink by 7 % with zstd and by 15 % with byte-stream split as well, and reading them
then takes 2.2 and 1.6 times as long (measured: pyarrow 26, one core, 1,440 MB/s without).
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoogen.bounds import open_parquet
from zoogen.entry import ShardEntry
from zoogen.errors import ShardError
from zoogen.grouping import ShardSpec
from zoogen.plan import Plan
from zoogen.platforms import Platform
from zoogen.rows import check_table, shard_table
from zoogen.schema import PLATFORM_KEY, WEIGHTS, columns, schema
from zoogen.store import Store
from zoogen.train.job import Snapshot

ROW_GROUP_BYTES = 8_000_000
"""Weights in a row group: what a reader of one network has to decode."""
log = logging.getLogger(__name__)


def write_shard(
    store: Store,
    *,
    plan: Plan,
    spec: ShardSpec,
    snapshots: Iterable[Snapshot],
    platform: Platform | None = None,
) -> ShardEntry:
    """Write one shard in one step; a shard of the same name is replaced by its equal.

    Args:
        store: of the zoo.
        plan: what the snapshots were made from.
        spec: the shard.
        snapshots: of all its members, in any order.
        platform: where they were made, if that may differ from the plan's.

    Raises:
        ShardError: the snapshots are not those that the plan promises, or the store is full.
    """
    table = shard_table(plan, spec, snapshots).replace_schema_metadata(
        schema(plan, platform).metadata
    )
    return put_shard(store, plan=plan, spec=spec, table=table)


def put_shard(store: Store, *, plan: Plan, spec: ShardSpec, table: Any) -> ShardEntry:
    """Check the rows of one shard, with the plan in their metadata, and write them in one step.

    Raises:
        ShardError: the rows are not those that the plan promises, or the store is full.
    """
    check_table(plan, spec, table)
    data = _parquet(plan, table)
    store.put(spec.name, data)
    return _entry(spec, table, data)


def verify_shard(store: Store, *, plan: Plan, spec: ShardSpec) -> ShardEntry | None:
    """A shard that is there and whole; None, and the reason logged, if it has to be made."""
    try:
        return check_shard(store, plan=plan, spec=spec)
    except FileNotFoundError:
        return None
    except ShardError as error:
        log.warning("%s: it will be made again", error)
        return None


def check_shard(store: Store, *, plan: Plan, spec: ShardSpec) -> ShardEntry:
    """Read a whole shard and compare it with the plan: checksums, schema, plan, rows, weights.

    Raises:
        FileNotFoundError: there is no such shard.
        ShardError: what is wrong with it.
    """
    data = store.read(spec.name)
    try:
        file = open_parquet(pa.BufferReader(data), page_checksum_verification=True)
        table = file.read(use_threads=False)
        table.validate(full=True)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise ShardError(f"{store.uri}/{spec.name} is damaged: {error}") from error
    try:
        check_table(plan, spec, table)
    except ShardError as error:
        raise ShardError(f"{store.uri}/{spec.name}: {error}") from error
    return _entry(spec, table, data)


def _parquet(plan: Plan, table: Any) -> Any:
    """The bytes of a shard; pyarrow writes equal bytes for equal tables."""
    light = [c.name for c in columns(plan) if c.name != WEIGHTS]
    strings = [c.name for c in columns(plan) if c.type == pa.string()]
    options: dict[str, Any] = {
        "compression": "none",
        "use_dictionary": strings,
        "write_statistics": light,
        "write_page_checksum": True,
    }
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=_rows_in_group(plan), **options)
    return sink.getvalue()


def _rows_in_group(plan: Plan) -> int:
    """Whole networks with all their checkpoints, at least one."""
    rows = len(plan.checkpoints)
    return rows * max(1, ROW_GROUP_BYTES // (4 * plan.parameters * rows))


def _entry(spec: ShardSpec, table: Any, data: Any) -> ShardEntry:
    platform = (table.schema.metadata or {}).get(PLATFORM_KEY)
    return ShardEntry(
        name=spec.name,
        rows=table.num_rows,
        networks=len(spec.members),
        status=_final_status(table),
        bytes=len(memoryview(data)),
        sha256=hashlib.sha256(data).hexdigest(),
        platform=platform.decode() if platform else None,
    )


def _final_status(table: Any) -> dict[str, int]:
    """Statuses of the last rows; all rows before them are `ok`."""
    rows = zip(table.column("member").to_pylist(), table.column("status").to_pylist(), strict=True)
    return dict(sorted(Counter(dict(rows).values()).items()))
