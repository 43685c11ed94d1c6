"""Training recipes: defaults for classifiers and for INRs, where the two differ.

A recipe gives defaults, and so does each model for each recipe (`ModelKind.usual`): what its paper
sets. Flags change them one by one. Everything else has one default for both, beside its flag.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sne.config import Data, Symmetry, TrainConfig, Training
from sne.errors import SettingError
from sne.model import Usual, read_config
from sne.models import model_kind
from sne.scaling import Scaling
from sne.schedule import OptimizerConfig
from sne.zoo import Zoo


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Defaults for one kind of network; what differs from model to model is in `Usual`."""

    summary: str
    scaling: Scaling
    """Of models' inputs."""


RECIPES: Mapping[str, Recipe] = {
    "inr": Recipe(summary="INRs and MLPs", scaling="standard"),
    "cnn": Recipe(summary="CNNs", scaling="compressed"),
}
"""By name. Scalings were measured: classifiers of one zoo differ in size a hundredfold; INRs do by
a third, and what tells them apart is small."""


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
    kind = model_kind(model)
    usual = kind.usual.get(recipe, Usual())
    return TrainConfig(
        data=Data(zoo=tuple(zoo)),
        model=model,
        settings=read_config(kind, usual.settings),
        training=Training(**{"scaling": RECIPES[recipe].scaling, **usual.training}),
        optimizer=OptimizerConfig(**usual.optimizer),
        symmetry=Symmetry(**usual.symmetry),
    )
