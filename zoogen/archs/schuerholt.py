"""`schuerholt_small` and `schuerholt_large`: the CNNs of the Model Zoos of Schürholt et al. 2022.

Small: the layers of `arch2`, with dropout where its source has it: behind the first two activations
and the one of the first linear layer, none behind the third convolution. Large: three 3×3
convolutions of 16, 32 and 15 channels, each pooled, on 32 × 32 pixels; 10,853 parameters in colour.
Pools stand before the activations, which every member draws.

Source: Schürholt et al. 2022 (arXiv:2209.14764), the published model definitions (CNN and CNN3).
"""

from zoogen.archs.chain import ACTIVATION, DROPOUT, Conv, Flatten, Layer, Linear, MaxPool
from zoogen.archs.family import SequentialFamily
from zoogen.errors import PlanError

SMALL_SIDE = 28
LARGE_SIDE = 32


def _check(name: str, input_shape: tuple[int, ...], side: int) -> None:
    if input_shape not in {(1, side, side), (3, side, side)}:
        raise PlanError(
            f"{name} wants images (1, {side}, {side}) or (3, {side}, {side}), got {input_shape}: "
            f"choose a recipe that resizes the images to {side}"
        )


def _pooled(number: int, *, channels: int, kernel: int) -> tuple[Layer, ...]:
    """Convolution, 2×2 maximum, activation, dropout."""
    return (
        Conv(name=f"conv{number}", channels=channels, kernel=kernel),
        MaxPool(name=f"pool{number}", kernel=2, activation=ACTIVATION, dropout=DROPOUT),
    )


def _head(classes: int) -> tuple[Layer, ...]:
    return (
        Flatten(name="flatten"),
        Linear(name="fc1", features=20, activation=ACTIVATION, dropout=DROPOUT),
        Linear(name="fc2", features=classes),
    )


def _small(input_shape: tuple[int, ...], classes: int) -> tuple[Layer, ...]:
    _check("schuerholt_small", input_shape, SMALL_SIDE)
    return (
        *_pooled(1, channels=8, kernel=5),
        *_pooled(2, channels=6, kernel=5),
        Conv(name="conv3", channels=4, kernel=2, activation=ACTIVATION),
        *_head(classes),
    )


def _large(input_shape: tuple[int, ...], classes: int) -> tuple[Layer, ...]:
    _check("schuerholt_large", input_shape, LARGE_SIDE)
    return (
        *_pooled(1, channels=16, kernel=3),
        *_pooled(2, channels=32, kernel=3),
        *_pooled(3, channels=15, kernel=3),
        *_head(classes),
    )


SCHUERHOLT_SMALL = SequentialFamily(
    name="schuerholt_small",
    summary="the small CNN of the Model Zoos: arch2's layers, 28 × 28 pixels, 2,464 parameters",
    layers=_small,
)
SCHUERHOLT_LARGE = SequentialFamily(
    name="schuerholt_large",
    summary="the larger CNN of the Model Zoos: 32 × 32 pixels, 10,853 parameters in colour",
    layers=_large,
)
