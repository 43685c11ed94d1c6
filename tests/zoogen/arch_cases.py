"""Every registered architecture on the smallest input that it takes: what generic tests go over."""

from functools import cache

import numpy as np

from zoogen.archs import ARCHS
from zoogen.description import Architecture
from zoogen.errors import PlanError

SHAPES = ((1,), (1, 16, 16), (1, 28, 28), (1, 32, 32))
"""Tried in turn; a new architecture that takes none of them needs one here."""
CLASSES = 10


@cache
def smallest(name: str) -> Architecture:
    """The architecture by its default options on the first shape that it takes."""
    for shape in SHAPES:
        try:
            return ARCHS[name].describe(input_shape=shape, classes=CLASSES)
        except PlanError:
            continue
    raise AssertionError(f"{name} takes none of {SHAPES}")


CLASSIFIERS = tuple(name for name in ARCHS if len(smallest(name).input_shape) == 3)


def random_weights(
    architecture: Architecture, rng: np.random.Generator, *, scale: float = 0.2
) -> np.ndarray:
    """Numbers that leave every unit at work; variances are positive."""
    weights = rng.normal(scale=scale, size=architecture.parameters)
    for tensor in architecture.tensors:
        if tensor.name.endswith("running_var"):
            at = slice(tensor.offset, tensor.offset + tensor.size)
            weights[at] = rng.uniform(0.5, 2.0, tensor.size)
    return weights
