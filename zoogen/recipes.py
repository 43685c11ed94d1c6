"""The recipes: one for each published zoo, and `quick` ones that are done in minutes.

Where a source is silent the choice is ours, and the recipe's summary or a comment here says so.
Sources: Unterthiner et al. 2020 (arXiv:2002.11448) with its published training script and metrics
file; Andreis et al. 2024 (arXiv:2305.16625), Tables 10-12 and 16; Navon et al. 2023
(arXiv:2301.12780) with its published generator of sine INRs.
"""

from collections.abc import Mapping
from dataclasses import replace

from zoogen.distributions import Choice, Constant, Distribution, LogUniform, Uniform
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
NFN_SHARES = Shares(train=4, val=1, test=5)
"""The split of the Small CNN Zoo that later work uses (Zhou et al. 2023; Table 13)."""
ALL_TEST = Shares(train=0, val=0, test=10)
SINE_SHARES = Shares(train=8, val=1, test=1)

# Ranges: the ends of the bins that a later Google project read off the released metrics file.
# Categories uniform: our decision, the source is silent. Epsilon 1e-7 is Keras' default.
SMALL_CNN_DRAWS: Mapping[str, Distribution] = {
    "optimizer": Choice(("sgd", "adam", "rmsprop")),
    "learning_rate": LogUniform(5e-4, 5e-2),
    "l2reg": LogUniform(1e-8, 1e-2),
    "dropout": Uniform(0.0, 0.7),
    "w_init": Choice(
        ("glorot_normal", "he_normal", "orthogonal", "RandomNormal", "TruncatedNormal")
    ),
    "init_std": LogUniform(1e-3, 0.5),
    "b_init": Constant("zeros"),
    "activation": Choice(("relu", "tanh")),
    "train_fraction": Choice((0.1, 0.25, 0.5, 1.0)),
    "momentum": Constant(0.0),
    "epsilon": Constant(1e-7),
}
QUICK_DRAWS: Mapping[str, Distribution] = {
    **SMALL_CNN_DRAWS,
    "dropout": Uniform(0.0, 0.3),
    "train_fraction": Choice((0.5, 1.0)),
}
# PyTorch's Adam with weight decay in the gradient, as the published generator calls it.
SIREN_DRAWS: Mapping[str, Distribution] = {
    "optimizer": Constant("adam"),
    "learning_rate": Constant(1e-3),
    "weight_decay": Constant(1e-4),
    "epsilon": Constant(1e-8),
}

