"""Fetch a data set through torchvision, which knows the addresses and checks the MD5 sums.

What arrives goes into a folder of its own and is renamed when all of it is there; an interrupted
download goes on with the files that were complete.
"""

import http.client
import logging
from pathlib import Path
from typing import Any

from zoogen.cache import exclusive
from zoogen.errors import DataError
from zoogen.images.catalog import ImageSet
from zoogen.images.sources import Source, find_source

log = logging.getLogger(__name__)


def download_images(wanted: ImageSet, folder: Path) -> Source:
    """Bring a data set into `folder` in torchvision's layout; nothing to do if it is there.

    torchvision draws a bar with bytes and rate on stderr.

    Raises:
        DataError: it could not be fetched, or the folder cannot be written.
    """
    partial = folder / f".partial-{wanted.name}"
    try:
        with exclusive(folder / f".{wanted.name}.lock", waiting=f"downloading {wanted.name}"):
            found = find_source(wanted, folder)
            if found:
                return found
            log.info(
                "downloading %s (about %d MB) into %s",
                wanted.name,
                wanted.download_megabytes,
                folder,
            )
            partial.mkdir(exist_ok=True)
            for unpacked in partial.rglob("*-ubyte"):
                unpacked.unlink()  # torchvision would take a half-unpacked idx file for a whole one
            _fetch(wanted, partial)
            partial.rename(folder / wanted.name)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise DataError(
            f"{wanted.name} could not be downloaded into {folder} ({error or type(error).__name__})"
            "; try again, or put the files into a folder and name it with --data-dir"
        ) from error
    found = find_source(wanted, folder)
    if found is None:
        raise DataError(f"torchvision left no {wanted.name} in {folder / wanted.name}")
    return found


def _fetch(wanted: ImageSet, root: Path) -> None:
    from torchvision import datasets

    factory: Any = getattr(datasets, wanted.torchvision_class or "")
    if wanted.torchvision_class == "SVHN":
        for split in ("train", "test"):
            factory(root, split=split, download=True)
    else:
        factory(root, download=True)
