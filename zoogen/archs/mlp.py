"""`mlp`: classifiers of flattened images with hidden layers of one width.

By default two hidden layers of 32 units. Each hidden layer has the activation and the dropout that
its member draws.

Source: none; the usual multilayer perceptron, its sizes are settings of a recipe.
"""

from zoogen.archs.chain import ACTIVATION, DROPOUT, Flatten, Layer, Linear
from zoogen.archs.family import SequentialFamily
from zoogen.errors import PlanError


def _layers(
    input_shape: tuple[int, ...], classes: int, *, width: int, depth: int
) -> tuple[Layer, ...]:
    if len(input_shape) != 3:
        raise PlanError(f"mlp wants images (channels, height, width), got {input_shape}")
    if width < 1 or depth < 1:
        raise PlanError(
            f"mlp wants a width of at least 1 and at least 1 layer, the last one included, "
            f"got {width=} {depth=}"
        )
    hidden = (
        Linear(name=f"fc{i}", features=width, activation=ACTIVATION, dropout=DROPOUT)
        for i in range(1, depth)
    )
    return (Flatten(name="flatten"), *hidden, Linear(name=f"fc{depth}", features=classes))


MLP = SequentialFamily(
    name="mlp",
    summary="a multilayer perceptron on flattened images: by default two hidden layers of 32",
    layers=_layers,
    options={"width": 32, "depth": 3},
)
