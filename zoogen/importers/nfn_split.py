"""NFN's published split of the Small CNN Zoo: an order of rows, and the rule that cuts it.

The file has one row number a line. Of the final checkpoints in that order the second half is for
testing; the first half, shuffled by Python's generator with seed 0, gives four fifths for training
and the rest for validation. The published files begin with a line `0` that is no row but a header,
which the published loader reads as a row; it is read so here too.

Source: Zhou et al. 2023 (arXiv:2302.14040), published code.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from zoogen.errors import SourceError

TRAIN_SHARE = 0.8


def cut(count: int) -> dict[str, list[int]]:
    """Places in the order of final checkpoints, by split."""
    half = int(0.5 * count)
    first = list(range(half))
    random.Random(0).shuffle(first)
    train = int(TRAIN_SHARE * half)
    return {"train": first[:train], "val": first[train:], "test": list(range(half, count))}


def read_split(path: Path, *, network: Sequence[object], epoch: Sequence[int]) -> list[str]:
    """The split of each row of the matrix.

    Args:
        path: the file.
        network: of each row of the matrix.
        epoch: of each row; the largest is the final one.

    Raises:
        SourceError: it is not of this zoo.
    """
    order = _order(path, len(network))
    last = max(epoch)
    final = [row for row in order if epoch[row] == last]
    split: dict[object, str] = {}
    # A network that the doubled row puts into two splits counts as a test network.
    for name, places in cut(len(final)).items():
        split |= {network[final[place]]: name for place in places}
    missing = [row for row in range(len(network)) if network[row] not in split]
    if missing:
        raise SourceError(
            f"{path} gives no split to {len({network[r] for r in missing})} networks, the first "
            f"has row {missing[0]}: it is the file of another data set, or these networks have "
            f"no checkpoint {last}"
        )
    return [split[key] for key in network]


def _order(path: Path, rows: int) -> list[int]:
    try:
        order = [int(line) for line in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} is no list of row numbers, one a line: {error}") from error
    if not order or min(order) < 0 or max(order) >= rows:
        raise SourceError(
            f"{path} has row numbers up to {max(order, default=-1)}, the zoo has {rows} rows: it "
            "is the file of another data set"
        )
    return order
