"""`python -m zoogen.verify` on rows that are wrong in files that are whole, and on weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from trained_zoo import (
    FIRST,
    Zoo,
    change_manifest,
    change_shard,
    check,
    found,
    read_shard,
    rows_of,
    set_cell,
)

from zoogen.plan import Plan
from zoogen.schema import PLAN_KEY, WEIGHTS
from zoogen.store import Store

# --- shards whose rows are wrong, with good checksums and hashes


def _duplicate(table: Any) -> Any:
    return pa.concat_tables([table, table.slice(0, 1)])


def _without_member(table: Any) -> Any:
    member = table.column("member")
    return table.filter(pc.field("member") != member[0].as_py())


def _as_other_member(table: Any) -> Any:
    """The first network's rows under the number of one in another shard."""
    members = table.column("member").to_pylist()
    other = next(m for m in range(20) if m not in members)
    changed = [other if m == members[0] else m for m in members]
    place = table.schema.get_field_index("member")
    return table.set_column(place, table.schema.field(place), pa.array(changed, pa.int64()))


def _twin(table: Any) -> Any:
    """The last network gets the weights of the first one's last row."""
    rows = rows_of(table)
    first = [r for r in rows if r["member"] == rows[0]["member"]][-1]
    last = rows[-1]
    assert first["member"] != last["member"]
    return _with_weights(table, last["place"], table.column(WEIGHTS)[first["place"]].as_py())


def _with_weights(table: Any, row: int, weights: Any) -> Any:
    place = table.schema.get_field_index(WEIGHTS)
    field = table.schema.field(place)
    flat = np.array(table.column(WEIGHTS).combine_chunks().flatten())
    length = field.type.list_size
    flat[row * length : (row + 1) * length] = weights
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat), type=field.type)
    return table.set_column(place, field, column)


def _last_ok(table: Any) -> dict[str, Any]:
    """A trained network's last row."""
    return next(r for r in rows_of(table) if r["epoch"] == 2)


def _cell(column: str, value: Any, status: str = "ok") -> Callable[[Any], Any]:
    """Another value in the first row of that status; a function changes the value there."""

    def change(table: Any) -> Any:
        row = rows_of(table, status=status)[0]
        new = value(row[column]) if callable(value) else value
        return set_cell(table, column, row["place"], new)

    return change


def _other_split(table: Any) -> Any:
    """For all rows of one network."""
    member = table["member"][0]
    for row, other in enumerate(table["member"]):
        if other == member:
            was = table["split"][row].as_py()
            table = set_cell(table, "split", row, "train" if was == "test" else "test")
    return table


def _swap(table: Any) -> Any:
    order = list(range(table.num_rows))
    return table.take([order[1], order[0], *order[2:]])


def _nan_weights(table: Any) -> Any:
    row = rows_of(table)[0]["place"]
    return _with_weights(table, row, [np.nan] * table.schema.field(WEIGHTS).type.list_size)


def _other_metadata(table: Any) -> Any:
    metadata = {**table.schema.metadata, PLAN_KEY: b"{}"}
    return table.replace_schema_metadata(metadata)


def _nullable(table: Any) -> Any:
    place = table.schema.get_field_index("split")
    field = table.schema.field(place).with_nullable(True)
    return table.set_column(place, field, table.column("split"))


