"""A source becomes a zoo, shard by shard; what is whole already is not made again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32, Integer

from zoogen.architecture_file import write_architectures
from zoogen.continuation import read_plans, refuse_other, write_plan
from zoogen.driver import take_stock
from zoogen.errors import SourceError
from zoogen.grouping import ShardSpec
from zoogen.importers.fingerprint import fingerprint
from zoogen.importers.plan import plan_of
from zoogen.importers.source import Listing, Report, Source
from zoogen.journal import Journal
from zoogen.manifest import Manifest, read_manifest, write_manifest
from zoogen.members import split_of
from zoogen.plan import Plan
from zoogen.recipe import Shares
from zoogen.rows import starts_of
from zoogen.schema import WEIGHTS, columns, properties, schema
from zoogen.shards import put_shard
from zoogen.store import Store

SIGNAL = ("frequency", "amplitude")
"""What a network was fitted to; no measurement, so a diverged one keeps it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Converted:
    """A complete zoo, and how much of it this call made."""

    manifest: Manifest
    shards_made: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conversion:
    """A source that was listed and hashed, and the plan of its zoo."""

    source: Source
    listing: Listing
    plan: Plan


def plan_conversion(source: Source, *, seed: int, report: Report) -> Conversion:
    """List the source, hash its files, and plan the zoo.

    Raises:
        SourceError: the source is not what its format promises.
    """
    listing = source.listing(report)
    found = fingerprint(source.root, listing.paths, report)
    plan = plan_of(listing, found, format_name=source.format, seed=seed)
    return Conversion(source=source, listing=listing, plan=plan)


def carry_out(conversion: Conversion, store: Store, report: Report) -> Converted:
    """Make what the zoo lacks, then its manifest. The caller holds the lock.

    Raises:
        PlanError: another zoo, or one of another source, is there.
        SourceError: the source cannot be read.
        ShardError: the zoo cannot be written.
    """
    if store.local_root == conversion.source.root:
        raise SourceError(f"{store.uri} is the source: name another folder for the zoo")
    plan = _settled(conversion.plan, store)
    finished = read_manifest(store)
    store.sweep()
    write_architectures(store, conversion.listing.architectures)
    write_plan(store, plan)
    stock = take_stock(store, [plan], finished)
    missing = [spec for _, specs in stock.missing for spec in specs]
    if finished is not None and not missing:
        return Converted(manifest=finished, shards_made=0)
    Journal(store).begin({"shards": len(missing), "source": str(conversion.source.root)})
    done, entries = stock.members_found, list(stock.found)
    report("networks converted", done, plan.stop)
    for spec in missing:
        table = shard_table(conversion, plan, spec)
        entries.append(put_shard(store, plan=plan, spec=spec, table=table))
        done += len(spec.members)
        report("networks converted", done, plan.stop)
    manifest = write_manifest(store, plans=[plan], entries=entries)
    return Converted(manifest=manifest, shards_made=len(missing))


def _settled(wanted: Plan, store: Store) -> Plan:
    """The plan that is there, if it is of the same source; else the new one."""
    plans = read_plans(store)
    if not plans:
        return wanted
    refuse_other(plans[0], wanted)
    return plans[0]


def shard_table(conversion: Conversion, plan: Plan, spec: ShardSpec) -> Any:
    """The rows of one shard, read from the source.

    A network's rows end with the first whose weights are not all finite: it diverged.
    """
    listing = conversion.listing
    member = listing.table.column("member").to_numpy()
    first = np.searchsorted(member, spec.members, side="left")
    stop = np.searchsorted(member, spec.members, side="right")
    rows = np.concatenate([np.arange(a, b) for a, b in zip(first, stop, strict=True)])
    weights = _weights(conversion, plan, rows)
    flat = weights.flatten().to_numpy(zero_copy_only=True)
    finite: np.ndarray = np.logical_and.reduceat(np.isfinite(flat), starts_of(weights))
    kept = np.flatnonzero(_before_end(member[rows], finite))
    table = listing.table.take(pa.array(rows[kept]))
    status = _status(table, finite[kept])
    measured = _measured(plan, table, well=status != "diverged")
    values = {**_identity(plan, table), **measured, "status": status.tolist()}
    values[WEIGHTS] = weights if kept.size == rows.size else weights.take(pa.array(kept))
    arrays = [_as_array(values.get(c.name), table, c) for c in columns(plan)]
    return pa.Table.from_arrays(arrays, schema=schema(plan))


