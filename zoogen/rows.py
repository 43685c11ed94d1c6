"""The rows of a shard: built from snapshots, and compared with what the plan promises.

Most of a row follows from the plan (who the member is, its split and configuration), so reading a
shard back compares these columns value by value; only weights and measurements are new in it.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Integer

from zoogen.description import CONFIG_PREFIX
from zoogen.errors import ShardError
from zoogen.grouping import ShardSpec
from zoogen.members import Member
from zoogen.plan import Plan
from zoogen.schema import PLAN_KEY, WEIGHTS, columns, properties, schema
from zoogen.train.job import Snapshot
from zoogen.varied import arch_ids

STATUSES = ("ok", "diverged", "unfitted")


def shard_table(plan: Plan, spec: ShardSpec, snapshots: Iterable[Snapshot]) -> Any:
    """The rows of a shard, sorted by (member, epoch), as a `pyarrow.Table`.

    Raises:
        ShardError: a snapshot of another member, or weights of another length or type.
    """
    rows = sorted(snapshots, key=lambda s: (s.member, s.epoch))
    if not rows:
        raise ShardError(f"{spec.name} got no snapshots")
    strangers = {s.member for s in rows} - set(spec.members)
    if strangers:
        raise ShardError(f"{spec.name} got snapshots of other members: {sorted(strangers)[:5]}")
    values = {
        **_identity(plan, [s.member for s in rows], spec),
        "epoch": [s.epoch for s in rows],
        "status": [s.status for s in rows],
    }
    metrics = [_metrics(snapshot) for snapshot in rows]
    for column in properties(plan):
        if column.name not in values:
            values[column.name] = [m.get(column.name) for m in metrics]
    arrays = [
        _weights(plan, rows, column.type)
        if column.name == WEIGHTS
        else pa.array(values[column.name], type=column.type)
        for column in columns(plan)
    ]
    return pa.Table.from_arrays(arrays, schema=schema(plan))


def check_table(plan: Plan, spec: ShardSpec, table: Any) -> None:
    """Compare the contents of a shard with what the plan promises.

    Raises:
        ShardError: the first difference found.
    """
    found = table.schema.metadata or {}
    if found.get(PLAN_KEY) != plan.text.encode():
        raise ShardError(f"was made from another plan than {plan.name}")
    wanted = schema(plan)
    if not table.schema.equals(wanted) or table.schema.names != wanted.names:
        raise ShardError(f"columns are {table.schema.names}, the plan has {wanted.names}")
    _check_rows(plan, spec, table)
    indices = table.column("member").to_pylist()
    # What a converted zoo's members are stands in the rows alone.
    identity = _identity(plan, indices, spec) if plan.origin is None else {}
    for name, values in identity.items():
        if (
            not table.column(name)
            .combine_chunks()
            .equals(pa.array(values, type=wanted.field(name).type))
        ):
            raise ShardError(f"column {name!r} differs from what the plan draws")
    for column in properties(plan):
        numbers = table.column(column.name).drop_null().to_numpy()
        if not np.isfinite(numbers).all():
            raise ShardError(f"column {column.name!r} holds a number that is not finite, not null")
    _check_weights(table)


def _check_rows(plan: Plan, spec: ShardSpec, table: Any) -> None:
    rows = list(
        zip(*(table.column(c).to_pylist() for c in ("member", "epoch", "status")), strict=True)
    )
    if [r[:2] for r in rows] != sorted({r[:2] for r in rows}):
        raise ShardError("rows are not sorted by member and epoch, or some are double")
    if tuple(sorted({r[0] for r in rows})) != spec.members:
        missing = sorted(set(spec.members) - {r[0] for r in rows})[:5]
        raise ShardError(f"wanted {len(spec.members)} members; missing: {missing or 'none'}")
    for member, own in groupby(rows, key=lambda r: r[0]):
        fault = _row_fault(plan, [(epoch, status) for _, epoch, status in own])
        if fault:
            raise ShardError(f"member {member} {fault}")


def _row_fault(plan: Plan, rows: Sequence[tuple[int, str]]) -> str | None:
    """What is wrong with the (epoch, status) rows of one member, in one clause."""
    epochs, statuses = [r[0] for r in rows], [r[1] for r in rows]
    last, final = epochs[-1], statuses[-1]
    if plan.origin is not None:
        return _converted_fault(plan, epochs, statuses)
    if plan.kind == "signals":
        good = len(rows) == 1 and 0 <= last <= plan.epochs
        good = good and final in ("ok", "diverged", "unfitted")
        return None if good else f"has steps {epochs} of {plan.epochs}, status {statuses}"
    if any(status != "ok" for status in statuses[:-1]) or final not in ("ok", "diverged"):
        return f"has the statuses {statuses}"
    wanted = list(plan.checkpoints)
    if final == "diverged":
        wanted = [*(c for c in plan.checkpoints if c < last), last]
    if epochs != wanted or last > plan.epochs:
        return f"has rows for the epochs {epochs}, wanted {wanted}"
    return None


def _converted_fault(plan: Plan, epochs: Sequence[int], statuses: Sequence[str]) -> str | None:
    """Sources keep the checkpoints that they keep; only the last may have diverged."""
    if any(status != "ok" for status in statuses[:-1]) or statuses[-1] not in STATUSES:
        return f"has the statuses {statuses}"
    if not set(epochs) <= set(plan.checkpoints):
        return f"has rows for the epochs {epochs}, the plan has {list(plan.checkpoints)}"
    return None


def _check_weights(table: Any) -> None:
    """A network that is not marked as diverged has finite weights."""
    for batch in table.select(["member", "status", WEIGHTS]).to_batches():
        column = batch.column(WEIGHTS)
        flat = column.flatten().to_numpy(zero_copy_only=True)
        finite = np.logical_and.reduceat(np.isfinite(flat), starts_of(column))
        well = np.array([s != "diverged" for s in batch.column("status").to_pylist()])
        bad = np.flatnonzero(well & ~finite)
        if bad.size:
            member = batch.column("member")[int(bad[0])].as_py()
            raise ShardError(f"member {member} has weights that are not finite, not `diverged`")


def starts_of(weights: Any) -> Integer[np.ndarray, " n"]:
    """Where each row's weights begin among those of all rows; no row is without weights."""
    if pa.types.is_fixed_size_list(weights.type):
        return np.arange(len(weights)) * weights.type.list_size
    offsets = weights.offsets.to_numpy()
    return offsets[:-1] - offsets[0]


