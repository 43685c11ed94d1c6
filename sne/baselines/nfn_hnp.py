"""NFN with HNP layers: only hidden neurons have no order, inputs and outputs keep their places.

With the published sizes 2,811,743 parameters for arch1, SNE's 2.8M; Table 1 prints them beside
INRs, for which the same model has 1,059,882.

Source: Zhou et al. 2023 (arXiv:2302.14040), section 2.2; configuration `hnp_inv` of
their code.
"""

from dataclasses import dataclass

from nfn.layers import HNPLinear
from torch import nn

from sne.baselines.functionals import AS_PUBLISHED, ReadFeatures, check_sizes, stacked
from sne.model import ModelKind, Preparation

NAME = "nfn_hnp"


@dataclass(frozen=True, kw_only=True, slots=True)
class NfnHnpConfig:
    """Sizes."""

    channels: tuple[int, ...] = (16, 16, 5)
    """Of the features that each equivariant layer gives."""
    head: tuple[int, ...] = (1000, 1000)
    """The last one is the encoding."""

    def __post_init__(self) -> None:
        check_sizes(NAME, self)


def make(config: NfnHnpConfig, preparation: Preparation) -> nn.Module:
    """The model for one architecture."""
    read = ReadFeatures(NAME, preparation)
    return stacked(read, HNPLinear, config, pool="hnp", outputs=preparation.outputs)


KIND = ModelKind(
    summary="neural functional, inputs and outputs at fixed places: one architecture",
    config=NfnHnpConfig,
    make=make,
    usual=AS_PUBLISHED,
    invariant=True,
)
