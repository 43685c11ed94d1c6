"""scikit-learn's 1,797 handwritten digits, 8x8 grey: embedded in the package, always there."""

import numpy as np
from jaxtyping import Int64, UInt8

from zoogen.images.catalog import SplitName
from zoogen.images.subsets import seeded_order

SPLIT_SEED = 1797
"""The data set has no published split; this one is ours and must never change."""
TRAIN_IMAGES = 1_297
HIGHEST_VALUE = 16
"""The stored images count dark cells of a 4x4 block: 0..16."""


def read_digits(
    split: SplitName,
) -> tuple[UInt8[np.ndarray, "n h w c"], Int64[np.ndarray, " n"]]:
    """One split of our fixed 1,297/500 division, values stretched to 0..255."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    images = np.asarray(values).reshape(-1, 8, 8, 1)
    order = seeded_order(len(images), SPLIT_SEED)
    rows = order[:TRAIN_IMAGES] if split == "train" else order[TRAIN_IMAGES:]
    stretched = np.rint(images[rows] * (255 / HIGHEST_VALUE)).astype(np.uint8)
    return stretched, np.asarray(labels)[rows].astype(np.int64)
