"""What a source's files were, by content: recorded in the plan, compared before going on."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoogen.errors import SourceError
from zoogen.importers.source import Report

LISTED = 16
"""Most files that are named one by one: a plan holds no list that grows with the zoo."""
BLOCK = 1 << 22


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """Hashes of some files."""

    content_hash: str
    """SHA-256 over the lines `SHA-256, two blanks, name`, in order of names."""
    files: Mapping[str, str]
    """SHA-256 by name, if there are few."""
    file_count: int
    bytes: int


def fingerprint(root: Path, paths: Sequence[Path], report: Report) -> Fingerprint:
    """Read all of these files once.

    Args:
        root: what the names of files below it are relative to.
        paths: in any order.
        report: told the bytes.

    Raises:
        SourceError: one cannot be read.
    """
    sizes = {path: _size(path) for path in paths}
    total, done = sum(sizes.values()), 0
    hashes: dict[str, str] = {}
    for path in paths:
        inside = path != root and path.is_relative_to(root)
        name = path.relative_to(root).as_posix() if inside else path.name
        found = hashlib.sha256()
        for block in _blocks(path):
            found.update(block)
            done += len(block)
            report("bytes hashed", done, total)
        hashes[name] = found.hexdigest()
    lines = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    return Fingerprint(
        content_hash=hashlib.sha256(lines.encode()).hexdigest(),
        files=dict(sorted(hashes.items())) if len(hashes) <= LISTED else {},
        file_count=len(hashes),
        bytes=total,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
