"""Find the files of an image data set: one place is searched, in two layouts.

The place is `--data-dir`, else the environment variable `ZOOGEN_DATA`, else the cache folder.
What is given is the only place searched: a misspelt folder must not turn into a download. Inside
it Parquet files (Hugging Face style) win over torchvision's layout. Nothing is opened here.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from zoogen.cache import cache_root, file_hash
from zoogen.errors import DataError
from zoogen.images.catalog import ImageSet
from zoogen.named_path import named_path

SourceKind: TypeAlias = Literal["torchvision", "parquet", "scikit-learn"]
DATA_VARIABLE = "ZOOGEN_DATA"
_PART = re.compile(r"-(\d+)-of-(\d+)\.parquet$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The one folder in which data sets are looked for."""

    folder: Path
    given_by: str | None
    """`--data-dir` or `ZOOGEN_DATA`; None: the cache folder, the only one downloaded into."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The files of one data set."""

    kind: SourceKind
    folder: Path | None
    """The root of the layout; None where nothing is read from files of ours (digits)."""
    train: tuple[Path, ...] = ()
    test: tuple[Path, ...] = ()


EMBEDDED = Source(kind="scikit-learn", folder=None)
"""The digits' source: nothing to find."""


def place_to_search(data_dir: Path | None) -> Place:
    """Where data sets are looked for.

    Raises:
        DataError: a folder was given and it is not there.
    """
    variable = os.environ.get(DATA_VARIABLE)
    if data_dir is None and not variable:
        return Place(folder=cache_root() / "sources", given_by=None)
    folder = Path(variable or "") if data_dir is None else data_dir
    place = Place(
        folder=named_path(folder),
        given_by=DATA_VARIABLE if data_dir is None else "--data-dir",
    )
    if not _is_folder(place.folder):
        raise DataError(f"{place.given_by} names {place.folder}, which is not a folder")
    return place


def find_source(wanted: ImageSet, folder: Path) -> Source | None:
    """The data set's files under `folder`, or None.

    Raises:
        DataError: one split is there and the other is not, or parts of a split are missing.
    """
    if wanted.torchvision_class is None:
        return EMBEDDED
    return _find_parquet(wanted, folder) or _find_torchvision(wanted, folder)


def describe_layouts(wanted: ImageSet) -> str:
    """What a user has to put there, in one clause."""
    files = wanted.torchvision_files
    layout = " and ".join((files["train"][0], files["test"][0]))
    return f"{wanted.name}/train-*.parquet and test-*.parquet, or torchvision's {layout}"


def fingerprint(wanted: ImageSet, source: Source) -> str:
    """SHA-256 over the files' contents: the key of everything that is derived from them.

    Raises:
        DataError: a file cannot be read.
    """
    digest = hashlib.sha256(f"{wanted.name} {source.kind}".encode())
    for split, paths in (("train", source.train), ("test", source.test)):
        for path in paths:
            try:
                digest.update(f" {split} {file_hash(path)}".encode())
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _find_parquet(wanted: ImageSet, folder: Path) -> Source | None:
    hub = wanted.hub_folder or wanted.name
    for root in (folder / wanted.name, folder / wanted.name / hub, folder / hub):
        train = tuple(sorted(root.glob("train-*.parquet")))
        test = tuple(sorted(root.glob("test-*.parquet")))
        if train or test:
            _check_both(root, {"train-*.parquet": bool(train), "test-*.parquet": bool(test)})
            for paths in (train, test):
                _check_parts(paths)
            return Source(kind="parquet", folder=root, train=train, test=test)
    return None


def _find_torchvision(wanted: ImageSet, folder: Path) -> Source | None:
    files = wanted.torchvision_files
    for root in (folder, folder / wanted.name):
        train = tuple(root / name for name in files["train"])
        test = tuple(root / name for name in files["test"])
        there = {str(path.relative_to(root)): path.is_file() for path in (*train, *test)}
        if any(there.values()):
            _check_both(root, there)
            return Source(kind="torchvision", folder=root, train=train, test=test)
    return None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # for instance a name that is too long for one
        return False


def _check_both(root: Path, there: dict[str, bool]) -> None:
    missing = [name for name, is_there in there.items() if not is_there]
    if missing:
        found = next(name for name, is_there in there.items() if is_there)
        raise DataError(
            f"{root} holds {found} but not {', '.join(missing)}: complete the copy, or remove it"
        )


def _check_parts(paths: tuple[Path, ...]) -> None:
    """Names like train-00000-of-00002 say how many parts belong together."""
    for path in paths:
        match = _PART.search(path.name)
        if match and int(match[2]) != len(paths):
            raise DataError(
                f"{path.parent} holds {len(paths)} of the {int(match[2])} parts that {path.name} "
                f"belongs to: complete the copy, or remove what does not belong there"
            )
