"""How many multiplications and additions a pass takes, from a plan's shapes alone.

Products only: what softmax, sums and encodings take beside them is left out. A training step takes
three times as much (the backward pass has two products for each), what is computed again not
counted.
"""

from sne.plan import Shapes
from sne.settings import SneConfig


def forward_flops(shapes: Shapes, config: SneConfig) -> int:
    """Of one forward pass of the encoder, as `blocks` computes it by operations.

    Raises:
        KeyError: a stage that no plan has.
    """
    sabs = {"chunks": config.chunk_sabs}
    total = 0
    for stage, buckets in shapes.items():
        for sets, size in buckets:
            first = 1 if stage == "chunks" else config.width
            total += sets * _set_flops(size, first, sabs.get(stage, config.sabs), config)
    return total


def spared_flops(shapes: Shapes, config: SneConfig) -> int:
    """How much less it is where attention between numbers takes numbers only: see `fused`."""
    attends = "set_functions" not in config.without
    each = (6 * config.width, 4 * config.width) if attends else (0, 0)
    return sum(sets * size * (each[0] + each[1] * size) for sets, size in shapes["chunks"])


def _set_flops(size: int, first: int, sabs: int, config: SneConfig) -> int:
    """One set through its SABs and PMA."""
    width = config.width
    attends = "set_functions" not in config.without
    projections = 3 if attends else 1
    attention = 2 * size * width if attends else 0
    entering = 2 * projections * width * (first + (sabs - 1) * width)
    each = entering + sabs * (2 * width * width + 2 * attention)
    pooling = 2 * width * width + (4 * config.heads * width if attends else 0)
    whole = 4 * width * width if attends else 0
    return size * (each + pooling) + whole
