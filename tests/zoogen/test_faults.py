"""Runs that are stopped, killed, starved or asked for something else, as real processes.

All with --local, which shares plan, shards, locks and resume with Ray; test_pipeline_ray.py does
the same to workers and drivers of Ray.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import (
    FAULTY_SITE,
    SLOW,
    TINY,
    contents,
    finish,
    made,
    run,
    same_zoo,
    shards_of,
    small_file_system,
    start,
    temporary_files,
    wait_until,
    workers_of,
)

from zoogen.run import main

_REFERENCE: list[Path] = []


@pytest.fixture
def reference(tmp_path_factory: Any, trained_cache: Path) -> Path:
    """The zoo of SLOW in three shards, made without disturbance; not to be changed."""
    if not _REFERENCE:
        zoo = tmp_path_factory.mktemp("reference") / "zoo"
        made(*SLOW, "--local", "--out", zoo)
        assert len(shards_of(zoo)) == 3
        _REFERENCE.append(zoo)
    return _REFERENCE[0]


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    return tmp_path / "zoo"


def wait_until_begun(zoo: Path, shards: int, worker: int) -> None:
    """Until so many shards are there and the process has begun the next."""
    wait_until(lambda: len(shards_of(zoo)) >= shards and workers_of(zoo) == [worker])


def test_stopped_terminated_and_killed_it_goes_on(reference: Path, zoo: Path):
    command = (*SLOW, "--local", "--out", str(zoo))
    for shards, number, code in (
        (0, signal.SIGINT, 130),
        (1, signal.SIGTERM, 143),
        (2, signal.SIGKILL, -9),
    ):
        process = start(*command)
        wait_until_begun(zoo, shards, process.pid)
        sent = time.monotonic()
        os.killpg(process.pid, number)
        done = finish(process)
        assert time.monotonic() - sent < 10
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        assert "manifest.json" not in contents(zoo)
        if number != signal.SIGKILL:
            assert temporary_files(zoo) == []
            assert "the same command goes on" in done.stderr
            assert f"python -m zoogen.run {' '.join(command)}" in done.stderr
    # What a killed writer can leave, and a shard that a broken disk has changed.
    (zoo / "shards" / ".part-00002.parquet.1-0.tmp").write_bytes(b"half")
    damaged = bytearray((zoo / "shards" / "part-00000.parquet").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (zoo / "shards" / "part-00000.parquet").write_bytes(damaged)
    done = made(*command)
    assert "part-00000.parquet" in done.stderr  # which had to be made again, and why
    assert same_zoo(zoo, reference)
    assert temporary_files(zoo) == []
    assert workers_of(zoo) == []


def test_two_zoos_that_differ_are_not_the_same(reference: Path, zoo: Path):
    shutil.copytree(reference, zoo)
    assert same_zoo(zoo, reference)
    (zoo / "shards" / "part-00001.parquet").write_bytes(b"something else")
    assert not same_zoo(zoo, reference)


def test_two_runs_on_one_zoo(trained_cache: Path, zoo: Path):
    first = start(*SLOW, "--local", "--out", zoo)
    try:
        wait_until(lambda: workers_of(zoo) == [first.pid])
        os.kill(first.pid, signal.SIGSTOP)
        second = run(*SLOW, "--local", "--out", zoo)
        assert second.returncode == 2
        assert f"is being written by process {first.pid} on " in second.stderr
        assert second.stderr.count("\n") == 1
        os.kill(first.pid, signal.SIGCONT)
        os.kill(first.pid, signal.SIGINT)
        assert finish(first).returncode == 130
    finally:
        first.kill()


def test_a_member_that_raises_is_named_and_the_rest_kept(reference: Path, zoo: Path):
    command = (*SLOW, "--local", "--out", zoo)
    done = run(*command, PYTHONPATH=str(FAULTY_SITE), ZOOGEN_TEST_RAISES="40")
    assert done.returncode == 1
    assert "member 40 " in done.stderr
    assert "a fault that the test put here" in done.stderr
    assert "1 of 3 shards failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(shards_of(zoo)) == 2
    assert "manifest.json" not in contents(zoo)
    made(*command)
    assert same_zoo(zoo, reference)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "disk", megabytes=2) as place:
        yield place


def test_a_full_disk(reference: Path, small_disk: Path):
    zoo = small_disk / "zoo"
    command = (*SLOW, "--local", "--out", zoo)
    done = run(*command)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "manifest.json" not in contents(zoo)
    assert temporary_files(zoo) == []
    room = ["mount", "-o", "remount,size=64m", str(small_disk)]
    subprocess.run(room, check=True)
    made(*command)
    assert same_zoo(zoo, reference)


Main = Callable[..., int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, trained_cache: Path) -> Main:
    """The command in this process, which changes its environment."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return lambda *flags: main([*TINY, "--local", *map(str, flags)])