ROW_FAULTS: dict[str, tuple[Callable[[Any], Any], tuple[tuple[str, ...], ...]]] = {
    "duplicate row": (_duplicate, ((FIRST, "duplicate", "wanted one row a checkpoint"),)),
    "missing member": (
        _without_member,
        ((FIRST, "member", "missing", "wanted 6 networks, got 5"),),
    ),
    "another member's number": (
        _as_other_member,
        (
            (FIRST, "missing"),
            (FIRST, "belongs to no group of this shard"),
            ("duplicate network", "another shard holds it too"),
        ),
    ),
    "missing checkpoint": (
        lambda t: t.filter(pc.field("epoch") != 1),
        ((FIRST, "checkpoints", "wanted [0, 1, 2], got [0, 2]"),),
    ),
    "epoch of no checkpoint": (
        _cell("epoch", 7),
        ((FIRST, "checkpoints", "wanted [0, 1, 2], got [1, 2, 7]"),),
    ),
    "order": (_swap, ((FIRST, "order of rows"),)),
    "split": (
        _other_split,
        (
            (FIRST, "column split", "wanted", "got"),
            ("shards", "shares of the splits", "'train': 4"),
        ),
    ),
    "configuration": (
        _cell("config.dropout", lambda v: v + 1e-9),
        ((FIRST, "column config.dropout", "member"),),
    ),
    "configuration null": (
        _cell("config.optimizer", None),
        ((FIRST, "column config.optimizer", "got None"),),
    ),
    "architecture": (_cell("arch", "0" * 16), ((FIRST, "column arch", "got 0000000000000000"),)),
    "seed": (_cell("seed", 1), ((FIRST, "column seed", "got 1"),)),
    "status unknown": (
        _cell("status", "fine"),
        ((FIRST, "status", "wanted ok or diverged, got fine"),),
    ),
    "diverged called ok": (
        _cell("status", "ok", "diverged"),
        ((FIRST, "checkpoints"), (FIRST, "column test_accuracy", "wanted a number, got null")),
    ),
    "number of a diverged network": (
        _cell("test_loss", 2.0, "diverged"),
        ((FIRST, "column test_loss of a diverged network", "wanted null, got 2"),),
    ),
    "accuracy null": (
        _cell("test_accuracy", None),
        ((FIRST, "epoch 0", "column test_accuracy", "wanted a number, got null"),),
    ),
    "loss null": (
        _cell("train_loss", None),
        ((FIRST, "epoch 0", "column train_loss", "wanted a number, got null"),),
    ),
    "accuracy NaN": (
        _cell("test_accuracy", float("nan")),
        ((FIRST, "column test_accuracy", "wanted a finite number, got nan"),),
    ),
    "accuracy above 1": (
        _cell("train_accuracy", 1.5),
        ((FIRST, "column train_accuracy", "wanted 0 to 1, got 1.5"),),
    ),
    "accuracy of broken images": (
        _cell("test_accuracy", lambda v: v + 0.001),
        ((FIRST, "column test_accuracy", "wanted a whole number of 500 images"),),
    ),
    "negative loss": (
        _cell("test_loss", -1.0),
        ((FIRST, "column test_loss", "wanted 0 to inf, got -1"),),
    ),
    "gap": (
        _cell("generalization_gap", 0.5),
        ((FIRST, "column generalization_gap", "got 0.5"),),
    ),
    "weights not finite": (
        _nan_weights,
        ((FIRST, "epoch 0", "column weights", "wanted finite numbers, or status diverged"),),
    ),
    "weights of another": (_twin, ((FIRST, "column weights", "got those of member"),)),
    "plan in metadata": (_other_metadata, ((FIRST, "plan in its metadata", "wanted plan.json"),)),
    "column lost": (
        lambda t: t.drop_columns(["test_loss"]),
        ((FIRST, "column test_loss", "wanted double, got no column"),),
    ),
    "column added": (
        lambda t: t.append_column("extra", t.column("epoch")),
        ((FIRST, "column extra", "wanted no column, got int32"),),
    ),
    "column may be null": (_nullable, ((FIRST, "column split", "wanted string not null"),)),
    "columns in another order": (
        lambda t: t.select([t.schema.names[1], t.schema.names[0], *t.schema.names[2:]]),
        ((FIRST, "order of columns"),),
    ),
}


@pytest.mark.parametrize("name", ROW_FAULTS)
def test_rows(trained_digits: Zoo, capsys: pytest.CaptureFixture[str], name: str) -> None:
    change, faults = ROW_FAULTS[name]
    change_shard(trained_digits[0], FIRST, change)
    status, lines = check(trained_digits[0], capsys)
    assert status == 1
    for parts in faults:
        assert found(lines, *parts), lines
    # A hash that fits shows that the rows were looked at.
    assert not found(lines, "SHA-256 differs from manifest.json")


