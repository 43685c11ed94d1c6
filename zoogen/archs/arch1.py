"""`arch1`: the CNN of the Small CNN Zoo, 4,970 parameters.

Three 3×3 convolutions of 16 channels with stride 2 and no padding, the mean over the map, one
linear layer. Dropout stands behind every activation, none on the logits.

The name is tied to a table, since the paper swaps Arch1 and Arch2: this is its Table 10, captioned
Arch1 there. Source: Unterthiner et al. 2020 (arXiv:2002.11448) and its published training script,
which fixes the stride and padding that Table 10 does not print.
"""

from zoogen.archs.chain import ACTIVATION, DROPOUT, Conv, Layer, Linear, MeanPool
from zoogen.archs.family import SequentialFamily
from zoogen.errors import PlanError

SMALLEST_SIDE = 15
"""Below it nothing is left behind the third convolution: 15 → 7 → 3 → 1."""


def _layers(input_shape: tuple[int, ...], classes: int) -> tuple[Layer, ...]:
    if len(input_shape) != 3 or input_shape[0] != 1:
        raise PlanError(
            f"arch1 wants grey images (1, height, width), got {input_shape}: "
            "choose a recipe that turns the images grey"
        )
    if min(input_shape[1:]) < SMALLEST_SIDE:
        raise PlanError(
            f"arch1 wants images of at least {SMALLEST_SIDE} pixels a side, got {input_shape}: "
            "choose a recipe with larger images"
        )
    convs = (
        Conv(name=name, channels=16, kernel=3, stride=2, activation=ACTIVATION, dropout=DROPOUT)
        for name in ("conv1", "conv2", "conv3")
    )
    return (*convs, MeanPool(name="pool"), Linear(name="fc", features=classes))


ARCH1 = SequentialFamily(
    name="arch1",
    summary="the Small CNN Zoo's network (Table 10): 3 convolutions, 4,970 parameters",
    layers=_layers,
)
