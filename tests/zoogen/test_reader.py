"""Reading zoos: selections, tables, weights, modules."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tiny_zoo import (
    accuracy_of,
    image_architecture,
    image_plan,
    make_zoo,
    sine_plan,
    weights_of,
)

import zoogen
from zoogen.continuation import extension
from zoogen.errors import ZooError
from zoogen.networks import Networks, Selection
from zoogen.pages import plain_rows
from zoogen.plan import Plan
from zoogen.reader import Zoo, open_zoo
from zoogen.schema import weights_type
from zoogen.store import open_store

MEMBERS = 40
ENDS = {4: (2, "diverged"), 7: (3, "diverged")}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return image_plan(members=MEMBERS)


@pytest.fixture(scope="module")
def zoo(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Two shards, three checkpoints, two networks that diverged."""
    path = tmp_path_factory.mktemp("zoo")
    make_zoo(path, plan, ends=ENDS)
    return open_zoo(path)


def expected(plan: Plan, networks: Networks) -> np.ndarray:
    """The weights that belong to a selection's members and epochs."""
    keys = networks.table(["member", "epoch"]).to_pylist()
    return np.stack([weights_of(plan, k["member"], k["epoch"]) for k in keys])


def test_a_zoo_says_what_it_is(zoo: Zoo, plan: Plan) -> None:
    assert len(zoo) == MEMBERS
    assert zoo.complete
    assert zoo.plan == plan
    assert zoo.manifest is not None
    assert repr(zoo).endswith("40 × arch1 on digits)")
    assert zoo.columns[0].name == "member"
    assert list(zoo.architectures) == [plan.architecture]
    assert list(zoo.architectures.values()) == [image_architecture()]


def test_import_zoogen_loads_the_reader_only_when_asked(zoo: Zoo) -> None:
    code = (
        "import sys, zoogen\n"
        "assert not {'pyarrow', 'torch', 'ray'} & set(sys.modules)\n"
        "zoo = zoogen.open_zoo(sys.argv[1])\n"
        "zoo.weights(); zoo.table(['test_accuracy'])\n"
        "import zoogen.contract\n"
        "assert 'pyarrow' in sys.modules\n"
        "assert not {'torch', 'ray'} & set(sys.modules)\n"
        "zoo.to_module(zoo.row(0))\n"
        "assert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, zoo.store.uri], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'close_zoo'"):
        _ = zoogen.close_zoo  # pyright: ignore[reportAttributeAccessIssue]


def test_last_checkpoints_of_networks_that_went_well(zoo: Zoo, plan: Plan) -> None:
    networks = zoo.networks()
    table = networks.table(["member", "epoch", "test_accuracy"])
    assert table.column_names == ["member", "epoch", "test_accuracy"]
    assert sorted(table.column("member").to_pylist()) == [
        i for i in range(MEMBERS) if i not in ENDS
    ]
    assert set(table.column("epoch").to_pylist()) == {3}
    assert len(networks) == MEMBERS - len(ENDS)
    weights = networks.weights()
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, expected(plan, networks))
    np.testing.assert_array_equal(
        networks.column("test_accuracy"),
        [accuracy_of(m, 3) for m in table.column("member").to_pylist()],
    )


def test_last_means_the_last_even_if_it_diverged(zoo: Zoo) -> None:
    table = zoo.table(["member", "epoch", "status"], status=None)
    rows = {r["member"]: (r["epoch"], r["status"]) for r in table.to_pylist()}
    assert len(rows) == table.num_rows == MEMBERS
    assert rows[4] == (2, "diverged")
    assert rows[7] == (3, "diverged")
    assert rows[0] == (3, "ok")
    assert zoo.table(["member"], status=("diverged",)).column("member").to_pylist() == [4, 7]


def test_all_checkpoints_and_one_epoch(zoo: Zoo, plan: Plan) -> None:
    everything = zoo.networks(checkpoint="all", status=None)
    assert len(everything) == 3 * MEMBERS
    assert len(zoo.networks(checkpoint="all")) == 3 * MEMBERS - len(ENDS)
    at_one = zoo.networks(checkpoint=1)
    assert len(at_one) == MEMBERS
    np.testing.assert_array_equal(at_one.weights(), expected(plan, at_one))
    assert len(zoo.networks(checkpoint=3)) == MEMBERS - len(ENDS)


