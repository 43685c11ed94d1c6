"""Files that a published list names by their place on the publishers' machine, found here."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from zoogen.errors import SourceError
from zoogen.json_text import parse_json

SPLITS = ("train", "val", "test")


class Moved:
    """Finds the files of a list below a folder: by the longest end of their path that is there."""

    def __init__(self, root: Path, where: Path) -> None:
        self._root, self._where = root, where
        self._cut = 0
        """Leading parts that were no good for the last file, so for the next neither."""

    def find(self, name: str) -> Path:
        """The file.

        Raises:
            SourceError: no end of its path is a file below the folder.
        """
        parts = [p for p in PurePosixPath(name).parts if p not in ("/", ".", "..")]
        for cut in (self._cut, *range(len(parts))):
            path = below(self._root, "/".join(parts[cut:])) if cut < len(parts) else None
            if path is not None:
                self._cut = cut
                return path
        raise SourceError(
            f"{self._where} names {name}, and no end of that path is a file below {self._root}: "
            "the download is incomplete, or the list is of another one"
        )


def split_list(root: Path) -> Path | None:
    """The JSON file beside or below which the networks lie, if there is one that has splits."""
    found = [path for path in sorted(root.glob("*.json")) if _has_splits(_load(path))]
    if len(found) > 1:
        raise SourceError(
            f"{root} has several lists of splits ({', '.join(p.name for p in found)}): leave one"
        )
    return found[0] if found else None


def listed(path: Path) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(split, name of the file, what else is said of it) for each file of a list.

    A split is a list of paths, or a dict with a list `path` and lists as long for other things.

    Raises:
        SourceError: its lists do not fit together.
    """
    content = _load(path)
    if not _has_splits(content):
        raise SourceError(f"{path} is no list of splits: wanted a JSON object with train and test")
    for split in SPLITS:
        part = content.get(split, [])
        columns: dict[str, Any] = dict(part) if isinstance(part, Mapping) else {"path": part}
        lists = all(isinstance(values, list) for values in columns.values())
        if not lists or "path" not in columns or len({len(v) for v in columns.values()}) != 1:
            raise SourceError(
                f"{path}, {split}: wanted a list of paths, or lists of one length with paths "
                f"among them, got {', '.join(columns) or 'nothing'}"
            )
        others = [name for name in columns if name != "path"]
        for number, name in enumerate(columns["path"]):
            yield split, str(name), {other: columns[other][number] for other in others}


def below(root: Path, name: str) -> Path | None:
    """The file of that name below a folder; None where there is none, or a link leads out."""
    path = root / name
    try:
        there = path.is_file() and path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError):  # a name too long, or with a zero byte
        return None
    return path if there else None


def _has_splits(content: Any) -> bool:
    return isinstance(content, Mapping) and {"train", "test"} <= set(content)


def _load(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} is no JSON: {error}") from error