def _identity(plan: Plan, indices: Sequence[int], spec: ShardSpec) -> dict[str, list[Any]]:
    """The columns that follow from the plan: who a member is and how it was configured."""
    drawn = {m.index: m for m in plan.draw(spec.members)}
    rows = [drawn[i] for i in indices]
    archs = arch_ids(plan, drawn.values())
    values: dict[str, list[Any]] = {
        "member": [m.index for m in rows],
        "arch": [archs[m.index] for m in rows],
        "split": [m.split for m in rows],
        "seed": [m.seed for m in rows],
    }
    for name in plan.config_columns:
        values[f"{CONFIG_PREFIX}{name}"] = [m.config.get(name) for m in rows]
    for column in properties(plan):
        if column.name in _SIGNAL_DEFAULTS:
            values[column.name] = [_of_signal(m, column.name) for m in rows]
    return values


# sin(b·x), where the recipe draws no amplitude.
_SIGNAL_DEFAULTS = {"frequency": 1.0, "amplitude": 1.0}


def _of_signal(member: Member, name: str) -> float:
    return float(member.config.get(name, _SIGNAL_DEFAULTS[name]))


def _metrics(snapshot: Snapshot) -> dict[str, float | None]:
    """Measured numbers. One that is not finite counts as unmeasured, and all of a diverged one."""
    if snapshot.status == "diverged":
        return {}
    metrics = {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in snapshot.metrics.items()
    }
    train, test = metrics.get("train_accuracy"), metrics.get("test_accuracy")
    gap = None if train is None or test is None else train - test
    return {**metrics, "generalization_gap": gap}


def _weights(plan: Plan, rows: Sequence[Snapshot], kind: Any) -> Any:
    for row in rows:
        wanted = row.weights.size if plan.length is None else plan.length
        if row.weights.dtype != np.float32 or row.weights.shape != (wanted,):
            raise ShardError(
                f"member {row.member}: wanted {wanted} float32 weights, "
                f"got {row.weights.shape} {row.weights.dtype}"
            )
    flat = np.concatenate([row.weights for row in rows])
    if plan.length is None:
        offsets = np.cumsum([0, *(row.weights.size for row in rows)])
        return pa.LargeListArray.from_arrays(
            pa.array(offsets, pa.int64()), pa.array(flat), type=kind
        )
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
