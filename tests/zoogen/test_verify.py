"""`python -m zoogen.verify`: passes a good zoo, and names every fault that is put into a copy."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from s3_fixture import s3_server, s3_zoo  # noqa: F401
from tiny_zoo import image_plan, make_zoo
from trained_zoo import (
    FIRST,
    Zoo,
    change_manifest,
    change_shard,
    check,
    found,
    read_shard,
    set_cell,
)

from zoogen import verify
from zoogen.architecture_file import ARCHITECTURES_NAME
from zoogen.check.faults import Fault
from zoogen.continuation import extension
from zoogen.look.content import read_content
from zoogen.manifest import MANIFEST_NAME
from zoogen.store import open_store

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
    "other version": (lambda m: m.update(format=3), (MANIFEST_NAME, "zoo format 3")),
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
