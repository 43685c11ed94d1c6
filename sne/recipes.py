"""Training recipes: what the paper sets for classifiers and for INRs, where the two differ.

A recipe gives defaults; flags change them one by one. Everything else has one default for both,
beside its flag.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sne.config import Data, Symmetry, TrainConfig, Training
from sne.errors import SettingError
from sne.model import read_config
from sne.models import model_kind
from sne.scaling import Scaling
from sne.schedule import OptimizerConfig
from sne.zoo import Zoo


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Defaults for one kind of network. Baselines have no penalty and settings of their own."""

    summary: str
    scaling: Scaling
    """Of every model's inputs."""
    symmetry: Symmetry
    """Of SNE."""
    settings: Mapping[str, Any]
    """Of SNE."""
    clip_norm: float | None = None
    """Of SNE's gradients."""


RECIPES: Mapping[str, Recipe] = {
    "inr": Recipe(
        summary="INRs and MLPs: encoding of 32, head of 512 (section 4.1), λ = 0.1, clipping",
        scaling="standard",
        symmetry=Symmetry(invariance=0.1),
        settings={"encoding": 32, "head": (512,)},
        clip_norm=1.0,
    ),
    "cnn": Recipe(
        summary="CNNs: encoding of 1024, head of 1000, 1000 (Table 15), no penalty (App. E.1)",
        scaling="compressed",
        symmetry=Symmetry(),
        settings={"encoding": 1024, "head": (1000, 1000)},
    ),
}
"""By name. λ is ours, the paper prints none. Scalings were measured: classifiers of one zoo
differ in size a hundredfold; INRs do by a third, and what tells them apart is small. Clipping was
too: without it the published size loses on INRs, with λ, what it has learnt (decision 6)."""


def recipe_for(zoos: Sequence[Zoo]) -> str:
    """The recipe for zoos' networks: `cnn` if any of them has a convolution."""
    tensors = (t for zoo in zoos for a in zoo.architectures.values() for t in a.tensors)
    return "cnn" if any(t.layer_type.startswith("conv") for t in tensors) else "inr"


def default_config(zoo: Sequence[str], *, model: str = "sne", recipe: str = "inr") -> TrainConfig:
    """A recipe's training of a model, for `dataclasses.replace`.

    Raises:
        SettingError: no such model or recipe; the sentence lists those there are.
    """
    if recipe not in RECIPES:
        raise SettingError(f"no recipe {recipe!r}; there are: {', '.join(RECIPES)}")
    kind, own = model_kind(model), model == "sne"
    return TrainConfig(
        data=Data(zoo=tuple(zoo)),
        model=model,
        settings=read_config(kind, RECIPES[recipe].settings if own else {}),
        training=Training(scaling=RECIPES[recipe].scaling),
        optimizer=OptimizerConfig(clip_norm=RECIPES[recipe].clip_norm if own else None),
        symmetry=RECIPES[recipe].symmetry if own else Symmetry(),
    )
