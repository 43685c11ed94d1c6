"""One shard as a file: there, whole, of the right schema and plan; then its rows."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from zoogen.bounds import open_parquet
from zoogen.check.converted import converted_faults
from zoogen.check.faults import Fault, name_members
from zoogen.check.files import entry_faults
from zoogen.check.rows import row_faults
from zoogen.grouping import ShardSpec
from zoogen.plan import FORMAT_VERSION, Plan
from zoogen.schema import FORMAT_KEY, PLAN_KEY, PLATFORM_KEY, schema
from zoogen.shards import ShardEntry
from zoogen.store import Store


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckedShard:
    """What was found in the place of one shard."""

    faults: tuple[Fault, ...]
    table: Any = None
    """A `pyarrow.Table` with the plan's columns; None if there is no readable one."""
    bytes: int = 0


def check_shard(
    store: Store,
    *,
    plan: Plan,
    spec: ShardSpec,
    listed: ShardEntry | None,
    partial: bool,
    lengths: Mapping[str, int],
) -> CheckedShard:
    """Read one shard and compare everything in it with the plan.

    Args:
        store: of the zoo.
        plan: the one that the shard belongs to.
        spec: the shard.
        listed: its line in the manifest, if there is one.
        partial: a shard that the manifest does not list may be missing.
        lengths: weights of each architecture by its content id.
    """
    try:
        data = store.read(spec.name)
    except FileNotFoundError:
        faults = () if partial and listed is None else (_missing(spec),)
        return CheckedShard(faults=faults)
    sha256 = hashlib.sha256(data).hexdigest()
    faults = [] if listed is None or listed.sha256 == sha256 else [_changed(listed, sha256)]
    try:
        table = read_table(data)
    except (OSError, pa.ArrowException, ValueError) as error:
        wanted = "a Parquet file whose pages match their checksums"
        got = " ".join(str(error).split())
        faults.append(Fault(path=spec.name, problem="is damaged", wanted=wanted, got=got))
        return CheckedShard(faults=tuple(faults), bytes=len(data))
    faults += _metadata_faults(plan, spec, table)
    wrong_columns = tuple(_column_faults(plan, spec, table))
    if wrong_columns:
        return CheckedShard(faults=(*faults, *wrong_columns), bytes=len(data))
    if listed is not None:
        found = _entry(spec, table, size=len(data), sha256=listed.sha256)
        faults += entry_faults(listed, found)
    if plan.origin is None:
        faults += row_faults(plan, spec, table)
    else:
        faults += converted_faults(plan, spec, table, lengths)
    return CheckedShard(faults=tuple(faults), table=table, bytes=len(data))


def read_table(data: bytes) -> Any:
    """All of a shard's bytes as a table, checksums compared.

    Raises:
        OSError, pyarrow.ArrowException, ValueError: the file is damaged.
    """
    file = open_parquet(pa.BufferReader(data), page_checksum_verification=True)
    table = file.read(use_threads=False)
    table.validate(full=True)
    return table


def _missing(spec: ShardSpec) -> Fault:
    count = f"{len(spec.members)} networks: {name_members(spec.members)}"
    return Fault(path=spec.name, problem="is missing", wanted=f"a shard of {count}", got="no file")


def _changed(listed: ShardEntry, sha256: str) -> Fault:
    problem = "SHA-256 differs from manifest.json"
    return Fault(path=listed.name, problem=problem, wanted=listed.sha256, got=sha256)


def _entry(spec: ShardSpec, table: Any, *, size: int, sha256: str) -> ShardEntry:
    """The manifest's line as it should be, counted anew; the hash is compared apart."""
    platform = (table.schema.metadata or {}).get(PLATFORM_KEY)
    member, epoch = table.column("member").to_pylist(), table.column("epoch").to_pylist()
    last: dict[int, tuple[int, str]] = {}
    for row in zip(member, epoch, table.column("status").to_pylist(), strict=True):
        last[row[0]] = max(last.get(row[0], row[1:]), row[1:], key=lambda r: r[0])
    status = [each[1] for each in last.values()]
    return ShardEntry(
        name=spec.name,
        rows=table.num_rows,
        networks=len(last),
        status={name: status.count(name) for name in sorted(set(status))},
        bytes=size,
        sha256=sha256,
        platform=platform.decode() if platform else None,
    )


def _metadata_faults(plan: Plan, spec: ShardSpec, table: Any) -> Iterator[Fault]:
    found = table.schema.metadata or {}
    version = found.get(FORMAT_KEY, b"none").decode()
    if version != str(FORMAT_VERSION):
        problem, wanted = "format version in its metadata", str(FORMAT_VERSION)
        yield Fault(path=spec.name, problem=problem, wanted=wanted, got=version)
    text = found.get(PLAN_KEY)
    if text != plan.text.encode():
        got = "no plan" if text is None else f"SHA-256 {hashlib.sha256(text).hexdigest()}"
        wanted = f"{plan.name}, SHA-256 {plan.content_hash}"
        yield Fault(path=spec.name, problem="plan in its metadata", wanted=wanted, got=got)


def _column_faults(plan: Plan, spec: ShardSpec, table: Any) -> Iterator[Fault]:
    """Names, types, nullability and order of the columns."""
    wanted, found = schema(plan), table.schema
    for name in dict.fromkeys([*wanted.names, *found.names]):
        ours = _field(wanted, name)
        theirs = _field(found, name)
        if ours != theirs:
            yield Fault(path=spec.name, problem=f"column {name}", wanted=ours, got=theirs)
    if wanted.names != found.names and sorted(wanted.names) == sorted(found.names):
        order = (", ".join(wanted.names), ", ".join(found.names))
        yield Fault(path=spec.name, problem="order of columns", wanted=order[0], got=order[1])


def _field(of: Any, name: str) -> str:
    count = of.names.count(name)
    if count != 1:
        return "no column" if count == 0 else f"{count} columns"
    return f"{of.field(name).type}{'' if of.field(name).nullable else ' not null'}"
