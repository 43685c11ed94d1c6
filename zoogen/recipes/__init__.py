"""The recipes: one for each published zoo, and `quick` ones that are done in minutes.

One file for each source; here they have their names. Where a source is silent the choice is ours,
and the recipe's summary or a comment beside it says so.
"""

from collections.abc import Mapping

from zoogen.errors import PlanError
from zoogen.recipe import (
    SINE,
    ClassifierRecipe,
    ImagePrep,
    Recipe,
    Shares,
    SignalRecipe,
    from_json,
    to_json,
)
from zoogen.recipes import mlp, resnet, schuerholt, signals, small_cnn, vit, wildpark

__all__ = [
    "QUICK",
    "RECIPES",
    "SINE",
    "ClassifierRecipe",
    "ImagePrep",
    "Recipe",
    "Shares",
    "SignalRecipe",
    "from_json",
    "recipe_for",
    "to_json",
]

QUICK = "quick"
"""The recipe name that stands for the architecture's short recipe."""
SOURCES = (small_cnn, signals, schuerholt, mlp, vit, resnet, wildpark)
RECIPES: Mapping[str, Recipe] = {r.name: r for source in SOURCES for r in source.RECIPES}
"""By full name; of each source the published ones first."""


def recipe_for(arch: str, dataset: str, name: str | None = None) -> Recipe:
    """The recipe that `--arch`, `--dataset` and `--recipe` mean together.

    Args:
        arch: architecture family.
        dataset: `sine` or an image data set.
        name: a full name; `quick`: the short recipe; None: the published one. For images fitted
            by INRs both are `image-inr`, which no paper published and which is short.

    Raises:
        PlanError: no recipe fits; the message lists those that do.
    """
    fitting = [r for r in RECIPES.values() if arch in r.archs and _takes(r, dataset)]
    if not fitting:
        kinds = sorted({_dataset_kind(r) for r in RECIPES.values() if arch in r.archs})
        trained = sorted({arch for r in RECIPES.values() for arch in r.archs})
        wanted = " or ".join(kinds) or f"an architecture with a recipe: {', '.join(trained)}"
        raise PlanError(f"no recipe trains {arch!r} on {dataset!r}: wanted {wanted}")
    if name is None:
        return fitting[0]
    if name == QUICK:
        return next((r for r in fitting if r.name.startswith(QUICK)), fitting[0])
    for recipe in fitting:
        if recipe.name == name:
            return recipe
    names = ", ".join([QUICK, *(r.name for r in fitting)])
    raise PlanError(f"no recipe {name!r} for {arch!r} on {dataset!r}; there are: {names}")


def _takes(recipe: Recipe, dataset: str) -> bool:
    made_for = recipe.datasets if isinstance(recipe, ClassifierRecipe) else ()
    fits = not made_for or dataset in made_for
    return fits and (dataset == SINE) == (_dataset_kind(recipe) == SINE)


def _dataset_kind(recipe: Recipe) -> str:
    sine = isinstance(recipe, SignalRecipe) and recipe.signal == SINE
    return SINE if sine else "an image data set"