def test_splits_partition_the_networks(zoo: Zoo, plan: Plan) -> None:
    drawn = {m.index: m.split for m in plan.draw(range(MEMBERS))}
    seen: list[int] = []
    for split in ("train", "val", "test"):
        networks = zoo.networks(split=split, status=None)
        members = networks.table(["member"]).column("member").to_pylist()
        assert all(drawn[m] == split for m in members)
        seen += members
    assert sorted(seen) == list(range(MEMBERS))
    train = zoo.networks(split="train")
    np.testing.assert_array_equal(train.weights(), expected(plan, train))


def test_tables_leave_weights_out_unless_named(zoo: Zoo) -> None:
    assert "weights" not in zoo.table().column_names
    assert zoo.table(["weights", "member"]).column_names == ["weights", "member"]
    batches = list(zoo.networks().batches(["member"]))
    assert len(batches) == 2
    assert pa.concat_tables(batches).equals(zoo.table(["member"]))


def test_plain_pages_give_what_pyarrow_decodes(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    selections = [
        {"checkpoint": "all", "status": None},
        {"checkpoint": "last"},
        {"checkpoint": 1, "split": "train"},
        {"checkpoint": "all", "split": "val"},
    ]
    fast = [zoo.weights(**s) for s in selections]
    used: list[bool] = []

    def never(*_: object, **__: object) -> None:
        used.append(True)

    monkeypatch.setattr("zoogen.networks.plain_rows", never)
    slow = [zoo.weights(**s) for s in selections]
    assert used, "the other path was not taken"
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zstd"},
        {"compression": "none", "use_dictionary": True},
        {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"},
        {"compression": "none", "use_dictionary": False, "use_byte_stream_split": True},
        {"compression": "none", "use_dictionary": False},
        {"compression": "none", "use_dictionary": False, "data_page_size": 4_000},
    ],
)
def test_pages_are_read_plainly_only_where_they_are_plain(
    rng: np.random.Generator, tmp_path: Path, options: dict[str, Any]
) -> None:
    values = rng.standard_normal((50, 120)).astype(np.float32)
    kind = weights_type(120)
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind)
    field = pa.field("weights", kind, nullable=False)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table([column], schema=pa.schema([field])), path, **options)
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    with pa.memory_map(str(path)) as file:
        plain = plain_rows(file, chunk, values=values.size)
        assert plain_rows(file, chunk, values=values.size + 1) is None
        expected_plain = options["compression"] == "none" and not (
            options["use_dictionary"]
            or options.get("data_page_version")
            or options.get("use_byte_stream_split")
        )
        assert (plain is not None) == expected_plain
        if plain is not None:
            assert len(plain.pages) == (1 if "data_page_size" not in options else len(plain.pages))
            out = np.empty((5, 120), dtype=np.float32)
            plain.copy([(3, 5), (20, 21), (48, 50)], out)
            np.testing.assert_array_equal(out, values[[3, 4, 20, 48, 49]])


def test_small_pages_are_many(rng: np.random.Generator, tmp_path: Path) -> None:
    """The case above with a small page size did cut networks into several pages."""
    kind = weights_type(3_000)
    values = rng.standard_normal(30_000).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(values), type=kind)
    field = pa.field("weights", kind, nullable=False)
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table([column], schema=pa.schema([field])),
        path,
        compression="none",
        use_dictionary=False,
        data_page_size=4_000,
        write_batch_size=100,
    )
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    with pa.memory_map(str(path)) as file:
        plain = plain_rows(file, chunk, values=values.size)
        assert plain is not None
        assert len(plain.pages) > 5
        out = np.empty((3, 3_000), dtype=np.float32)
        plain.copy([(0, 1), (4, 6)], out)
    np.testing.assert_array_equal(out, values.reshape(10, 3_000)[[0, 4, 5]])


