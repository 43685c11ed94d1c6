"""The cache folder: files and folders that appear whole or not at all, and cheap file hashes.

What lies there can be deleted at any time; it is made again when it is wanted. Several processes
may use it at once. Zoos are not kept here: see `zoogen.store`.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict

from zoogen.errors import DataError
from zoogen.named_path import named_path

log = logging.getLogger(__name__)

CACHE_VARIABLE = "ZOOGEN_CACHE"
SETTLED_SECONDS = 2.0
"""A file younger than this may change again without a change of its time stamp (clock ticks)."""


class _HashRecord(TypedDict):
    path: str
    size: int
    mtime_ns: int
    sha256: str


def cache_root() -> Path:
    """The cache folder: `ZOOGEN_CACHE`, else `$XDG_CACHE_HOME/zoogen`, else `~/.cache/zoogen`.

    It is not made here: reading a path must not leave a folder behind.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return named_path(Path(given))
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return named_path(Path(base)) / "zoogen"


def atomic_write(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old bytes, the new bytes, or no file; never a part.

    Temporary name in the same folder, fsync, rename, fsync of the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def exclusive(path: Path, *, waiting: str) -> Iterator[None]:
    """Hold the lock file `path`; one process of this machine at a time.

    The lock saves work, it does not carry correctness: what is made under it appears by one
    rename, so on a file system without locks two processes make the same thing twice.

    Args:
        path: the lock file; it stays behind, empty.
        waiting: logged when another process holds the lock, as what is being waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process: %s", waiting)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            log.warning("%s: no file locks here (%s); going on without", path, error.strerror)
        yield


def build_folder(
    target: Path, fill: Callable[[Path], None], *, usable: Callable[[Path], bool], what: str
) -> None:
    """Make a folder once, however many processes ask for it: the others wait and find it made.

    Args:
        target: the folder.
        fill: writes the files into the (temporary) folder that it is given.
        usable: whether an existing `target` can be kept; if not it is made again.
        what: the work in a few words, for the log.

    Raises:
        DataError: the cache folder cannot be written.
    """
    if usable(target):
        return
    try:
        with exclusive(target.with_name(f"{target.name}.lock"), waiting=what):
            if usable(target):
                return
            _sweep(target)
            _fill_and_rename(target, fill)
    except OSError as error:
        raise DataError(
            f"cannot write the cache folder {cache_root()}: {error.strerror or error}; make room "
            f"there or set {CACHE_VARIABLE} to a folder that can be written"
        ) from error


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hash(path: Path) -> str:
    """`digest_file`, remembered by (path, size, time of change) so that a start costs a stat.

    Raises:
        OSError: the file cannot be read.
    """
    path = path.absolute()
    stat = path.stat()
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    record = cache_root() / "hashes" / f"{name}.json"
    known = _read_record(record)
    if known and (known["size"], known["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns):
        return known["sha256"]
    digest = digest_file(path)
    if time.time() - stat.st_mtime > SETTLED_SECONDS:
        fresh = _HashRecord(
            path=str(path), size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=digest
        )
        # A hash that cannot be remembered is computed again next time; nothing is lost.
        with contextlib.suppress(OSError):
            atomic_write(record, json.dumps(fresh).encode())
    return digest


def _read_record(record: Path) -> _HashRecord | None:
    try:
        return json.loads(record.read_bytes())
    except (OSError, ValueError):
        return None


def _fill_and_rename(target: Path, fill: Callable[[Path], None]) -> None:
    temporary = _temporary(target)
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync_file(file)
        _sync_folder(temporary)
        _rename_folder(temporary, target)
        _sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename_folder(temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError as error:
        # Without locks another process may have been first; its result is the same.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _sweep(target: Path) -> None:
    """Remove what a killed process left behind, and a folder that is no longer usable."""
    for left in target.parent.glob(f".{target.name}.*.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    if target.exists():
        shutil.rmtree(target)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
