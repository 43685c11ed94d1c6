"""What lies in a zoo's place, complete or not: plans, shards, and every column but the weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from zoogen.bounds import read_parquet
from zoogen.continuation import read_plans
from zoogen.errors import ShardError
from zoogen.json_text import parse_json
from zoogen.listing import PARTS
from zoogen.look.spread import final_rows
from zoogen.manifest import MANIFEST_NAME, read_manifest
from zoogen.plan import Plan
from zoogen.platforms import Platform
from zoogen.schema import PLATFORM_KEY, WEIGHTS, columns
from zoogen.store import Store

SHARDS = "shards"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Content:
    """A zoo as it was found."""

    uri: str
    plans: tuple[Plan, ...]
    """Oldest first; those after the first are extensions."""
    complete: bool
    """The manifest is there and covers all plans."""
    shards: int
    shards_planned: int
    bytes: int
    """Of the shards and the files beside them; log/ is left out."""
    table: Any
    """All rows without their weights, as a `pyarrow.Table`."""
    final: Any
    """The last row of each network."""
    platforms: tuple[Platform, ...]
    """Of the plans, then those of shards that were made elsewhere."""

    @property
    def plan(self) -> Plan:
        """The first plan: recipe, data and architecture are those of all."""
        return self.plans[0]

    @property
    def members_planned(self) -> int:
        """Networks that the zoo has when it is complete."""
        return self.plans[-1].stop


def read_content(store: Store) -> Content:
    """Read a zoo's plans and the light columns of the shards that are there.

    Raises:
        ShardError: there is no zoo, or a file of it cannot be read.
    """
    plans = read_plans(store)
    if not plans:
        raise ShardError(f"{store.uri} holds no zoo: wanted a folder or URI with a plan.json")
    manifest = read_manifest(store)
    complete = manifest is not None and manifest.plans == plans
    names = tuple(store.list(SHARDS))
    planned = len(manifest.shards) if manifest and complete else sum(p.shard_count() for p in plans)
    read = _read_shards(store, names, plans[0])
    beside = [p.name for p in plans] + ([MANIFEST_NAME, *store.list(PARTS)] if manifest else [])
    return Content(
        uri=store.uri,
        plans=plans,
        complete=complete,
        shards=len(names),
        shards_planned=planned,
        bytes=read.bytes + sum(len(store.read(name)) for name in beside),
        table=read.table,
        final=final_rows(read.table),
        platforms=tuple(dict.fromkeys([*(p.platform for p in plans), *read.platforms])),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Shards:
    table: Any
    bytes: int
    platforms: tuple[Platform, ...]


def _read_shards(store: Store, names: Sequence[str], plan: Plan) -> _Shards:
    """The light columns of all shards one below the other."""
    light = [column for column in columns(plan) if column.name != WEIGHTS]
    empty = pa.schema([column.field for column in light]).empty_table()
    tables, size, platforms = [empty], 0, list[Platform]()
    for name in names:
        try:
            with store.open(name) as source:
                size += source.size()
                table = read_parquet(source, empty.schema.names)
            other = (table.schema.metadata or {}).get(PLATFORM_KEY)
            platforms += [Platform.from_json(parse_json(other))] if other else []
            tables.append(table.replace_schema_metadata(None).cast(empty.schema))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise ShardError(
                f"{store.uri}/{name} cannot be read ({error}): `python -m zoogen.verify` says more"
            ) from error
    return _Shards(table=pa.concat_tables(tables), bytes=size, platforms=tuple(platforms))