UNTERTHINER_2020 = ClassifierRecipe(
    name="unterthiner2020",
    summary=(
        "The Small CNN Zoo: grey images in their own size, 86 epochs. Ours: one seed and one fixed "
        "random subset for each network, a full shuffle each epoch."
    ),
    archs=("arch1",),
    prep=ImagePrep(side=None, colour="grey"),
    draws=SMALL_CNN_DRAWS,
    epochs=86,
    batch_size=512,
    checkpoints=(0, 1, 2, 3, 20, 40, 60, 80, 86),
    members=30_000,
    shares=NFN_SHARES,
    member_core_seconds=100.0,
    expected=(
        "SVHN, ReLU half, last epoch: 46.6 % of networks at or below 0.196, median 0.270, maximum "
        "about 0.78; CIFAR-10: 22.7 % at chance, maximum a little above 0.55; MNIST: above 0.98 "
        "(second-hand counts of the released files)."
    ),
)
SNE2024_ARCH2 = ClassifierRecipe(
    name="sne2024-arch2",
    summary=(
        "The 5×5 zoo of Andreis et al. 2024, which says only that it was made by the same routine. "
        "Ours: everything the Small CNN Zoo's recipe says, on 28×28 images in their own colours."
    ),
    archs=("arch2",),
    prep=ImagePrep(side=28, colour="keep"),
    draws=SMALL_CNN_DRAWS,
    epochs=86,
    batch_size=512,
    checkpoints=(0, 1, 2, 3, 20, 40, 60, 80, 86),
    members=750,
    shares=ALL_TEST,
    member_core_seconds=150.0,
    expected="No accuracies were published. All 750 networks are for testing (App. H).",
)
SNE2024_ARCH2_TRAIN = replace(
    SNE2024_ARCH2,
    name="sne2024-arch2-train",
    summary="A zoo like sne2024-arch2 to train on; its size is ours, none was published.",
    members=3_000,
    shares=NFN_SHARES,
    expected="As sne2024-arch2.",
)
QUICK_ARCH1 = ClassifierRecipe(
    name="quick-arch1",
    summary="The Small CNN Zoo's distributions, milder, on at most 8,000 images for 15 epochs.",
    archs=("arch1",),
    prep=ImagePrep(side=None, colour="grey", train_limit=8_000, test_limit=2_500),
    draws=QUICK_DRAWS,
    epochs=15,
    batch_size=64,
    checkpoints=(0, 1, 2, 3, 15),
    members=200,
    shares=NFN_SHARES,
    member_core_seconds=3.0,
    cost_images=8_000,
    expected="From chance to about 0.95 on MNIST; minutes on two cores.",
)
QUICK_ARCH2 = replace(
    QUICK_ARCH1,
    name="quick-arch2",
    summary="sne2024-arch2 with milder distributions, on at most 8,000 images for 15 epochs.",
    archs=("arch2",),
    prep=ImagePrep(side=28, colour="keep", train_limit=8_000, test_limit=2_500),
    member_core_seconds=4.0,
    expected="SVHN: from chance (0.21) to about 0.8; minutes on two cores.",
)
SINE_F = SignalRecipe(
    name="sine-f",
    summary=(
        "SIRENs fitted to sin(b·x) with b from 0.5 to 10 (Andreis et al. 2024, Table 1). Ours: all "
        "else as sine-af; not a copy of a published generator."
    ),
    archs=("siren",),
    signal="sine",
    draws={**SIREN_DRAWS, "frequency": Uniform(0.5, 10.0), "amplitude": Constant(1.0)},
    points=2_000,
    steps=1_500,
    stop_mse=1e-4,
    unfitted_mse=1e-2,
    members=1_000,
    shares=SINE_SHARES,
    member_core_seconds=0.4,
    expected="At least 95 % below an MSE of 1e-3.",
)
SINE_AF = replace(
    SINE_F,
    name="sine-af",
    summary=(
        "SIRENs fitted to a·sin(b·x) as the published generator of Navon et al. 2023 draws them, "
        "a and b from 0 to 10. Ours: 10,000 networks; networks above an MSE of 1e-2 are marked."
    ),
    draws={**SIREN_DRAWS, "frequency": Uniform(0.0, 10.0), "amplitude": Uniform(0.0, 10.0)},
    members=10_000,
    expected="Large amplitudes with high frequencies stay above the stopping loss.",
)
QUICK_SIREN = replace(
    SINE_F,
    name="quick-siren",
    summary="sine-f on 128 sample points.",
    points=128,
    members=200,
    member_core_seconds=0.03,
    expected="As sine-f, in seconds.",
)
IMAGE_INR = SignalRecipe(
    name="image-inr",
    summary=(
        "SIRENs fitted to images, member i to training image i: pixel coordinates in [-1, 1] to "
        "pixels in [0, 1]. Ours throughout: the sine zoo's network and optimizer, no decay."
    ),
    archs=("siren",),
    signal="image",
    prep=ImagePrep(side=28, colour="keep"),
    draws={**SIREN_DRAWS, "weight_decay": Constant(0.0)},
    points=None,
    steps=3_000,
    stop_mse=1e-3,
    unfitted_mse=1e-2,
    members=1_000,
    shares=SINE_SHARES,
    member_core_seconds=0.6,
    expected="MNIST and CIFAR-10: nearly all below an MSE of 3e-3, about half at 1e-3.",
)
RECIPES: Mapping[str, Recipe] = {
    r.name: r
    for r in (
        UNTERTHINER_2020, SNE2024_ARCH2, SNE2024_ARCH2_TRAIN, SINE_F, SINE_AF,
        QUICK_ARCH1, QUICK_ARCH2, QUICK_SIREN, IMAGE_INR,
    )
}  # fmt: skip
"""By full name; the published ones first."""


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
        wanted = " or ".join(kinds) or "an architecture with a recipe: arch1, arch2, siren"
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
    return (dataset == SINE) == (_dataset_kind(recipe) == SINE)


def _dataset_kind(recipe: Recipe) -> str:
    sine = isinstance(recipe, SignalRecipe) and recipe.signal == SINE
    return SINE if sine else "an image data set"
