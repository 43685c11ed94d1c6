"""Decoded and prepared images as folders of .npy files in the cache, mapped into memory.

The four arrays of a data set are written once and then mapped by every process, so that ten
workers hold one copy between them (the kernel's page cache). Mapped pages are private on write:
an array can be handed to `torch.from_numpy` as it is, and nobody can change the files.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Int64, Integer

from zoogen.cache import build_folder, digest_file, file_hash
from zoogen.errors import DataError
from zoogen.images.catalog import CLASSES

log = logging.getLogger(__name__)

ARRAY_NAMES = ("train_images", "train_labels", "test_images", "test_labels")
FACTS_FILE = "facts.json"
SplitArrays: TypeAlias = tuple[Integer[np.ndarray, "_ _ _ _"], Int64[np.ndarray, " _"]]
"""Images (number, height, width, channel) and labels. The axes are nameless: two splits differ."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredArrays:
    """The arrays of one folder and what was computed when they were written."""

    train: SplitArrays
    test: SplitArrays
    content_hash: str
    """SHA-256 over the arrays' types, shapes and values; the same on every machine."""
    chance_accuracy: float
    """Share of the most frequent test label: what a constant answer reaches."""


def stored_arrays(
    folder: Path, make: Callable[[], tuple[SplitArrays, SplitArrays]], *, what: str
) -> StoredArrays:
    """The arrays in `folder`; made and written first where they are missing or damaged.

    Args:
        folder: one name for each content, so that two processes can only write the same.
        make: gives (train, test).
        what: the work in a few words, for the log.

    Raises:
        DataError: from `make`, or the cache folder cannot be written.
    """
    build_folder(folder, lambda target: _write(target, *make()), usable=_is_whole, what=what)
    facts = json.loads((folder / FACTS_FILE).read_bytes())
    # asarray: a view of the mapping without the subclass, whose every slice costs extra work.
    arrays = [np.asarray(np.load(folder / f"{n}.npy", mmap_mode="c")) for n in ARRAY_NAMES]
    return StoredArrays(
        train=(arrays[0], arrays[1]),
        test=(arrays[2], arrays[3]),
        content_hash=facts["content_hash"],
        chance_accuracy=facts["chance_accuracy"],
    )


def check_split(split: SplitArrays, *, side: int, channels: int, where: str) -> SplitArrays:
    """Refuse arrays that no data set of ten classes can have.

    Raises:
        DataError: no images, another shape, or labels outside 0..9.
    """
    images, labels = split
    if len(images) == 0 or len(images) != len(labels):
        raise DataError(f"{where} holds {len(images):,} images and {len(labels):,} labels")
    if images.shape[1:] != (side, side, channels):
        raise DataError(
            f"{where} holds images of {'x'.join(map(str, images.shape[1:]))}, wanted "
            f"{side}x{side}x{channels}: it is another data set"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if wrong.size:
        raise DataError(
            f"{where} has the label {labels[wrong[0]]} in row {wrong[0]}, wanted 0..{CLASSES - 1}: "
            "it is another data set"
        )
    return split


def content_hash(arrays: dict[str, Integer[np.ndarray, "*shape"]]) -> str:
    """SHA-256 over names, types, shapes and values; no file header takes part."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {little.dtype.str} {array.shape}\n".encode())
        digest.update(little.data)
    return digest.hexdigest()


def _write(folder: Path, train: SplitArrays, test: SplitArrays) -> None:
    arrays: dict[str, Integer[np.ndarray, "*shape"]] = dict(
        zip(ARRAY_NAMES, (*train, *test), strict=True)
    )
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array))
    counts = np.bincount(test[1], minlength=CLASSES)
    facts: dict[str, Any] = {
        "content_hash": content_hash(arrays),
        "chance_accuracy": float(counts.max() / counts.sum()),
        "files": {name: digest_file(folder / f"{name}.npy") for name in ARRAY_NAMES},
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=1))


def _is_whole(folder: Path) -> bool:
    """Whether the folder is there and its files are what was written (a stat each, once known)."""
    if not folder.is_dir():
        return False
    try:
        facts = json.loads((folder / FACTS_FILE).read_bytes())
        whole = all(file_hash(folder / f"{n}.npy") == facts["files"][n] for n in ARRAY_NAMES)
    except (OSError, ValueError, LookupError):
        whole = False
    if not whole:
        log.warning("%s is damaged and is made again", folder)
    return whole
