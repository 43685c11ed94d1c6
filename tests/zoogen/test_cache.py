"""The cache folder: whole files, folders built once, remembered hashes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zoogen.cache import atomic_write, build_folder, cache_root, digest_file, exclusive, file_hash
from zoogen.errors import DataError

OLD = time.time() - 3600


def test_cache_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ZOOGEN_CACHE", str(tmp_path / "a"))
    assert cache_root() == tmp_path / "a"
    monkeypatch.delenv("ZOOGEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache_root() == tmp_path / "b" / "zoogen"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "c"))
    assert cache_root() == tmp_path / "c" / ".cache" / "zoogen"
    assert list(tmp_path.iterdir()) == []


def test_atomic_write_replaces_whole_files_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "deep" / "file"
    atomic_write(path, b"old")
    atomic_write(path, b"new and longer")
    assert path.read_bytes() == b"new and longer"
    assert list(path.parent.iterdir()) == [path]


def write_old(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (OLD, OLD))


def test_hash_is_remembered_for_size_and_time(cache_dir: Path, tmp_path: Path):
    path = tmp_path / "data"
    write_old(path, "one")
    first = file_hash(path)
    assert first == digest_file(path)
    write_old(path, "two")
    assert file_hash(path) == first, "same path, size and time: the file is not read again"
    assert digest_file(path) != first
    write_old(path, "three")
    assert file_hash(path) == digest_file(path)
    write_old(path, "seven")
    os.utime(path, (OLD + 1, OLD + 1))
    assert file_hash(path) == digest_file(path)


def test_hash_of_a_file_just_written_is_not_remembered(cache_dir: Path, tmp_path: Path):
    """Within one tick of the clock a file can change and keep its time."""
    path = tmp_path / "data"
    path.write_text("one")
    stat = path.stat()
    file_hash(path)
    path.write_text("two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file_hash(path) == digest_file(path)


def test_damaged_hash_record_is_ignored(cache_dir: Path, tmp_path: Path):
    path = tmp_path / "data"
    write_old(path, "one")
    expected = file_hash(path)
    (record,) = (cache_dir / "hashes").iterdir()
    record.write_text('{"size"')
    assert file_hash(path) == expected


def build(target: Path, calls: list[Path]) -> None:
    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("content")

    build_folder(target, fill, usable=lambda folder: (folder / "file").exists(), what="a test")


def test_folder_is_built_once_and_again_when_unusable(cache_dir: Path):
    target = cache_dir / "x" / "folder"
    calls: list[Path] = []
    build(target, calls)
    build(target, calls)
    assert len(calls) == 1
    (target / "file").unlink()
    (target / "stray").write_text("left")
    build(target, calls)
    assert len(calls) == 2
    assert [path.name for path in target.iterdir()] == ["file"]


def test_what_a_killed_process_left_is_removed(cache_dir: Path):
    target = cache_dir / "folder"
    left = cache_dir / ".folder.1-abcd.tmp"
    left.mkdir(parents=True)
    (left / "half").write_text("ha")
    build(target, [])
    assert sorted(path.name for path in cache_dir.iterdir()) == ["folder", "folder.lock"]


def test_a_failed_fill_leaves_no_folder(cache_dir: Path):
    def fill(folder: Path) -> None:
        (folder / "half").write_text("ha")
        raise DataError("no more")

    with pytest.raises(DataError, match="no more"):
        build_folder(cache_dir / "folder", fill, usable=Path.is_dir, what="a test")
    assert [path.name for path in cache_dir.iterdir()] == ["folder.lock"]


def test_without_locks_the_first_result_stays(cache_dir: Path):
    """Another process renames its folder into place while this one still writes."""
    target = cache_dir / "folder"

    def fill(folder: Path) -> None:
        target.mkdir()
        (target / "file").write_text("theirs")
        (folder / "file").write_text("ours")

    build_folder(target, fill, usable=Path.is_dir, what="a test")
    assert (target / "file").read_text() == "theirs"
    assert sorted(path.name for path in cache_dir.iterdir()) == ["folder", "folder.lock"]


def test_unwritable_cache_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("ZOOGEN_CACHE", str(blocker / "cache"))
    with pytest.raises(DataError, match=r"cannot write the cache folder .*set ZOOGEN_CACHE to"):
        build(cache_root() / "folder", [])


def test_lock_keeps_another_process_out(tmp_path: Path):
    lock = tmp_path / "lock"
    script = (
        "import sys, pathlib, logging\n"
        "from zoogen.cache import exclusive\n"
        "logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stdout)\n"
        "with exclusive(pathlib.Path(sys.argv[1]), waiting='the test'):\n"
        "    print('in', flush=True)\n"
    )
    with exclusive(lock, waiting="never"):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(lock)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "waiting for another process: the test\n"
        assert child.poll() is None
    assert child.communicate(timeout=60)[0] == "in\n"
