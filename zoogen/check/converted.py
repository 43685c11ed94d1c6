"""The rows of one shard of a converted zoo: what can be checked without its source.

Who a network is and how it was made stands in its rows alone, so they are compared with one
another, with the architectures and with the splits' rule.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc

from zoogen.check.faults import Fault
from zoogen.check.rows import (
    Rows,
    gap_faults,
    member_faults,
    range_faults,
    rows_of,
    weight_faults,
)
from zoogen.grouping import ShardSpec
from zoogen.members import split_of
from zoogen.plan import Plan
from zoogen.recipe import Shares
from zoogen.schema import WEIGHTS, properties

SPLITS = ("train", "val", "test")


def converted_faults(
    plan: Plan, spec: ShardSpec, table: Any, lengths: Mapping[str, int]
) -> Iterator[Fault]:
    """Everything in a shard's rows that is not as a converted zoo has it.

    Args:
        plan: the one that the shard belongs to.
        spec: the shard.
        table: its rows as a `pyarrow.Table` with the plan's columns.
        lengths: weights of each architecture by its content id.
    """
    rows = rows_of(plan, spec, table)
    yield from member_faults(rows)
    yield from _checkpoint_faults(rows)
    yield from _split_faults(rows)
    yield from _length_faults(rows, lengths)
    yield from _diverged_faults(rows)
    yield from range_faults(rows)
    if plan.kind == "images":
        yield from gap_faults(rows)
    yield from weight_faults(rows)


def _checkpoint_faults(rows: Rows) -> Iterator[Fault]:
    """Epochs are among the plan's, and only a network's last row may have diverged."""
    known = ("ok", "diverged", "unfitted")
    yield from rows.fault(
        ~np.isin(rows.status, known), "status", wanted=" or ".join(known), got=rows.status
    )
    strange = ~np.isin(rows.epoch, rows.plan.checkpoints)
    wanted = f"one of {list(rows.plan.checkpoints)}"
    yield from rows.fault(strange, "epoch", wanted=wanted, got=rows.epoch)
    followed = np.append(rows.member[1:] == rows.member[:-1], False)
    bad = followed & (rows.status == "diverged")
    yield from rows.fault(bad, "rows after it diverged", wanted="none", got="more")


def _split_faults(rows: Rows) -> Iterator[Fault]:
    """The split that the rule gives; one split for all checkpoints of a network."""
    origin, split = rows.plan.origin, np.array(rows.table.column("split").to_pylist(), dtype=object)
    assert origin is not None  # the caller has a converted zoo
    yield from rows.fault(~np.isin(split, SPLITS), "split", wanted=" or ".join(SPLITS), got=split)
    if origin.split == "shares":
        shares = Shares(**dict(zip(SPLITS, rows.plan.shares, strict=True)))
        seed = rows.plan.seed
        wanted = np.array(
            [split_of(shares, zoo_seed=seed, index=m) for m in rows.member.tolist()], dtype=object
        )
    else:
        first = np.unique(rows.member, return_index=True, return_inverse=True)
        wanted = split[first[1][first[2]]]
    yield from rows.fault(wanted != split, "column split", wanted=wanted, got=split)


def _length_faults(rows: Rows, lengths: Mapping[str, int]) -> Iterator[Fault]:
    """Each row has as many weights as its architecture."""
    names = rows.table.column("arch").to_pylist()
    wanted = np.array([lengths.get(name, -1) for name in names], dtype=np.int64)
    problem = "column arch"
    known = "an id in architectures.parquet"
    yield from rows.fault(wanted < 0, problem, wanted=known, got=names)
    weights = rows.table.column(WEIGHTS).combine_chunks()
    got = pc.list_value_length(weights).to_numpy(zero_copy_only=False)  # pyright: ignore[reportAttributeAccessIssue]
    bad = (wanted >= 0) & (got != wanted)
    yield from rows.fault(bad, f"length of column {WEIGHTS}", wanted=wanted, got=got)


def _diverged_faults(rows: Rows) -> Iterator[Fault]:
    """Nothing is measured of a diverged network; what a source does not say may be null."""
    diverged = rows.status == "diverged"
    for column in properties(rows.plan):
        if column.name in ("frequency", "amplitude"):
            continue
        has = diverged & ~rows.table.column(column.name).is_null().to_numpy(zero_copy_only=False)
        problem = f"column {column.name} of a diverged network"
        yield from rows.fault(has, problem, wanted="null", got=rows.measured(column.name))
