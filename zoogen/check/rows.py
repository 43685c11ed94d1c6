"""The rows of one shard against the plan: members, checkpoints, identity, measurements, weights.

Everything is worked out anew from (seed, index) and the plan, not with the code that wrote the
rows, and every difference is named, not the first one alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from zoogen.check.faults import Fault
from zoogen.description import CONFIG_PREFIX
from zoogen.grouping import ShardSpec
from zoogen.members import Member
from zoogen.plan import Plan
from zoogen.rows import starts_of
from zoogen.schema import WEIGHTS, properties
from zoogen.varied import arch_ids

# A stored share of n images may differ from a whole number of images by float32's rounding.
IMAGE_ROUNDING = 0.05
# A loss is averaged in another order when it stops the training than when it is stored.
LOSS_ROUNDING = 1e-3
# Below it no network of ours can have a loss that float32 does not hold, so none may be null.
HUGE = 1e3
SIGNAL_COLUMNS = ("frequency", "amplitude")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """One shard's rows, as arrays."""

    plan: Plan
    spec: ShardSpec
    table: Any
    member: np.ndarray
    epoch: np.ndarray
    status: np.ndarray
    largest: Float[np.ndarray, " n"]
    """See `largest_weights`."""

    def fault(
        self, bad: Bool[np.ndarray, " n"], problem: str, *, wanted: Any, got: Any
    ) -> Iterator[Fault]:
        """One fault for the rows that are bad; none if no row is.

        Args:
            bad: which rows.
            problem: what is wrong, in a few words.
            wanted: one text for all, or one value for each row.
            got: the same.
        """
        places = np.flatnonzero(bad)
        if not places.size:
            return
        first = int(places[0])
        yield Fault(
            path=self.spec.name,
            problem=problem,
            wanted=_at(wanted, first),
            got=_at(got, first),
            members=tuple(int(m) for m in np.unique(self.member[places])),
            epoch=int(self.epoch[first]) if self.plan.kind == "images" else None,
        )

    def measured(self, name: str) -> Float[np.ndarray, " n"]:
        """A measurement, NaN where it is null."""
        return self.table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)


def row_faults(plan: Plan, spec: ShardSpec, table: Any) -> Iterator[Fault]:
    """Everything in a shard's rows that is not as the plan promises.

    Args:
        plan: the one that the shard belongs to.
        spec: the shard.
        table: its rows as a `pyarrow.Table` with the plan's columns.
    """
    rows = rows_of(plan, spec, table)
    yield from member_faults(rows)
    yield from _checkpoint_faults(rows)
    yield from _identity_faults(rows)
    yield from _null_faults(rows)
    yield from range_faults(rows)
    yield from _image_faults(rows) if plan.kind == "images" else _fit_faults(rows)
    yield from weight_faults(rows)


def rows_of(plan: Plan, spec: ShardSpec, table: Any) -> Rows:
    """A shard's rows as arrays."""
    return Rows(
        plan=plan,
        spec=spec,
        table=table,
        member=table.column("member").to_numpy(),
        epoch=table.column("epoch").to_numpy(),
        status=np.array(table.column("status").to_pylist(), dtype=object),
        largest=largest_weights(table),
    )


def member_faults(rows: Rows) -> Iterator[Fault]:
    """Missing members, strangers, doubles, order."""
    name, found = rows.spec.name, set(rows.member.tolist())
    missing = sorted(set(rows.spec.members) - found)
    if missing:
        wanted = f"{len(rows.spec.members)} networks"
        got = f"{len(rows.spec.members) - len(missing)}"
        yield Fault(path=name, problem="missing", wanted=wanted, got=got, members=tuple(missing))
    strange = ~np.isin(rows.member, rows.spec.members)
    yield from rows.fault(strange, "belongs to no group of this shard", wanted="no row", got="rows")
    keys = list(zip(rows.member.tolist(), rows.epoch.tolist(), strict=True))
    seen: set[tuple[int, int]] = set()
    double = np.array([key in seen or bool(seen.add(key)) for key in keys], dtype=bool)
    yield from rows.fault(double, "duplicate", wanted="one row a checkpoint", got="another")
    if not double.any() and keys != sorted(keys):
        got = "another order"
        yield Fault(path=name, problem="order of rows", wanted="by member and epoch", got=got)


