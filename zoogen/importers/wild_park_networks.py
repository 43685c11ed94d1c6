"""Networks of the CNN Wild Park as their configurations have them: `wildpark`, connections and all.

A configuration has lists with an entry for each layer (channels: one more, the input's first), as
plain values or in omegaconf's containers. What it does not say is as the published code has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoogen.archs import ARCHS
from zoogen.archs.wildpark import NO_ACTIVATION
from zoogen.description import Architecture
from zoogen.errors import PlanError
from zoogen.forward import ACTIVATIONS
from zoogen.importers.inert import Record

IMAGE = 32
"""Side of CIFAR-10's images, which all of them see."""
MOST_LAYERS = 100
"""Of a configuration that is believed; the published ones have 9 at most."""
DEEPEST = 4
"""Objects within one another, of which only the innermost holds anything."""
Shape = tuple[int, ...]


def described(config: Any, shapes: Sequence[Shape]) -> Architecture | None:
    """A network as its configuration has it.

    Args:
        config: as the file has it.
        shapes: of the network's tensors, first layer first.

    Returns:
        None where something is missing, unknown, or not what the weights are of.
    """
    if not isinstance(config, Mapping) or not shapes or len(shapes[-1]) != 1:
        return None
    layers, (classes,) = _Layers.read(config), shapes[-1]
    if not layers.known or list(shapes) != layers.shapes(classes):
        return None
    try:
        return ARCHS["wildpark"].describe(
            input_shape=(layers.channels[0], IMAGE, IMAGE),
            classes=classes,
            channels=tuple(layers.channels[1:]),
            kernels=tuple(layers.kernels),
            activations=tuple(layers.activations),
            residuals=tuple(layers.residuals),
        )
    except PlanError:
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layers:
    """What is to be known of convolutions, in lists; an empty one where that cannot be read."""

    channels: list[int]
    kernels: list[int]
    residuals: list[int]
    activations: list[Any]
    strides: list[int]
    paddings: list[int]

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "_Layers":
        return cls(
            channels=_whole_numbers(config.get("channels")),
            kernels=_whole_numbers(config.get("kernel_size")),
            residuals=_whole_numbers(config.get("residual")),
            activations=[opened(value) for value in _values(config.get("activation"))],
            strides=_whole_numbers(config.get("stride")),
            paddings=_whole_numbers(config.get("padding")),
        )

    @property
    def known(self) -> bool:
        """Whether every layer is one that `wildpark` has."""
        count = len(self.kernels)
        counts = {len(self.channels) - 1, len(self.residuals), len(self.activations)}
        return (
            0 < count <= MOST_LAYERS
            and counts == {count}
            and all(name in (NO_ACTIVATION, *ACTIVATIONS) for name in self.activations)
            and all(stride == 1 for stride in self.strides)
            and self.paddings in ([], [kernel // 2 for kernel in self.kernels])
        )

    def shapes(self, classes: int) -> list[Shape]:
        """Of the tensors that these layers and the linear one behind them have."""
        found: list[Shape] = []
        for read, given, kernel in zip(
            self.channels[:-1], self.channels[1:], self.kernels, strict=True
        ):
            found += [(given, read, kernel, kernel), (given,)]
        return [*found, (classes, self.channels[-1]), (classes,)]


def opened(value: Any) -> Any:
    """What an omegaconf object of a pickled file holds; other values as they are."""
    for _ in range(DEEPEST):
        if not isinstance(value, Record):
            return value
        value = value.get("_content", value.get("_val"))
    return None


def _values(value: Any) -> list[Any]:
    found = opened(value)
    return list(found) if isinstance(found, list | tuple) else []


def _whole_numbers(value: Any) -> list[int]:
    """A list of whole numbers; empty if it is something else."""
    found = [opened(entry) for entry in _values(value)]
    if all(isinstance(n, int) and not isinstance(n, bool) for n in found):
        return found
    return []
