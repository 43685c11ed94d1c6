"""`python -m zoogen.datasets`: which image data sets are there, and download those that are not."""

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import tyro

from zoogen.cache import cache_root
from zoogen.errors import DataError, ZooError
from zoogen.images.catalog import IMAGE_SETS, ImageSet
from zoogen.images.download import download_images
from zoogen.images.sources import DATA_VARIABLE, Source, find_source, place_to_search

log = logging.getLogger(__name__)

Downloadable: TypeAlias = Literal["mnist", "fashion_mnist", "cifar10", "svhn", "all"]
# tyro joins lines that start with a letter, so the places are a list.
DESCRIPTION = """Image data sets for model zoos: list what is there, download what is not.

One place is searched for them:
- the folder given by --data-dir,
- else the one named by the environment variable ZOOGEN_DATA,
- else the cache folder (ZOOGEN_CACHE, else ~/.cache/zoogen).

Two layouts are read there:
- Parquet as on the Hugging Face hub, DIR/svhn/train-*.parquet and test-*.parquet,
- torchvision's, such as DIR/train_32x32.mat or DIR/MNIST/raw.

The data set digits is embedded and needs neither.

Example: python -m zoogen.datasets download svhn
"""
Folder: TypeAlias = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True, kw_only=True, slots=True)
class ListSets:
    """Print each data set, how its files are stored, their size and their place."""

    data_dir: Folder = None
    """The only folder to search. Default: ZOOGEN_DATA, else the cache folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """Fetch a data set through torchvision, with a bar on stderr; nothing to do if it is there."""

    name: tyro.conf.Positional[Downloadable]
    """mnist (12 MB), fashion_mnist (31 MB), cifar10 (170 MB), svhn (246 MB), or all."""
    data_dir: Folder = None
    """Folder to download into. Default: the cache folder."""


Command: TypeAlias = (
    Annotated[ListSets, tyro.conf.subcommand("list")]
    | Annotated[Download, tyro.conf.subcommand("download")]
)


def run(arguments: list[str] | None = None) -> None:
    """Parse, act, and turn our own errors into one line and exit status 1."""
    command = tyro.cli(
        Command,  # pyright: ignore[reportArgumentType]
        prog="python -m zoogen.datasets",
        description=DESCRIPTION,
        args=arguments,
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if isinstance(command, Download):
            _download(command)
        else:
            sys.stdout.write(listing(command.data_dir))
    except ZooError as error:
        sys.exit(f"error: {error}")


def listing(data_dir: Path | None) -> str:
    """One line for each data set, then where was searched and what the cache holds."""
    place = place_to_search(data_dir)
    lines = [f"{'name':<14} {'stored as':<12} {'size':>10}  where"]
    for wanted in IMAGE_SETS.values():
        lines.append(_line(wanted, place.folder))
    given = f" (given by {place.given_by}, the only place searched)" if place.given_by else ""
    lines.append(f"searched: {place.folder}{given}")
    images = cache_root() / "images"
    decoded = tuple(images.rglob("*.npy")) if images.is_dir() else ()
    lines.append(f"decoded and prepared arrays: {_size(decoded)} in {images}")
    return "\n".join(lines) + "\n"


def _line(wanted: ImageSet, folder: Path) -> str:
    try:
        source = find_source(wanted, folder)
    except DataError as error:
        return f"{wanted.name:<14} {'incomplete':<12} {'':>10}  {error}"
    if source is None:
        size = f"{wanted.download_megabytes} MB"
        return f"{wanted.name:<14} {'absent':<12} {size:>10}  to download"
    return f"{wanted.name:<14} {source.kind:<12} {_source_size(source):>10}  {_where(source)}"


def _source_size(source: Source) -> str:
    return _size((*source.train, *source.test)) if source.folder else "-"


def _where(source: Source) -> str:
    return str(source.folder) if source.folder else "embedded"


def _size(paths: tuple[Path, ...]) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:,.1f} MB"


def _download(command: Download) -> None:
    folder = cache_root() / "sources" if command.data_dir is None else command.data_dir.absolute()
    names = [n for n, s in IMAGE_SETS.items() if s.torchvision_class and command.name in (n, "all")]
    for name in names:
        source = download_images(IMAGE_SETS[name], folder)
        sys.stdout.write(f"{name}: {_source_size(source)} in {_where(source)}\n")
    place = place_to_search(command.data_dir)
    if place.folder != folder:
        log.warning(
            "%s is set to %s, so commands search only there: unset it to use what is in %s",
            DATA_VARIABLE,
            place.folder,
            folder,
        )
