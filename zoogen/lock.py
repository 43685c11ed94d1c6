"""One writer for each zoo: a file lock in a local folder, a lease on an object store.

The driver of a run holds the lock. Its workers cannot, so each asks `still_mine` before it writes a
shard: a worker that outlives a killed driver then stops as soon as another run has begun. A late
writer that slips through can only write the bytes that the plan promises.
"""

import contextlib
import json
import os
import socket
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from zoogen.errors import LockError
from zoogen.json_text import parse_json
from zoogen.store import Store, within

LOCK_NAME = "log/lock"
LEASE_SECONDS = 60.0
"""A run on an object store that dies blocks its zoo for so long at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who holds a zoo's lock: what the lock file or lease object says."""

    run: str
    """Drawn anew for each run; what workers compare."""
    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@runtime_checkable
class Lock(Protocol):
    """A lock that is held."""

    @property
    def run(self) -> str | None:
        """What workers give to `still_mine`; None without a lock."""
        ...

    def still_mine(self) -> bool:
        """False once another run has taken over, or a lease could not be renewed in time."""
        ...


@contextlib.contextmanager
def hold(
    store: Store, *, enabled: bool = True, lease_seconds: float = LEASE_SECONDS
) -> Iterator[Lock]:
    """Hold the zoo's lock for a run.

    Args:
        store: of the zoo.
        enabled: False for `--no-lock`: nothing is locked, the caller answers for it.
        lease_seconds: after which an object store's lease that nobody renews may be taken over.

    Raises:
        LockError: somebody else holds it, named in the message; or the place cannot lock.
    """
    if not enabled:
        yield _NoLock()
        return
    me = Holder(run=uuid.uuid4().hex, pid=os.getpid(), host=socket.gethostname())
    if store.local_root is not None:
        held = _file_lock(within(store.local_root, LOCK_NAME), me)
    elif store.uri.startswith("s3://"):
        from zoogen.lease import lease

        held = lease(store.uri, me, seconds=lease_seconds)
    else:
        raise LockError(
            f"zoogen cannot lock {store.uri}: only folders and s3:// can be locked. If no other "
            "run writes this zoo, add --no-lock"
        )
    with held as lock:
        yield lock


def still_mine(store: Store, run: str | None) -> bool:
    """Whether a run still holds the zoo, asked by its workers before they write.

    Args:
        store: of the zoo.
        run: the driver's `Lock.run`; None if it works without a lock.
    """
    if run is None:
        return True
    found = read_holder(store)
    return found is not None and found.run == run


def read_holder(store: Store) -> Holder | None:
    """Who held the lock last and has not given it back; it may have died since."""
    try:
        return parse_holder(store.read(LOCK_NAME))
    except FileNotFoundError:
        return None


def parse_holder(data: bytes) -> Holder | None:
    """The holder in a lock's contents; None for a lock that was given back."""
    try:
        value: dict[str, Any] = parse_json(data)
        return Holder(run=value["run"], pid=value["pid"], host=value["host"])
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class _NoLock:
    run: None = None

    def still_mine(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class _FileLock:
    path: Path
    run: str

    def still_mine(self) -> bool:
        found = parse_holder(self.path.read_bytes()) if self.path.exists() else None
        return found is not None and found.run == self.run


@contextlib.contextmanager
def _file_lock(path: Path, me: Holder) -> Iterator[_FileLock]:
    # The file stays when the lock is given back: removing it would let two runs lock two files.
    handle = _open(path)
    try:
        _flock(handle, path)
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(asdict(me)).encode(), 0)
        os.fsync(handle)
        try:
            yield _FileLock(path=path, run=me.run)
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise LockError(
            f"cannot write {path}: {error.strerror}; choose another --out or change its permissions"
        ) from error


def _flock(handle: int, path: Path) -> None:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = parse_holder(os.pread(handle, 4096, 0))
        raise LockError(
            f"{path.parent.parent} is being written by {holder or 'another process'}: "
            "wait until it ends, or stop it"
        ) from None
    except OSError as error:
        raise LockError(
            f"the file system of {path} cannot lock files ({error.strerror}). If no other run "
            "writes this zoo, add --no-lock"
        ) from error
