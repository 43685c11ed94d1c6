"""The architectures that `--arch` names; one file each. Importing them loads no torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from zoogen.archs.arch1 import ARCH1
from zoogen.archs.arch2 import ARCH2
from zoogen.archs.family import ArchFamily
from zoogen.archs.mlp import MLP
from zoogen.archs.resnet import RESNET
from zoogen.archs.schuerholt import SCHUERHOLT_LARGE, SCHUERHOLT_SMALL
from zoogen.archs.siren import SIREN
from zoogen.archs.vit import VIT
from zoogen.archs.wildpark import WILDPARK
from zoogen.description import Architecture
from zoogen.errors import PlanError

if TYPE_CHECKING:
    import torch

__all__ = ["ARCHS", "ArchFamily", "arch_family", "to_module"]

ARCHS: Mapping[str, ArchFamily] = {
    family.name: family
    for family in (
        ARCH1,
        ARCH2,
        SIREN,
        SCHUERHOLT_SMALL,
        SCHUERHOLT_LARGE,
        MLP,
        VIT,
        RESNET,
        WILDPARK,
    )
}


def arch_family(name: str) -> ArchFamily:
    """The family of that name.

    Raises:
        PlanError: there is none; the sentence lists those there are.
    """
    if name not in ARCHS:
        raise PlanError(f"no architecture {name!r}; there are: {', '.join(ARCHS)}")
    return ARCHS[name]


def to_module(
    architecture: Architecture, weights: Float[np.ndarray, " p"], config: Mapping[str, Any]
) -> "torch.nn.Module":
    """A ready network in evaluation mode; see `zoogen.archs.modules.to_module`."""
    from zoogen.archs import modules

    return modules.to_module(architecture, weights, config)
