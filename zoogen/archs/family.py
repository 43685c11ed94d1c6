"""What every architecture of `--arch` offers, and the implementations for chains and graphs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from zoogen.archs.chain import Layer, describe_chain
from zoogen.description import Architecture
from zoogen.errors import PlanError

if TYPE_CHECKING:
    import numpy as np
    import torch


@runtime_checkable
class ArchFamily(Protocol):
    """One name of `--arch`: describes networks as data and builds them as torch modules."""

    @property
    def name(self) -> str:
        """What `--arch` calls it."""
        ...

    @property
    def summary(self) -> str:
        """One line: what it is and which table of the paper shows it."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """The keywords that `describe` takes beyond input and classes, with their defaults."""
        ...

    def describe(
        self, *, input_shape: tuple[int, ...], classes: int, **options: Any
    ) -> Architecture:
        """The network as data; loads no torch.

        Args:
            input_shape: (channels, height, width) of images, (features,) of an INR's coordinates.
            classes: size of the output, for an INR the number of signal values at a point.
            options: see `options`.

        Raises:
            PlanError: the family has no such network; the sentence says what it takes.
        """
        ...

    def build(self, architecture: Architecture, config: Mapping[str, Any]) -> "torch.nn.Module":
        """A fresh module, initialised as torch does it; parameters named like the tensors."""
        ...


def _chosen(family: ArchFamily, classes: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options with their values."""
    if unknown := sorted(set(options) - set(family.options)):
        known = ", ".join(family.options) or "none"
        raise PlanError(f"{family.name} has no option {unknown[0]!r}; its options: {known}")
    if classes < 1:
        raise PlanError(f"{family.name} wants at least one output, got {classes}")
    return {**family.options, **options}


@runtime_checkable
class VariedFamily(ArchFamily, Protocol):
    """A family that draws a network for each member of a zoo."""

    def draw(self, rng: "np.random.Generator", space: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options that `describe` takes for one network."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class SequentialFamily:
    """A family whose networks are one layer after another: `layers` says which."""

    name: str
    summary: str
    layers: Callable[..., tuple[Layer, ...]]
    """(input_shape, classes, **options) to layers; raises PlanError for what it cannot take."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def describe(
        self, *, input_shape: tuple[int, ...], classes: int, **options: Any
    ) -> Architecture:
        """See `ArchFamily.describe`."""
        chosen = _chosen(self, classes, options)
        layers = self.layers(input_shape, classes, **chosen)
        return describe_chain(self.name, input_shape=input_shape, layers=layers, options=chosen)

    def build(self, architecture: Architecture, config: Mapping[str, Any]) -> "torch.nn.Module":
        """See `ArchFamily.build`."""
        from zoogen.archs.modules import build

        return build(architecture, config)


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphFamily:
    """A family whose networks are put together by `zoogen.archs.builder`."""

    name: str
    summary: str
    describe_graph: Callable[..., Architecture]
    """(input_shape, classes, **options) to a description; raises PlanError."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def describe(
        self, *, input_shape: tuple[int, ...], classes: int, **options: Any
    ) -> Architecture:
        """See `ArchFamily.describe`."""
        return self.describe_graph(input_shape, classes, **_chosen(self, classes, options))

    def build(self, architecture: Architecture, config: Mapping[str, Any]) -> "torch.nn.Module":
        """See `ArchFamily.build`."""
        from zoogen.archs.modules import build

        return build(architecture, config)