def _checkpoint_faults(rows: Rows) -> Iterator[Fault]:
    """Each member has the rows that its plan and its status promise."""
    known = ("ok", "diverged") if rows.plan.kind == "images" else ("ok", "diverged", "unfitted")
    strange = ~np.isin(rows.status, known)
    yield from rows.fault(strange, "status", wanted=" or ".join(known), got=rows.status)
    for member in np.unique(rows.member).tolist():
        own = np.flatnonzero(rows.member == member)
        own = own[np.argsort(rows.epoch[own], kind="stable")]
        epochs, status = np.unique(rows.epoch[own]).tolist(), rows.status[own].tolist()
        if "diverged" in status[:-1]:
            yield Fault(
                path=rows.spec.name,
                problem="rows after it diverged",
                wanted="none",
                got=str([int(e) for e in rows.epoch[own]]),
                members=(member,),
            )
        wanted = _checkpoints(rows.plan, epochs, diverged="diverged" in status)
        if epochs != wanted:
            yield Fault(
                path=rows.spec.name,
                problem="checkpoints" if rows.plan.kind == "images" else "steps",
                wanted=str(wanted),
                got=str(epochs),
                members=(member,),
            )


def _checkpoints(plan: Plan, epochs: Sequence[int], *, diverged: bool) -> list[int]:
    """The epochs that a member should have, given where it ended."""
    last = max(epochs)
    if plan.kind == "signals":
        return [min(max(last, 0), plan.epochs)]
    if diverged:
        last = min(last, plan.epochs)
        return [*(c for c in plan.checkpoints if c < last), last]
    return list(plan.checkpoints)


def _identity_faults(rows: Rows) -> Iterator[Fault]:
    """Who each member is and how it was configured, drawn anew."""
    drawn = {m.index: m for m in rows.plan.draw(rows.spec.members)}
    archs = arch_ids(rows.plan, drawn.values())
    known = np.array([m in drawn for m in rows.member.tolist()], dtype=bool)
    members = [drawn.get(m) for m in rows.member.tolist()]
    for name, kind in _identity_columns(rows.plan):
        got = rows.table.column(name).to_pylist()
        wanted = [None if m is None else _identity(m, archs[m.index], name) for m in members]
        # Through Arrow, so that a whole number drawn for a column of floats is one.
        wanted = pa.array(wanted, type=kind).to_pylist()
        bad = np.array([w != g for w, g in zip(wanted, got, strict=True)], dtype=bool)
        yield from rows.fault(bad & known, f"column {name}", wanted=wanted, got=got)


def _identity_columns(plan: Plan) -> list[tuple[str, Any]]:
    signal = [p.name for p in properties(plan) if p.name in SIGNAL_COLUMNS]
    types: dict[str, Any] = {"string": pa.string(), "bool": pa.bool_(), "int": pa.int64()}
    config = [
        (CONFIG_PREFIX + name, types.get(kind, pa.float64()))
        for name, kind in plan.config_columns.items()
    ]
    row = [("arch", pa.string()), ("split", pa.string()), ("seed", pa.int64())]
    return [*row, *config, *((name, pa.float64()) for name in signal)]


def _identity(member: Member, arch: str, column: str) -> Any:
    if column.startswith(CONFIG_PREFIX):
        return member.config.get(column.removeprefix(CONFIG_PREFIX))
    # A recipe that draws no frequency or amplitude fits sin(x).
    own = {"arch": arch, "split": member.split, "seed": member.seed}
    return own[column] if column in own else float(member.config.get(column, 1.0))


def _null_faults(rows: Rows) -> Iterator[Fault]:
    """Measurements are there unless the network diverged, or its loss is beyond float32."""
    diverged, huge = rows.status == "diverged", rows.largest >= HUGE
    for column in (c for c in properties(rows.plan) if c.name not in SIGNAL_COLUMNS):
        null = rows.table.column(column.name).is_null().to_numpy(zero_copy_only=False)
        lacks, has = null & ~diverged, ~null & diverged
        if column.name.endswith("loss"):
            lacks &= ~huge
        yield from rows.fault(lacks, f"column {column.name}", wanted="a number", got="null")
        problem = f"column {column.name} of a diverged network"
        yield from rows.fault(has, problem, wanted="null", got=rows.measured(column.name))


