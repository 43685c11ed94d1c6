"""The networks of Schürholt's zoos, told from the shapes of their tensors.

CNN-s is arch2: three convolutions with a pool before each of the first two activations, two linear
layers. CNN-l has three pooled convolutions and 32×32 inputs. Anything else is described from names
and shapes. Tensors are matched by their order, which is the modules' own.
"""

from collections.abc import Iterator
from pathlib import Path

from zoogen.archs import ARCHS
from zoogen.archs.chain import (
    ACTIVATION,
    DROPOUT,
    Conv,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    describe_chain,
)
from zoogen.description import Architecture
from zoogen.errors import PlanError, SourceError
from zoogen.importers.tensors import Header
from zoogen.infer import infer_architecture

LARGE = "schuerholt_large"


def describe(header: Header, path: Path) -> Architecture:
    """The description of a network of these zoos.

    Raises:
        SourceError: the file holds nothing that can be described.
    """
    shapes = [shape for _, shape in header.shapes]
    for known in _known(shapes):
        if [t.shape for t in known.tensors] == shapes:
            return known
    try:
        return infer_architecture(dict(header.shapes), dtypes=dict(header.dtypes)).architecture
    except PlanError as error:
        raise SourceError(f"{path}: {error}") from error


def large(channels: int) -> Architecture:
    """CNN-l: 10,853 parameters for three channels."""
    layers: list[Layer] = []
    for number, width in enumerate((16, 32, 15), start=1):
        pool = MaxPool(name=f"pool{number}", kernel=2, activation=ACTIVATION, dropout=DROPOUT)
        layers += [Conv(name=f"conv{number}", channels=width, kernel=3), pool]
    layers += [
        Flatten(name="flatten"),
        Linear(name="fc1", features=20, activation=ACTIVATION, dropout=DROPOUT),
        Linear(name="fc2", features=10),
    ]
    return describe_chain(LARGE, input_shape=(channels, 32, 32), layers=layers, options={})


def _known(shapes: list[tuple[int, ...]]) -> Iterator[Architecture]:
    if len(shapes) == 10 and len(shapes[0]) == 4 and shapes[0][1] in (1, 3):
        channels = shapes[0][1]
        yield ARCHS["arch2"].describe(input_shape=(channels, 28, 28), classes=10)
        yield large(channels)
