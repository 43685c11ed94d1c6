"""`arch2`: the CNN of Tables 11 (1 channel) and 12 (3 channels), 2,464 or 2,864 parameters.

Two convolutions with 2×2 maximum pooling before the activation, a third without, two linear
layers; images of 28 × 28 pixels, so that 4 channels × 3 × 3 positions are flattened to 36. Dropout
behind every activation, none on the logits, is our decision: the paper says "the same routine".

The name is tied to these tables, since the paper swaps Arch1 and Arch2 in its text.
Source: Andreis et al. 2024 (arXiv:2305.16625), Tables 11 and 12; the network is the small CNN of
Schürholt et al. 2022 (arXiv:2209.14764).
"""

from zoogen.archs.chain import ACTIVATION, DROPOUT, Conv, Flatten, Layer, Linear, MaxPool
from zoogen.archs.family import SequentialFamily
from zoogen.errors import PlanError

SIDE = 28


def _layers(input_shape: tuple[int, ...], classes: int) -> tuple[Layer, ...]:
    if input_shape not in {(1, SIDE, SIDE), (3, SIDE, SIDE)}:
        raise PlanError(
            f"arch2 wants images (1, {SIDE}, {SIDE}) or (3, {SIDE}, {SIDE}), got {input_shape}: "
            f"choose a recipe that resizes the images to {SIDE}"
        )
    return (
        Conv(name="conv1", channels=8, kernel=5),
        MaxPool(name="pool1", kernel=2, activation=ACTIVATION, dropout=DROPOUT),
        Conv(name="conv2", channels=6, kernel=5),
        MaxPool(name="pool2", kernel=2, activation=ACTIVATION, dropout=DROPOUT),
        Conv(name="conv3", channels=4, kernel=2, activation=ACTIVATION, dropout=DROPOUT),
        Flatten(name="flatten"),
        Linear(name="fc1", features=20, activation=ACTIVATION, dropout=DROPOUT),
        Linear(name="fc2", features=classes),
    )


ARCH2 = SequentialFamily(
    name="arch2",
    summary="the network of Tables 11 and 12: 3 convolutions, 2 linear layers, 28 × 28 pixels",
    layers=_layers,
)
