"""Where a zoo lies: a local folder or a prefix of an object store, behind one small interface.

Every name is relative to the zoo and uses `/`. `put` makes an object appear whole or not at all:
locally through a temporary name in the same folder, fsync and rename; on an object store through
one put of bytes that were complete before the first of them was sent. `zoogen.object_store` holds
the object stores, so that a local zoo loads none of their libraries.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeAlias, runtime_checkable
from urllib.parse import SplitResult, unquote, urlsplit

import pyarrow as pa

from zoogen.errors import PlanError, ShardError
from zoogen.named_path import named_path

Bytes: TypeAlias = bytes | memoryview | pa.Buffer
TEMPORARY_SUFFIX = ".tmp"


@runtime_checkable
class Store(Protocol):
    """What the zoo format needs from the place it is kept in."""

    @property
    def uri(self) -> str:
        """What `open_store` was given, absolute; opens the same store in another process."""
        ...

    @property
    def local_root(self) -> Path | None:
        """The folder, for a store that is one: file locks need it."""
        ...

    def read(self, name: str) -> bytes:
        """The whole object.

        Raises:
            FileNotFoundError: there is none of that name.
        """
        ...

    def open(self, name: str) -> Any:
        """A `pyarrow.NativeFile` for reading parts of an object; memory-mapped where it can be."""
        ...

    def put(self, name: str, data: Bytes) -> None:
        """Write an object that appears whole or not at all, replacing one of the same name.

        Raises:
            ShardError: the place refuses it (full, read-only, no permission).
        """
        ...

    def put_new(self, name: str, data: Bytes) -> bool:
        """Like `put`, but False and nothing written if there is one already.

        Object stores look first and then put: only the lock makes that safe from others.
        """
        ...

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""
        ...

    def list(self, folder: str) -> Iterator[str]:
        """Names of the objects directly in a folder, sorted; nothing for a missing folder."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens if there is none."""
        ...

    def sweep(self) -> int:
        """Remove what killed writers left behind; returns how many. For the holder of the lock."""
        ...


def open_store(uri: str | Path) -> Store:
    """The store at a path, a `file://` URI, `s3://bucket/prefix` or another pyarrow.fs URI.

    Raises:
        PlanError: the URI carries credentials or has a scheme that pyarrow does not know.
    """
    text = str(uri)
    if "://" not in text:
        return LocalStore(Path(text))
    if text.startswith("file://"):
        return LocalStore(Path(unquote(split_uri(text).path)))
    from zoogen.object_store import open_object_store

    return open_object_store(text)


class LocalStore:
    """A zoo in a local folder, which is created with the first object."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.abspath(named_path(root)))  # noqa: PTH100  (no symlink chasing)

    @property
    def uri(self) -> str:
        """The absolute path."""
        return str(self._root)

    @property
    def local_root(self) -> Path:
        """The folder itself."""
        return self._root

    def read(self, name: str) -> bytes:
        """See `Store`."""
        return self._path(name).read_bytes()

    def open(self, name: str) -> Any:
        """See `Store`; memory-mapped, so that nothing is read that is not looked at."""
        return pa.memory_map(str(self._path(name)))

    def put(self, name: str, data: Bytes) -> None:
        """See `Store`."""
        self._write(name, data, replace=True)

    def put_new(self, name: str, data: Bytes) -> bool:
        """See `Store`."""
        return self._write(name, data, replace=False)

    def exists(self, name: str) -> bool:
        """See `Store`."""
        return self._path(name).is_file()

    def list(self, folder: str) -> Iterator[str]:
        """See `Store`; temporary names are not shown."""
        path = self._path(folder)
        if not path.is_dir():
            return
        for entry in sorted(path.iterdir()):
            if entry.is_file() and not _is_temporary(entry.name):
                yield str(PurePosixPath(folder) / entry.name)

    def delete(self, name: str) -> None:
        """See `Store`."""
        self._path(name).unlink(missing_ok=True)

    def sweep(self) -> int:
        """See `Store`."""
        stale = [p for p in self._root.rglob(f".*{TEMPORARY_SUFFIX}") if _is_temporary(p.name)]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)

    def _path(self, name: str) -> Path:
        return within(self._root, name)

    def _write(self, name: str, data: Bytes, *, replace: bool) -> bool:
        path = self._path(name)
        # Two machines on a network file system may share a pid, hence the random part.
        mark = f"{os.getpid()}-{secrets.token_hex(4)}"
        temporary = path.with_name(f".{path.name}.{mark}{TEMPORARY_SUFFIX}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_synced(temporary, data)
            if replace:
                temporary.replace(path)
            elif not _link(temporary, path):
                return False
            _sync_folder(path.parent)
        except OSError as error:
            raise ShardError(
                f"cannot write {path}: {error.strerror or error}; make room or choose another --out"
            ) from error
        finally:
            # On a full or read-only disk the first error is the one to show.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return True


def split_uri(uri: str) -> SplitResult:
    """The parts of a URI.

    Raises:
        PlanError: it is none.
    """
    try:
        return urlsplit(uri)
    except ValueError as error:
        raise PlanError(f"{uri!r} is no place of a zoo: {error}") from error


def within(root: Path, name: str) -> Path:
    """Where an object of a folder lies: below it, whatever the name and links in the folder say.

    Raises:
        ShardError: the name or a link leads out of the folder.
    """
    path = root / name
    parts = PurePosixPath(name).parts
    if "\\" in name or "\0" in name or ".." in parts or PurePosixPath(name).is_absolute():
        raise ShardError(f"{name!r} is no name of an object in {root}: parts with / between them")
    if _holds_link(root, parts) and not path.resolve().is_relative_to(root.resolve()):
        raise ShardError(
            f"{path} is or lies behind a link that leads out of {root}: put the file itself there"
        )
    return path


def _holds_link(root: Path, parts: Sequence[str]) -> bool:
    """Whether one of the folders or the file is a link: following them all takes far longer."""
    path = str(root)
    for part in parts:
        path = f"{path}/{part}"
        if os.path.islink(path):  # noqa: PTH114  (a shard's name is looked at for each reading)
            return True
    return False


def refuse_credentials(uri: str) -> None:
    """Keep secrets out of plans and logs, which repeat the URI.

    Raises:
        PlanError: user or password stand in the URI; the message does not repeat them.
    """
    if "@" in split_uri(uri).netloc:
        raise PlanError(
            "the URI of a zoo must not hold credentials: put them into the environment "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or a profile"
        )


def _write_synced(path: Path, data: Bytes) -> None:
    with path.open("xb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def _link(source: Path, path: Path) -> bool:
    """Give a file a second name unless that name is taken."""
    try:
        path.hardlink_to(source)
    except FileExistsError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """A rename survives a power cut only when its folder has been synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)