def _before_end(
    member: Integer[np.ndarray, " n"], finite: Bool[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Rows up to and with the first of its network that is not finite."""
    kept, ended = np.ones(len(member), dtype=bool), set[int]()
    for row, (index, well) in enumerate(zip(member.tolist(), finite.tolist(), strict=True)):
        kept[row] = index not in ended
        if not well:
            ended.add(index)
    return kept


def _weights(conversion: Conversion, plan: Plan, rows: Integer[np.ndarray, " n"]) -> Any:
    """The weights of some rows as an Arrow array of lists."""
    lengths = {a.content_id: a.parameters for a in conversion.listing.architectures}
    archs = conversion.listing.table.column("arch").take(pa.array(rows)).to_pylist()
    sizes = np.array([lengths[name] for name in archs], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    flat = np.empty(int(offsets[-1]), dtype=np.float32)
    for at, found in enumerate(_checked(conversion.source, rows, sizes)):
        flat[offsets[at] : offsets[at + 1]] = found
    kind = next(c.type for c in columns(plan) if c.name == WEIGHTS)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(flat), type=kind)


def _checked(
    source: Source, rows: Integer[np.ndarray, " n"], sizes: Integer[np.ndarray, " n"]
) -> Iterator[Float32[np.ndarray, " p"]]:
    found = 0
    for weights, size in zip(source.weights(rows), sizes.tolist(), strict=False):
        if weights.size != size:
            raise SourceError(
                f"{source.root}: wanted {size} weights for row {rows[found]}, got {weights.size}: "
                "the source changed after it was listed, so start again"
            )
        found += 1
        yield weights
    if found != len(rows):
        raise SourceError(f"{source.root}: wanted {len(rows)} networks, got {found}")


def _identity(plan: Plan, table: Any) -> dict[str, Any]:
    members = table.column("member").to_pylist()
    values: dict[str, Any] = {}
    assert plan.origin is not None  # plan_of gives one
    if plan.origin.split == "shares":
        train, val, test = plan.shares
        shares = Shares(train=train, val=val, test=test)
        values["split"] = [split_of(shares, zoo_seed=plan.seed, index=m) for m in members]
    known = [
        name
        for name in ("seed", "config.random_seed")
        if name in table.schema.names and pa.types.is_integer(table.schema.field(name).type)
    ]
    values["seed"] = pc.fill_null(table.column(known[0]), 0) if known else [0] * len(members)  # pyright: ignore[reportAttributeAccessIssue]
    return values


def _status(table: Any, finite: Bool[np.ndarray, " n"]) -> np.ndarray:
    """What the source says, unless the weights say that the network diverged."""
    said = "status" in table.schema.names
    status = table.column("status").to_pylist() if said else ["ok"] * table.num_rows
    return np.where(finite, np.array(status, dtype=object), "diverged")


def _measured(plan: Plan, table: Any, *, well: Bool[np.ndarray, " n"]) -> dict[str, Any]:
    """Measurements; what is not finite, and all of a diverged network, counts as unmeasured."""
    found: dict[str, Any] = {}
    for name in (p.name for p in properties(plan)):
        if name not in table.schema.names:
            continue
        numbers = table.column(name).cast(pa.float64()).to_numpy()
        missing = ~np.isfinite(numbers)
        found[name] = np.ma.masked_array(numbers, missing if name in SIGNAL else missing | ~well)
    if "generalization_gap" not in found and {"train_accuracy", "test_accuracy"} <= found.keys():
        found["generalization_gap"] = found["train_accuracy"] - found["test_accuracy"]
    return found


def _as_array(given: Any, table: Any, column: Any) -> Any:
    """A column from given values, else from the listing, else of nulls."""
    if given is None:
        if column.name not in table.schema.names:
            return pa.nulls(table.num_rows, type=column.type)
        given = table.column(column.name)
    if isinstance(given, pa.ChunkedArray):
        return given.combine_chunks().cast(column.type)
    if isinstance(given, np.ma.MaskedArray):
        mask = np.broadcast_to(np.ma.getmaskarray(given), given.shape)
        return pa.array(given.data, mask=mask, type=column.type)
    return given if isinstance(given, pa.Array) else pa.array(given, type=column.type)