def test_every_fault_is_named(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    """Not the first one alone: faults of three kinds in two shards."""
    store, plan = trained_digits
    second = list(plan.shards())[1].name
    change_shard(store, FIRST, _cell("seed", 1))
    change_shard(store, FIRST, _cell("config.dropout", 0.9))
    change_shard(store, second, _cell("test_loss", -1.0))
    status, lines = check(store, capsys)
    assert status == 1
    assert found(lines, FIRST, "column seed")
    assert found(lines, FIRST, "column config.dropout", "got 0.9")
    assert found(lines, second, "column test_loss")
    assert lines[-1].startswith("3 faults: 20 networks")


# --- numbers that only the weights can contradict


def _change_weights(table: Any) -> Any:
    row = _last_ok(table)["place"]
    weights = np.array(table.column(WEIGHTS)[row].as_py(), dtype=np.float32)
    return _with_weights(table, row, weights * 1.05)


def _change_last(column: str, change: Callable[[float], float]) -> Callable[[Any], Any]:
    def changed(table: Any) -> Any:
        row = _last_ok(table)
        table = set_cell(table, column, row["place"], change(row[column]))
        again = table.slice(row["place"], 1).to_pylist()[0]
        gap = again["train_accuracy"] - again["test_accuracy"]
        return set_cell(table, "generalization_gap", row["place"], gap)

    return changed


def _by_images(accuracy: float, images: int) -> float:
    return accuracy + images / 500 if accuracy < 0.5 else accuracy - images / 500


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (_change_weights, "test_loss"),
        (_change_last("test_accuracy", lambda v: _by_images(v, 4)), "test_accuracy"),
        (_change_last("test_loss", lambda v: v * 1.001), "test_loss"),
        (_change_last("train_loss", lambda v: v * 0.999), "train_loss"),
        (_change_last("train_accuracy", lambda v: 1.0 - v), "train_accuracy"),
    ],
)
def test_evaluation_finds(
    trained_digits: Zoo,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Any], Any],
    column: str,
) -> None:
    store, _ = trained_digits
    row = _last_ok(read_shard(store, FIRST))
    change_shard(store, FIRST, change)
    status, lines = check(store, capsys, "--sample", "20")
    assert status == 1
    place = (FIRST, f"member {row['member']}, epoch 2")
    assert found(lines, *place, f"column {column}, evaluated anew from the weights"), lines


def test_evaluation_allows_rounding(
    trained_digits: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two images and a hundred-thousandth of the loss are another machine, not a fault."""
    store, _ = trained_digits
    change_shard(store, FIRST, _change_last("test_loss", lambda v: v * (1 + 1e-5)))
    two = _change_last("test_accuracy", lambda v: _by_images(v, 2))
    change_shard(store, FIRST, two)
    change_manifest(store, lambda m: m["summary"].update(_summary(store)))
    status, lines = check(store, capsys, "--sample", "20")
    assert status == 0, lines
    assert "accuracies within 2 images and losses within 1e-05" in lines[0]


def _summary(store: Store) -> Any:
    from zoogen.manifest import read_manifest
    from zoogen.summary import summarise

    manifest = read_manifest(store)
    assert manifest is not None
    return summarise(store, manifest.plans[0], manifest.shards)


SINE_FAULTS: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "frequency": (_cell("frequency", 3.0), ("column frequency", "got 3")),
    "amplitude": (_cell("amplitude", 2.0), ("column amplitude", "wanted 1, got 2")),
    "mse": (_cell("mse", lambda v: v * 1.01), ("column mse, evaluated anew",)),
    "status": (_cell("status", "unfitted"), ("status at the limit of MSE 0.01", "wanted ok")),
    "stopped early": (_cell("epoch", 1), ("stopped before", "wanted an MSE of at most 0.0001")),
    "too many steps": (_cell("epoch", 5000), ("steps", "got [5000]")),
    "mse null": (_cell("mse", None), ("column mse", "wanted a number, got null")),
}


@pytest.mark.parametrize("name", SINE_FAULTS)
def test_inrs(trained_sine: Zoo, capsys: pytest.CaptureFixture[str], name: str) -> None:
    change, parts = SINE_FAULTS[name]
    store, plan = trained_sine
    # A shard with a network that used all its steps and fits, so that each change is a fault.
    names = [s.name for s in plan.shards()]
    shard = next(n for n in names if _full_fit(read_shard(store, n), plan))
    change_shard(store, shard, change)
    status, lines = check(store, capsys, "--sample", "8")
    assert status == 1
    assert found(lines, shard, *parts), lines


def _full_fit(table: Any, plan: Plan) -> bool:
    rows = rows_of(table)
    return bool(rows) and rows[0]["epoch"] == plan.epochs and rows[0]["mse"] > 1.01e-4
