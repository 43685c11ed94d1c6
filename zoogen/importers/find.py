"""Which format a source has: named, or told from what lies there."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from zoogen.errors import SourceError
from zoogen.importers.dwsnets import DwsNets
from zoogen.importers.schuerholt import PARAMS, Schuerholt
from zoogen.importers.schuerholt_packed import SchuerholtPacked
from zoogen.importers.small_cnn_zoo import LAYOUT, METRICS, WEIGHTS, SmallCnnZoo
from zoogen.importers.source import Hints, Source
from zoogen.importers.state_dicts import StateDicts
from zoogen.importers.wild_park import CHECKPOINT, WildPark

Make: TypeAlias = Callable[[Path, Hints], Source]


def _small_cnn_zoo(root: Path, hints: Hints) -> Source:
    return SmallCnnZoo(root=root, hints=hints)


def _state_dicts(root: Path, hints: Hints) -> Source:
    return StateDicts(root=root, hints=hints)


def _schuerholt(root: Path, hints: Hints) -> Source:
    return Schuerholt(root=root, hints=hints)


def _schuerholt_packed(root: Path, hints: Hints) -> Source:
    return SchuerholtPacked(root=root, hints=hints)


def _dwsnets(root: Path, hints: Hints) -> Source:
    return DwsNets(root=root, hints=hints)


def _wild_park(root: Path, hints: Hints) -> Source:
    return WildPark(root=root, hints=hints)


FORMATS: Mapping[str, Make] = {
    "small-cnn-zoo": _small_cnn_zoo,
    "schuerholt": _schuerholt,
    "schuerholt-packed": _schuerholt_packed,
    "dwsnets": _dwsnets,
    "wild-park": _wild_park,
    "state-dicts": _state_dicts,
}


def find_source(path: Path, *, format_name: str | None, hints: Hints) -> Source:
    """The source at a place.

    Args:
        path: a folder, or a file of a format that is one file.
        format_name: of `FORMATS`; None: told from the folder.
        hints: what else was said of it.

    Raises:
        SourceError: there is nothing, or nothing that is known.
    """
    if not path.exists():
        raise SourceError(f"there is no {path}: name the folder or file of a published zoo")
    if format_name is not None and format_name not in FORMATS:
        raise SourceError(f"no format {format_name!r}; there are: {', '.join(FORMATS)}")
    found = format_name or detect(path)
    if found is None:
        raise SourceError(
            f"{path} is of no known format: name one with --format, one of {', '.join(FORMATS)}"
        )
    return FORMATS[found](path, hints)


def detect(path: Path) -> str | None:
    """The format of a folder or file; None if it has the marks of none."""
    if all((path / name).is_file() for name in (WEIGHTS, METRICS, LAYOUT)):
        return "small-cnn-zoo"
    if path.is_file():
        return "schuerholt-packed" if path.suffix == ".pt" else None
    if any(path.glob(f"*/{PARAMS}")):
        return "schuerholt"
    if any(path.glob("*.csv")):
        return "state-dicts"
    if any(path.rglob(CHECKPOINT)):
        return "wild-park"
    return "dwsnets" if any(path.rglob("*.pth")) else None