def range_faults(rows: Rows) -> Iterator[Fault]:
    """Numbers that are no measurement: NaN, infinite, negative, shares above 1."""
    for column in (c for c in properties(rows.plan) if c.name not in SIGNAL_COLUMNS):
        values = rows.measured(column.name)
        null = rows.table.column(column.name).is_null().to_numpy(zero_copy_only=False)
        finite = np.isfinite(values)
        problem = f"column {column.name}"
        yield from rows.fault(~null & ~finite, problem, wanted="a finite number", got=values)
        low, high = _limits(column.name)
        outside = finite & ((values < low) | (values > high))
        yield from rows.fault(outside, problem, wanted=f"{low:g} to {high:g}", got=values)


def _limits(column: str) -> tuple[float, float]:
    if column == "generalization_gap":
        return -1.0, 1.0
    return 0.0, 1.0 if column.endswith("accuracy") else np.inf


def gap_faults(rows: Rows) -> Iterator[Fault]:
    """The gap is the difference of the accuracies."""
    train, test = rows.measured("train_accuracy"), rows.measured("test_accuracy")
    gap = rows.measured("generalization_gap")
    with np.errstate(invalid="ignore"):
        bad = np.abs(gap - (train - test)) > 1e-9
    yield from rows.fault(bad, "column generalization_gap", wanted=train - test, got=gap)


def _image_faults(rows: Rows) -> Iterator[Fault]:
    """The gap is the difference, and an accuracy is a whole number of images."""
    yield from gap_faults(rows)
    test = rows.measured("test_accuracy")
    images = float(rows.plan.data["test_size"]) * test
    with np.errstate(invalid="ignore"):
        broken = np.abs(images - np.round(images)) > IMAGE_ROUNDING
    wanted = f"a whole number of {rows.plan.data['test_size']} images"
    got = [f"{a:.6g}, {n:.6g} images" for a, n in zip(test, images, strict=True)]
    yield from rows.fault(broken, "column test_accuracy", wanted=wanted, got=got)


def _fit_faults(rows: Rows) -> Iterator[Fault]:
    """An INR's status says whether it fits, and one that stopped early had reached its goal."""
    recipe, mse = rows.plan.recipe, rows.measured("mse")
    limit, stop = float(recipe["unfitted_mse"]), float(recipe["stop_mse"])
    measured = np.isfinite(mse) & (rows.status != "diverged")
    wanted = np.where(mse > limit, "unfitted", "ok").astype(object)
    near = np.abs(mse - limit) <= LOSS_ROUNDING * limit
    bad = measured & (wanted != rows.status) & ~near
    yield from rows.fault(
        bad, f"status at the limit of MSE {limit:g}", wanted=wanted, got=rows.status
    )
    early = measured & (rows.epoch < rows.plan.epochs) & (mse > stop * (1 + LOSS_ROUNDING))
    problem = f"stopped before {rows.plan.epochs} steps"
    yield from rows.fault(early, problem, wanted=f"an MSE of at most {stop:g}", got=mse)


def weight_faults(rows: Rows) -> Iterator[Fault]:
    """A network that is not marked as diverged has finite weights."""
    bad = ~np.isfinite(rows.largest) & (rows.status != "diverged")
    wanted = "finite numbers, or status diverged"
    yield from rows.fault(bad, f"column {WEIGHTS}", wanted=wanted, got=rows.largest)


def largest_weights(table: Any) -> Float[np.ndarray, " n"]:
    """The largest absolute weight of each row; NaN or infinite where a weight is."""
    parts = [np.zeros(0)]
    for batch in table.select([WEIGHTS]).to_batches():
        column = batch.column(WEIGHTS)
        flat = column.flatten().to_numpy(zero_copy_only=False)
        parts.append(np.maximum.reduceat(np.abs(flat), starts_of(column)).astype(np.float64))
    return np.concatenate(parts)


def _at(values: Any, place: int) -> str:
    value = values if isinstance(values, str) else values[place]
    return f"{value:.9g}" if isinstance(value, float) else str(value)
