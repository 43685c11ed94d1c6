"""Shards: what rows they hold, equal bytes for equal input, and damage that is found."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3_fixture import s3_server, s3_zoo  # noqa: F401
from tiny_zoo import OTHER_PLATFORM, image_plan, sine_plan, snapshots, weights_of

from zoogen.errors import ShardError
from zoogen.grouping import ShardSpec
from zoogen.plan import Plan
from zoogen.schema import PLAN_KEY, schema
from zoogen.shards import check_shard, verify_shard, write_shard
from zoogen.store import LocalStore, open_store
from zoogen.train.job import Snapshot


def first(plan: Plan) -> ShardSpec:
    return next(plan.shards())


def written(tmp_path: Path, plan: Plan, **more: Any) -> tuple[LocalStore, ShardSpec, Path]:
    store, spec = LocalStore(tmp_path), first(plan)
    write_shard(store, plan=plan, spec=spec, snapshots=snapshots(plan, spec, **more))
    return store, spec, tmp_path / spec.name


def test_rows_are_sorted_and_say_what_each_network_is(tmp_path: Path) -> None:
    plan = image_plan(members=6)
    _, spec, path = written(tmp_path, plan)
    rows = pq.read_table(path).to_pylist()
    assert [(r["member"], r["epoch"]) for r in rows] == [
        (m, e) for m in range(6) for e in (0, 1, 3)
    ]
    for row, member in zip(rows[::3], plan.draw(range(6)), strict=True):
        assert (row["seed"], row["split"], row["status"]) == (member.seed, member.split, "ok")
        assert row["arch"] == plan.architecture
        config = {k[7:]: v for k, v in row.items() if k.startswith("config.")}
        assert config == dict(member.config)
    last = rows[5]
    np.testing.assert_array_equal(last["weights"], weights_of(plan, 1, 3))
    assert last["test_accuracy"] == 0.16
    assert last["generalization_gap"] == pytest.approx(0.1)
    assert spec.members == tuple(range(6))


def test_inrs_have_one_row_with_their_signal(tmp_path: Path) -> None:
    plan = sine_plan(recipe="sine-af")
    _, spec, path = written(tmp_path, plan, ends={1: (17, "ok"), 2: (plan.epochs, "unfitted")})
    rows = pq.read_table(path).to_pylist()
    assert [(r["member"], r["epoch"], r["status"]) for r in rows] == [
        (m, 17 if m == 1 else plan.epochs, "unfitted" if m == 2 else "ok") for m in spec.members
    ]
    for row, member in zip(rows, plan.draw(spec.members), strict=True):
        assert row["frequency"] == member.config["frequency"]
        assert row["amplitude"] == member.config["amplitude"]
        assert row["mse"] == 0.5 / (1 + row["member"])
    assert "test_accuracy" not in rows[0]


def test_types_and_metadata(tmp_path: Path) -> None:
    plan = image_plan()
    _, _, path = written(tmp_path, plan)
    found = pq.read_schema(path)
    assert found.field("member").type == pa.int64()
    assert found.field("epoch").type == pa.int32()
    assert found.field("weights").type.list_size == 4970
    assert found.field("weights").type.value_type == pa.float32()
    assert found.field("config.batch_size").type == pa.int64()
    assert found.field("config.learning_rate").type == pa.float64()
    assert found.field("config.optimizer").type == pa.string()
    assert found.field("test_loss").metadata == {
        b"meaning": b"mean cross-entropy on the test images, no L2 term",
        b"unit": b"nat",
    }
    assert all((field.metadata or {}).get(b"meaning") for field in found)
    assert Plan.from_json(json.loads(found.metadata[PLAN_KEY])) == plan


def test_unmeasured_is_null_never_nan(tmp_path: Path) -> None:
    plan = image_plan()
    store, spec = LocalStore(tmp_path), first(plan)
    spoilt = [
        replace(s, metrics={**s.metrics, "test_loss": float("nan"), "test_accuracy": None})
        if s.member == 0
        else replace(s, metrics={"train_loss": float("inf")})
        for s in snapshots(plan, spec)
    ]
    write_shard(store, plan=plan, spec=spec, snapshots=spoilt)
    rows = pq.read_table(tmp_path / spec.name).to_pylist()
    assert rows[0]["test_loss"] is None
    assert rows[0]["train_loss"] == 1.0
    assert rows[0]["generalization_gap"] is None
    assert rows[3]["train_loss"] is None
    assert rows[3]["test_accuracy"] is None


def test_a_diverged_member_keeps_its_rows_and_ends_without_metrics(tmp_path: Path) -> None:
    plan = image_plan()
    store, spec, path = written(tmp_path, plan, ends={1: (2, "diverged"), 3: (3, "diverged")})
    rows = [r for r in pq.read_table(path).to_pylist() if r["member"] in (1, 3)]
    assert [(r["epoch"], r["status"]) for r in rows] == [
        (0, "ok"), (1, "ok"), (2, "diverged"), (0, "ok"), (1, "ok"), (3, "diverged"),
    ]  # fmt: skip
    assert rows[2]["test_accuracy"] is None
    assert np.isnan(rows[2]["weights"][0])
    entry = verify_shard(store, plan=plan, spec=spec)
    assert entry is not None
    assert entry.status == {"diverged": 2, "ok": 4}


def test_equal_input_gives_equal_bytes_in_any_order(tmp_path: Path) -> None:
    plan = image_plan()
    spec = first(plan)
    forward, backward = LocalStore(tmp_path / "a"), LocalStore(tmp_path / "b")
    one = write_shard(forward, plan=plan, spec=spec, snapshots=snapshots(plan, spec))
    two = write_shard(backward, plan=plan, spec=spec, snapshots=[*snapshots(plan, spec)][::-1])
    assert one == two
    assert forward.read(spec.name) == backward.read(spec.name)
    other = [replace(s, weights=s.weights + np.float32(1)) for s in snapshots(plan, spec)]
    assert write_shard(backward, plan=plan, spec=spec, snapshots=other).sha256 != one.sha256


def test_a_written_shard_is_believed_after_reading_it(tmp_path: Path) -> None:
    for plan in (image_plan(), sine_plan()):
        store, spec = LocalStore(tmp_path / plan.kind), first(plan)
        assert verify_shard(store, plan=plan, spec=spec) is None
        entry = write_shard(store, plan=plan, spec=spec, snapshots=snapshots(plan, spec))
        assert verify_shard(store, plan=plan, spec=spec) == entry
        assert entry.networks == len(spec.members)
        assert entry.bytes == (tmp_path / plan.kind / spec.name).stat().st_size
        assert entry.platform is None


def test_a_shard_made_on_another_platform_says_so(tmp_path: Path) -> None:
    plan = image_plan()
    store, spec = LocalStore(tmp_path), first(plan)
    entry = write_shard(
        store,
        plan=plan,
        spec=spec,
        snapshots=snapshots(plan, spec),
        platform=OTHER_PLATFORM,
    )
    assert json.loads(entry.platform or "") == OTHER_PLATFORM.to_json()
    assert verify_shard(store, plan=plan, spec=spec) == entry


# --- refusals while writing


def _drop_member(rows: list[Snapshot]) -> list[Snapshot]:
    return [s for s in rows if s.member != 2]


def _nothing(_: list[Snapshot]) -> list[Snapshot]:
    return []


def _drop_checkpoint(rows: list[Snapshot]) -> list[Snapshot]:
    return [s for s in rows if (s.member, s.epoch) != (2, 1)]


def _double(rows: list[Snapshot]) -> list[Snapshot]:
    return [*rows, rows[0]]


def _stranger(rows: list[Snapshot]) -> list[Snapshot]:
    return [*rows, replace(rows[0], member=77)]


def _short(rows: list[Snapshot]) -> list[Snapshot]:
    return [replace(rows[0], weights=rows[0].weights[:-1]), *rows[1:]]


def _double_precision(rows: list[Snapshot]) -> list[Snapshot]:
    return [replace(rows[0], weights=rows[0].weights.astype(np.float64)), *rows[1:]]


def _infinite(rows: list[Snapshot]) -> list[Snapshot]:
    return [replace(rows[0], weights=np.full_like(rows[0].weights, np.inf)), *rows[1:]]


def _unfitted(rows: list[Snapshot]) -> list[Snapshot]:
    return [*rows[:-1], replace(rows[-1], status="unfitted")]


def _goes_on_after_diverging(rows: list[Snapshot]) -> list[Snapshot]:
    return [replace(rows[0], status="diverged"), *rows[1:]]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_drop_member, r"wanted 6 members; missing: \[2\]"),
        (_nothing, "got no snapshots"),
        (_drop_checkpoint, r"member 2 has rows for the epochs \[0, 3\], wanted \[0, 1, 3\]"),
        (_double, "some are double"),
        (_stranger, r"snapshots of other members: \[77\]"),
        (_short, r"wanted 4970 float32 weights, got \(4969,\) float32"),
        (_double_precision, r"got \(4970,\) float64"),
        (_infinite, "member 0 has weights that are not finite"),
        (_unfitted, "member 5 has the statuses"),
        (_goes_on_after_diverging, "member 0 has the statuses"),
    ],
)
def test_snapshots_that_the_plan_does_not_promise_are_refused(
    tmp_path: Path, spoil: Callable[[list[Snapshot]], list[Snapshot]], message: str
) -> None:
    plan = image_plan()
    store, spec = LocalStore(tmp_path), first(plan)
    with pytest.raises(ShardError, match=message):
        write_shard(store, plan=plan, spec=spec, snapshots=spoil([*snapshots(plan, spec)]))
    assert list(store.list("shards")) == []


# --- damage


def test_a_truncated_shard_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = image_plan()
    store, spec, path = written(tmp_path, plan)
    data = path.read_bytes()
    for size in (0, 3, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with caplog.at_level(logging.WARNING):
            assert verify_shard(store, plan=plan, spec=spec) is None
        with pytest.raises(ShardError, match=r"part-00000\.parquet is damaged"):
            check_shard(store, plan=plan, spec=spec)
    assert "it will be made again" in caplog.text


def test_flipped_bits_are_found(tmp_path: Path, rng: np.random.Generator) -> None:
    """Wherever a bit flips in the data, reading fails; elsewhere it fails or changes nothing."""
    plan = image_plan(members=3, checkpoints=(1,))
    store, spec, path = written(tmp_path, plan)
    data, table = path.read_bytes(), pq.read_table(path)
    weights = pq.ParquetFile(path).metadata.row_group(0).column(table.num_columns - 1)
    start, size = weights.data_page_offset, weights.total_compressed_size
    inside = rng.integers(start + 64, start + size, 12).tolist()
    found = 0
    for at in [*inside, *rng.integers(0, len(data), 40).tolist()]:
        spoilt = bytearray(data)
        spoilt[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoilt)
        entry = verify_shard(store, plan=plan, spec=spec)
        found += entry is None
        assert entry is None or pq.read_table(path).equals(table), f"byte {at} of {len(data)}"
        assert entry is None or at not in inside
    assert found >= len(inside)


def _other_plan(plan: Plan, table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata(schema(replace(plan, seed=9)).metadata)


def _no_plan(_: Plan, table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata(None)


def _fewer_columns(_: Plan, table: pa.Table) -> pa.Table:
    return table.drop_columns(["test_loss"])


def _fewer_rows(_: Plan, table: pa.Table) -> pa.Table:
    return table.slice(0, table.num_rows - 3)


def _wrong_order(_: Plan, table: pa.Table) -> pa.Table:
    return table.take(list(range(table.num_rows))[::-1])


def _other_split(_: Plan, table: pa.Table) -> pa.Table:
    values = ["test" if s != "test" else "train" for s in table.column("split").to_pylist()]
    return _with(table, "split", values)


def _other_config(_: Plan, table: pa.Table) -> pa.Table:
    return _with(table, "config.dropout", [0.123] * table.num_rows)


def _nan_metric(_: Plan, table: pa.Table) -> pa.Table:
    return _with(table, "test_loss", [float("nan")] * table.num_rows)


def _with(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    at = table.schema.get_field_index(name)
    field = table.schema.field(at)
    return table.set_column(at, field, pa.array(values, type=field.type))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_other_plan, r"from another plan than plan\.json"),
        (_no_plan, "from another plan"),
        (_fewer_columns, "columns are"),
        (_fewer_rows, r"wanted 6 members; missing: \[5\]"),
        (_wrong_order, "not sorted"),
        (_other_split, "column 'split' differs from what the plan draws"),
        (_other_config, "column 'config.dropout' differs"),
        (_nan_metric, "column 'test_loss' holds a number that is not finite"),
    ],
)
def test_a_whole_file_that_is_not_the_plans_shard_is_refused(
    tmp_path: Path, spoil: Callable[[Plan, pa.Table], pa.Table], message: str
) -> None:
    plan = image_plan()
    store, spec, path = written(tmp_path, plan)
    pq.write_table(spoil(plan, pq.read_table(path)), path)
    with pytest.raises(ShardError, match=message):
        check_shard(store, plan=plan, spec=spec)
    assert verify_shard(store, plan=plan, spec=spec) is None


# --- kills


def test_a_kill_leaves_no_broken_shard(tmp_path: Path) -> None:
    """A process that writes shards without pause is killed several times, at any moment."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from tiny_zoo import image_plan, snapshots; from zoogen.shards import write_shard\n"
        "from zoogen.store import open_store\n"
        "plan = image_plan(members=200); store = open_store(sys.argv[1])\n"
        "while True:\n"
        "    for spec in plan.shards():\n"
        "        write_shard(store, plan=plan, spec=spec, snapshots=snapshots(plan, spec))\n"
        "        print('ready', flush=True)\n"
    )
    plan = image_plan(members=200)
    seen = 0
    for pause in (0.1, 0.23, 0.36):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(pause)
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        store = open_store(tmp_path)
        for spec in plan.shards():
            if store.exists(spec.name):
                check_shard(store, plan=plan, spec=spec)
                seen += 1
        store.sweep()
        assert {p.suffix for p in (tmp_path / "shards").iterdir()} == {".parquet"}
    assert seen >= 3


def test_shards_on_s3_have_the_bytes_of_local_ones(s3_zoo: str, tmp_path: Path) -> None:  # noqa: F811
    plan = image_plan()
    spec = first(plan)
    there, here = open_store(s3_zoo), open_store(tmp_path)
    for store in (there, here):
        write_shard(store, plan=plan, spec=spec, snapshots=snapshots(plan, spec))
    assert there.read(spec.name) == here.read(spec.name)
    assert verify_shard(there, plan=plan, spec=spec) == verify_shard(here, plan=plan, spec=spec)
    there.put(spec.name, here.read(spec.name)[:-50])
    assert verify_shard(there, plan=plan, spec=spec) is None