def test_a_folder_that_cannot_be_written(
    command: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").write_text("not a folder")
    assert command("--members", 2, "--epochs", 1, "--out", tmp_path / "file" / "zoo") == 2
    shown = capsys.readouterr()
    assert str(tmp_path / "file") in shown.err
    assert "Traceback" not in shown.err


def test_another_recipe_is_refused_with_the_difference(
    command: Main, zoo: Path, capsys: pytest.CaptureFixture[str]
):
    flags = ("--members", 4, "--epochs", 1, "--out", zoo)
    assert command(*flags) == 0
    before = contents(zoo)
    capsys.readouterr()
    for change, difference in (
        (("--epochs", 2), "epochs: 1 in the zoo, 2 asked for"),
        (("--seed", 5), "seed: 0 in the zoo, 5 asked for"),
        (("--dropout", "0"), "recipe.draws.dropout"),
        (("--members", 3), "planned with 4 members and 3 were asked for"),
    ):
        assert command(*flags, *change) == 2
        shown = capsys.readouterr()
        assert difference in shown.err
        assert shown.out == ""
    assert contents(zoo) == before


def test_more_members_continue_a_zoo(command: Main, zoo: Path, capsys: pytest.CaptureFixture[str]):
    flags = ("--epochs", 1, "--out", zoo)
    assert command("--members", 4, *flags) == 0
    before = contents(zoo)
    capsys.readouterr()
    assert command("--members", 4, *flags) == 0
    assert "complete, 4 networks" in capsys.readouterr().out
    assert contents(zoo) == before
    assert command("--members", 9, *flags) == 0
    assert "complete, 9 networks" in capsys.readouterr().out
    after = contents(zoo)
    assert set(after) - set(before) == {"plan-0001.json", "shards/part-00001.parquet"}
    assert [n for n in before if after[n] != before[n]] == ["manifest.json"]
    # Without --members the zoo is as large as it is.
    assert main([*TINY, "--local", *map(str, flags)]) == 0
    assert contents(zoo) == after


def test_what_is_lost_is_made_again(command: Main, zoo: Path):
    flags = ("--members", 4, "--epochs", 1, "--out", zoo)
    assert command(*flags) == 0
    before = contents(zoo)
    (zoo / "shards" / "part-00000.parquet").unlink()
    assert command(*flags) == 0
    assert contents(zoo) == before
    (zoo / "manifest.json").unlink()
    assert command(*flags) == 0
    assert contents(zoo) == before


def test_another_platform(command: Main, zoo: Path, capsys: pytest.CaptureFixture[str]):
    flags = ("--members", 4, "--epochs", 1, "--out", zoo)
    assert command(*flags) == 0
    (zoo / "shards" / "part-00000.parquet").unlink()
    capsys.readouterr()
    assert command(*flags, "--threads", 2) == 2
    assert "threads: 1 and 2" in capsys.readouterr().err
    assert command(*flags, "--threads", 2, "--mixed-platforms") == 0
    shown = capsys.readouterr()
    assert "part-00000.parquet was made on another platform: threads: 1 and 2" in shown.err
    receipts = "".join(p.read_text() for p in (zoo / "log").glob("receipts-*"))
    assert "threads: 1 and 2" in receipts