def test_a_row_and_its_module(zoo: Zoo, plan: Plan) -> None:
    row = zoo.row(5)
    assert (row["member"], row["epoch"]) == (5, 3)
    np.testing.assert_array_equal(row["weights"], weights_of(plan, 5, 3))
    assert zoo.row(5, 1)["epoch"] == 1
    assert zoo.row(4)["status"] == "diverged"
    module = zoo.to_module(row)
    flat = torch.cat([v.flatten() for v in module.state_dict().values()]).numpy()
    np.testing.assert_array_equal(flat, row["weights"])
    assert not module.training
    light = zoo.table(["member", "epoch"]).to_pylist()[0]
    again = zoo.to_module(light)
    flat = torch.cat([v.flatten() for v in again.state_dict().values()]).numpy()
    np.testing.assert_array_equal(flat, weights_of(plan, light["member"], light["epoch"]))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        ({"split": "training"}, "has no split 'training'; there are: train, val, test"),
        ({"status": ("fine",)}, "has no status 'fine'; there are: ok, diverged, unfitted"),
        ({"checkpoint": 2}, "has no checkpoint 2; there are: 0, 1, 3"),
        ({"arch": "x"}, "has no arch 'x'"),
    ],
)
def test_a_selection_that_cannot_be_names_what_can(
    zoo: Zoo, ask: dict[str, Any], message: str
) -> None:
    with pytest.raises(ZooError, match=message):
        zoo.weights(**ask)


def test_unknown_columns_and_networks_are_named(zoo: Zoo) -> None:
    with pytest.raises(ZooError, match=r"has no column 'acc'; there are: \['member'"):
        zoo.table(["acc"])
    with pytest.raises(ZooError, match="has no network 99; it holds 40"):
        zoo.row(99)
    with pytest.raises(ZooError, match="network 4 has no checkpoint 3"):
        zoo.row(4, 3)


def test_signals(tmp_path: Path) -> None:
    plan = sine_plan(members=9)
    make_zoo(tmp_path, plan, ends={2: (17, "ok"), 3: (plan.epochs, "unfitted")})
    zoo = open_zoo(tmp_path)
    assert zoo.weights().shape == (8, 33)
    assert zoo.weights(status=("ok", "unfitted")).shape == (9, 33)
    assert set(zoo.table(["frequency", "amplitude", "mse"]).column_names) == {
        "frequency",
        "amplitude",
        "mse",
    }
    assert zoo.row(2)["epoch"] == 17


def test_networks_of_several_lengths_are_read_one_architecture_at_a_time(
    zoo: Zoo, tmp_path: Path
) -> None:
    """As importers write them: `large_list`, two architectures in one shard."""
    entry = zoo.shards[0]
    ids = ["a" * 16, "b" * 16]
    table = pa.table(
        {
            "arch": [ids[i % 2] for i in range(6)],
            "weights": [[float(i)] * (3 + i % 2) for i in range(6)],
        },
        schema=pa.schema([("arch", pa.string()), ("weights", weights_type(None))]),
    )
    path = tmp_path / entry.name
    path.parent.mkdir()
    pq.write_table(table, path, compression="none", use_dictionary=False)
    mixed = Networks(
        store=open_store(tmp_path),
        shards=(replace(entry, rows=6, networks=6),),
        selection=Selection(status=None),
        lengths={ids[0]: 3, ids[1]: 4},
        schema=table.schema,
    )
    with pytest.raises(ZooError, match=r"have \[3, 4\] weights: choose one architecture"):
        mixed.weights()
    chosen = replace(mixed, selection=Selection(status=None, arch=ids[1]))
    np.testing.assert_array_equal(chosen.weights(), [[1] * 4, [3] * 4, [5] * 4])


def test_a_network_is_found_without_a_look_at_the_blocks_before_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sine_plan(members=2_200)
    second = extension([first], sine_plan(members=3_300))
    assert second is not None
    make_zoo(tmp_path, first, second)
    zoo = open_zoo(tmp_path)
    asked = list[range]()
    fractions = Plan.fractions
    monkeypatch.setattr(
        Plan, "fractions", lambda plan, block: asked.append(block) or fractions(plan, block)
    )
    for member, block in (
        (0, range(1_024)),
        (1_024, range(1_024, 2_048)),
        (2_199, range(2_048, 2_200)),
        (2_200, range(2_200, 3_072)),
        (3_299, range(3_072, 3_300)),
    ):
        asked.clear()
        row = zoo.row(member)
        assert row["member"] == member
        assert np.array_equal(row["weights"], weights_of(first, member, first.epochs))
        assert asked == [block]
