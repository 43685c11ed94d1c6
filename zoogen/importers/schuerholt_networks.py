"""The networks of Schürholt's zoos, told from the shapes of their tensors.

CNN-s and CNN-l are architectures of `--arch`; anything else is described from names and shapes.
Tensors are matched by their order, which is the modules' own.
"""

from collections.abc import Iterator
from pathlib import Path

from zoogen.archs import ARCHS
from zoogen.description import Architecture
from zoogen.errors import PlanError, SourceError
from zoogen.importers.tensors import Header
from zoogen.infer import infer_architecture


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


def _known(shapes: list[tuple[int, ...]]) -> Iterator[Architecture]:
    if len(shapes) == 10 and len(shapes[0]) == 4 and shapes[0][1] in (1, 3):
        channels = shapes[0][1]
        yield ARCHS["schuerholt_small"].describe(input_shape=(channels, 28, 28), classes=10)
        yield ARCHS["schuerholt_large"].describe(input_shape=(channels, 32, 32), classes=10)
