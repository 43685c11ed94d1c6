"""From a source's files to the arrays that a recipe trains on: decode, keep some, resize, grey.

Two folders in the cache: the decoded images, made once for each source, and the prepared ones,
made once for each source and preparation. A preparation that changes nothing has no second copy.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8, UInt16

from zoogen.cache import cache_root
from zoogen.images.arrays import SplitArrays, StoredArrays, check_split, stored_arrays
from zoogen.images.catalog import ImageSet, SplitName
from zoogen.images.sources import Source, fingerprint
from zoogen.images.subsets import subset_rows
from zoogen.recipe import ImagePrep

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised when decoding or preparing gives other arrays than before, so that old ones are left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """What a preparation changes on one data set; all None and False: nothing."""

    side: int | None = None
    grey: bool = False
    train_limit: int | None = None
    test_limit: int | None = None
    crop: int | None = None
    luma: bool = False

    @property
    def key(self) -> str:
        """Names the prepared arrays in the cache; steps that came later only where they act."""
        first = (self.side, self.grey, self.train_limit, self.test_limit)
        later = [f"crop {self.crop}"] if self.crop else []
        return " ".join([str(first), *later, *(["luma"] if self.luma else [])])


def prepared_arrays(wanted: ImageSet, source: Source, prep: ImagePrep) -> StoredArrays:
    """The arrays for a recipe, from the cache where they are there.

    Raises:
        DataError: a source file is damaged or foreign, or the cache cannot be written.
    """
    key = fingerprint(wanted, source)
    decoded = _decoded(wanted, source, key)
    steps = plan_steps(wanted, prep, images=(len(decoded.train[1]), len(decoded.test[1])))
    if steps == Steps():
        return decoded
    return stored_arrays(
        _folder(wanted, "prepared", f"{key} {steps.key}"),
        lambda: (
            _prepare(decoded.train, wanted, steps, "train"),
            _prepare(decoded.test, wanted, steps, "test"),
        ),
        what=f"preparing {wanted.name}",
    )


def plan_steps(wanted: ImageSet, prep: ImagePrep, *, images: tuple[int, int]) -> Steps:
    """What `prep` changes on a data set with so many (training, test) images."""
    side = prep.side or wanted.default_side
    crop = prep.crop if prep.crop is not None and prep.crop < wanted.side else None
    train, test = prep.train_limit, prep.test_limit
    return Steps(
        side=side if side != (crop or wanted.side) else None,
        grey=prep.colour == "grey" and wanted.channels > 1,
        train_limit=train if train is not None and train < images[0] else None,
        test_limit=test if test is not None and test < images[1] else None,
        crop=crop,
        luma=prep.colour == "luma" and wanted.channels > 1,
    )


def resize(images: UInt8[np.ndarray, "n h w c"], side: int) -> UInt8[np.ndarray, "n s s c"]:
    """Pillow's bilinear filter (which averages over all pixels where it shrinks), to uint8 again.

    Source: this project's decision for `sne2024-arch2` (32 → 28); the paper is silent.
    """
    from PIL import Image

    count, _, _, channels = images.shape
    resized = np.empty((count, side, side, channels), np.uint8)
    for index, image in enumerate(images):
        flat = image[..., 0] if channels == 1 else image
        scaled = Image.fromarray(flat).resize((side, side), Image.Resampling.BILINEAR)
        resized[index] = np.asarray(scaled).reshape(side, side, channels)
    return resized


def channel_sum(images: Integer[np.ndarray, "n h w c"]) -> UInt16[np.ndarray, "n h w 1"]:
    """Grey as the sum of the channels: the unweighted mean without rounding.

    Source: Unterthiner et al. 2020 (arXiv:2002.11448), the published train_network.py.
    """
    return images.sum(axis=3, keepdims=True, dtype=np.uint16)


def centre(images: UInt8[np.ndarray, "n h w c"], side: int) -> UInt8[np.ndarray, "n s s c"]:
    """The middle of the images."""
    top, left = ((length - side) // 2 for length in images.shape[1:3])
    return images[:, top : top + side, left : left + side]


def luma(images: UInt8[np.ndarray, "n h w 3"]) -> UInt8[np.ndarray, "n h w 1"]:
    """Pillow's grey, as torchvision's Grayscale has it: (299 R + 587 G + 114 B) / 1000, rounded."""
    from PIL import Image

    grey = [np.asarray(Image.fromarray(image).convert("L")) for image in images]
    return np.stack(grey)[..., None]


def _decoded(wanted: ImageSet, source: Source, key: str) -> StoredArrays:
    return stored_arrays(
        _folder(wanted, "decoded", key),
        lambda: (_read(wanted, source, "train"), _read(wanted, source, "test")),
        what=f"decoding {wanted.name}",
    )


def _folder(wanted: ImageSet, stage: str, key: str) -> Path:
    short = hashlib.sha256(f"{FORMAT} {key}".encode()).hexdigest()[:20]
    return cache_root() / "images" / f"{wanted.name}-{stage}-{short}"


def _read(wanted: ImageSet, source: Source, split: SplitName) -> SplitArrays:
    paths = source.train if split == "train" else source.test
    log.info("decoding %s (%s) from %s", wanted.name, split, source.folder or source.kind)
    arrays = _read_files(wanted, source, split)
    where = str(paths[0]) if len(paths) == 1 else f"{source.folder or source.kind} ({split})"
    return check_split(arrays, side=wanted.side, channels=wanted.channels, where=where)


def _read_files(wanted: ImageSet, source: Source, split: SplitName) -> SplitArrays:
    """The readers load heavy libraries, so each is imported when it is needed."""
    paths = source.train if split == "train" else source.test
    if source.kind == "parquet":
        from zoogen.images.parquet import read_parquet

        return read_parquet(paths, wanted)
    if source.kind == "torchvision":
        from zoogen.images.torchvision_files import read_torchvision

        return read_torchvision(paths, wanted)
    from zoogen.images.digits import read_digits

    return read_digits(split)


def _prepare(arrays: SplitArrays, wanted: ImageSet, steps: Steps, split: SplitName) -> SplitArrays:
    images, labels = arrays
    limit = steps.train_limit if split == "train" else steps.test_limit
    rows = subset_rows(wanted.name, split, count=len(images), limit=limit)
    if rows is not None:
        images, labels = images[rows], labels[rows]
    if steps.crop is not None:
        images = centre(images, steps.crop)
    if steps.luma:
        images = luma(images)
    if steps.side is not None:
        images = resize(images, steps.side)
    if steps.grey:
        images = channel_sum(images)
    return images, labels
