"""`python -m zoogen.verify`: passes a good zoo, and names every fault that is put into a copy."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from s3_fixture import s3_server, s3_zoo  # noqa: F401
from tiny_zoo import image_plan, make_zoo
from trained_zoo import change_manifest, change_shard, read_shard, set_cell

from zoogen import verify
from zoogen.architecture_file import ARCHITECTURES_NAME
from zoogen.check.faults import Fault
from zoogen.continuation import extension
from zoogen.look.content import read_content
from zoogen.manifest import MANIFEST_NAME
from zoogen.plan import Plan
from zoogen.schema import PLAN_KEY, WEIGHTS
from zoogen.store import Store, open_store

Zoo: TypeAlias = tuple[Store, Plan]
FIRST = "shards/part-00000.parquet"


def check(store: Store, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, list[str]]:
    """Exit status and the lines on stdout; nothing is evaluated anew unless flags say so."""
    sample = [] if "--sample" in flags else ["--sample", "0"]
    with pytest.raises(SystemExit) as stop:
        verify.main([store.uri, "--no-download", *sample, *flags])
    return int(stop.value.code or 0), capsys.readouterr().out.splitlines()


def found(lines: list[str], *parts: str) -> bool:
    """Whether one line names a fault with all of these parts."""
    return any(line.startswith("fault: ") and all(p in line for p in parts) for line in lines)


def rows_of(table: Any, *, status: str = "ok") -> list[dict[str, Any]]:
    """Light rows with their place, of one status."""
    light = table.drop_columns([WEIGHTS]).to_pylist()
    return [{**row, "place": i} for i, row in enumerate(light) if row["status"] == status]


# --- good zoos


def test_good_classifiers_pass(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = check(trained_digits[0], capsys, "--sample", "20")
    assert status == 0, lines
    assert len(lines) == 1
    assert lines[0].startswith("ok: 20 networks, ")
    assert "20 networks (" in lines[0]
    assert "evaluated anew on digits: accuracies within 0 images" in lines[0]


def test_good_inrs_pass(trained_sine: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = check(trained_sine[0], capsys, "--sample", "8")
    assert status == 0, lines
    assert "8 networks (8 checkpoints) evaluated anew on sine" in lines[0]


def test_the_zoos_hold_every_status(trained_digits: Zoo, trained_sine: Zoo) -> None:
    """Otherwise the tests above would prove less than they seem to."""
    for (store, plan), wanted in (
        (trained_digits, {"ok", "diverged"}),
        (trained_sine, {"ok", "unfitted"}),
    ):
        tables = [read_shard(store, spec.name) for spec in plan.shards()]
        assert {s for t in tables for s in t.column("status").to_pylist()} == wanted
        assert len(tables) > 2


def test_other_images_are_said_not_blamed(
    tmp_path: Path, trained_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_zoo(tmp_path / "zoo", image_plan())
    status, lines = check(store, capsys, "--sample", "2")
    assert status == 0, lines
    assert "nothing evaluated anew: the digits images found here are not those" in lines[0]


def test_missing_images_are_said_not_blamed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = image_plan()
    mnist = replace(plan, data={**plan.data, "name": "mnist"})
    store = make_zoo(tmp_path / "zoo", mnist)
    status, lines = check(store, capsys, "--sample", "2", "--data-dir", str(tmp_path))
    assert status == 0, lines
    assert "nothing evaluated anew: mnist is not in" in lines[0]


def test_extended_zoo_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, wanted = image_plan(6), image_plan(11)
    more = extension([first], wanted)
    assert more is not None
    store = make_zoo(tmp_path / "zoo", first, more)
    status, lines = check(store, capsys)
    assert status == 0, lines
    assert lines[0].startswith("ok: 11 networks")
    store.delete("plan-0001.json")
    status, lines = check(store, capsys)
    assert status == 1
    assert found(lines, MANIFEST_NAME, "number of plans", "wanted 1", "got 2")


def test_object_store(
    trained_digits: Zoo,
    s3_zoo: str,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    local, there = trained_digits[0], open_store(s3_zoo)
    names = ["plan.json", MANIFEST_NAME, ARCHITECTURES_NAME, *local.list("shards")]
    for name in names:
        there.put(name, local.read(name))
    status, lines = check(there, capsys, "--sample", "2")
    assert status == 0, lines
    assert "2 networks" in lines[0]
    content = read_content(there)
    assert content.complete
    assert content.bytes == sum(len(local.read(n)) for n in names if n != ARCHITECTURES_NAME)
    there.delete(FIRST)
    status, lines = check(there, capsys)
    assert status == 1
    assert found(lines, FIRST, "is missing")


# --- unfinished zoos


def test_partial(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, plan = trained_digits
    store.delete(MANIFEST_NAME)
    store.delete(FIRST)
    specs = list(plan.shards())
    status, lines = check(store, capsys)
    assert status == 1
    assert found(lines, MANIFEST_NAME, "is missing", "--partial", f"3 of {len(specs)} shards")
    assert found(lines, FIRST, "is missing", f"{specs[0].members[0]}")
    status, lines = check(store, capsys, "--partial")
    assert status == 0, lines
    assert f"3 of {len(specs)} shards" in lines[0]


def test_partial_still_finds_faults(
    trained_digits: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    store, _ = trained_digits
    change_shard(store, FIRST, lambda t: set_cell(t, "split", 0, "nowhere"))
    store.delete(MANIFEST_NAME)
    status, lines = check(store, capsys, "--partial")
    assert status == 1
    assert found(lines, FIRST, "column split", "got nowhere")


# --- damaged files


@pytest.mark.parametrize("place", [0.3, 0.999])
def test_flipped_byte(
    trained_digits: Zoo, capsys: pytest.CaptureFixture[str], place: float
) -> None:
    """In the weights, whose pages carry checksums, and in the footer."""
    store, _ = trained_digits
    data = bytearray(store.read(FIRST))
    data[int(place * len(data))] ^= 0x10
    store.put(FIRST, bytes(data))
    status, lines = check(store, capsys)
    assert status == 1
    assert found(lines, FIRST, "SHA-256 differs")
    assert found(lines, FIRST, "is damaged") or place > 0.9


def test_flipped_byte_without_manifest(
    trained_digits: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    """Page checksums find it too."""
    store, _ = trained_digits
    data = bytearray(store.read(FIRST))
    data[len(data) // 3] ^= 0x10
    store.put(FIRST, bytes(data))
    store.delete(MANIFEST_NAME)
    status, lines = check(store, capsys, "--partial")
    assert status == 1
    assert found(lines, FIRST, "is damaged", "pages match their checksums")


def test_cut_shard(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, _ = trained_digits
    store.put(FIRST, store.read(FIRST)[:-1000])
    status, lines = check(store, capsys)
    assert status == 1
    assert found(lines, FIRST, "is damaged")


def test_dropped_shard(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, plan = trained_digits
    store.delete(FIRST)
    members = next(plan.shards()).members
    status, lines = check(store, capsys)
    assert status == 1
    assert found(lines, FIRST, "is missing", *(str(m) for m in members), "got no file")
    # A manifest that covers the zoo is wrong without the shard, even for --partial.
    assert check(store, capsys, "--partial")[0] == 1


def test_strange_file(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, _ = trained_digits
    store.put("shards/part-00077.parquet", store.read(FIRST))
    status, lines = check(store, capsys)
    assert status == 1
    assert found(lines, "shards/part-00077.parquet", "is in no plan")


@pytest.mark.parametrize("data", [None, b"no Parquet"])
def test_architectures(
    trained_digits: Zoo, capsys: pytest.CaptureFixture[str], data: bytes | None
) -> None:
    store, _ = trained_digits
    store.delete(ARCHITECTURES_NAME)
    if data:
        store.put(ARCHITECTURES_NAME, data)
    status, lines = check(store, capsys, "--sample", "1")
    assert status == 1
    assert found(lines, ARCHITECTURES_NAME, "cannot be read", "damaged" if data else "missing")
    assert "nothing evaluated anew: the architecture cannot be read" in lines[-1]


def test_plan_that_is_no_plan(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, _ = trained_digits
    store.put("plan.json", b"{")
    status, lines = check(store, capsys)
    assert status == 1
    assert found(lines, "plan.json", "cannot be read", "no JSON")


def test_plan_of_another_seed(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, plan = trained_digits
    store.put("plan.json", replace(plan, seed=6).text.encode())
    status, lines = check(store, capsys)
    assert status == 1
    assert found(lines, MANIFEST_NAME, "repeats another plan than plan.json")
    assert found(lines, FIRST, "plan in its metadata", plan.content_hash)
    assert found(lines, FIRST, "column seed")


def test_no_zoo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        verify.main([str(tmp_path / "nothing")])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "nothing holds no zoo: wanted a folder or URI with a plan.json" in error


# --- a manifest that does not fit


def _line(manifest: Any) -> Any:
    return manifest["shards"][0]


MANIFEST_FAULTS: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "hash": (lambda m: _line(m).update(sha256="0" * 64), (FIRST, "SHA-256 differs", "0" * 64)),
    "rows": (lambda m: _line(m).update(rows=3), (FIRST, "rows differs", "wanted 3")),
    "bytes": (lambda m: _line(m).update(bytes=3), (FIRST, "bytes differs", "wanted 3")),
    "status": (lambda m: _line(m).update(status={"ok": 6}), (FIRST, "status differs")),
    "line lost": (lambda m: m["shards"].pop(0), (FIRST, "lines in", "wanted 1, got 0")),
    "line twice": (
        lambda m: m["shards"].append(_line(m)),
        (FIRST, "lines in", "wanted 1, got 2"),
    ),
    "shard of no plan": (
        lambda m: m["shards"].append({**_line(m), "name": "shards/part-00099.parquet"}),
        ("shards/part-00099.parquet", "lines in", "wanted 0, got 1"),
    ),
    "summary": (
        lambda m: m["summary"].update(networks=21),
        (MANIFEST_NAME, "summary (networks) differs", "20", "21"),
    ),
    "plan": (
        lambda m: m["plans"][0].update(seed=9),
        (MANIFEST_NAME, "another plan than plan.json"),
    ),
    "added field": (lambda m: m.update(note="hello"), (MANIFEST_NAME, "edited")),
    "other version": (lambda m: m.update(format=2), (MANIFEST_NAME, "zoo format 2")),
}


@pytest.mark.parametrize("name", MANIFEST_FAULTS)
def test_manifest(trained_digits: Zoo, capsys: pytest.CaptureFixture[str], name: str) -> None:
    change, parts = MANIFEST_FAULTS[name]
    change_manifest(trained_digits[0], change)
    status, lines = check(trained_digits[0], capsys)
    assert status == 1
    assert found(lines, *parts), lines


def test_rewriting_the_manifest_is_no_fault(
    trained_digits: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    """So the faults above are the changes, not the way in which they were made."""
    change_manifest(trained_digits[0], lambda m: None)
    change_shard(trained_digits[0], FIRST, lambda t: t)
    assert check(trained_digits[0], capsys)[0] == 0


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


# --- the command


def test_help_is_light() -> None:
    code = (
        "import sys\nfrom zoogen import verify\n"
        "try:\n    verify.main(['--help'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "sys.exit(','.join({'torch', 'ray', 'pyarrow', 'matplotlib'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("--sample", "--partial", "--data-dir", "--no-download", "Exit codes"):
        assert word in done.stdout


def test_negative_sample_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        verify.main(["zoo", "--sample", "-1"])
    assert stop.value.code == 2
    assert "got -1 and 0" in capsys.readouterr().err


def test_fault_in_words() -> None:
    fault = Fault(path="a", problem="p", wanted="1", got="2", members=tuple(range(10)), epoch=3)
    assert str(fault) == (
        "a, members 0, 1, 2, 3, 4, 5, 6, 7 and 2 more, epoch 3 of member 0: p: wanted 1, got 2"
    )
    alone = replace(fault, members=(4,), epoch=None)
    assert str(alone) == "a, member 4: p: wanted 1, got 2"
