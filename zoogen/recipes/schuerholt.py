"""The Model Zoos of Schürholt et al. 2022: for each data set one of seeds, two of hyperparameters.

A seed zoo holds networks that differ in their seed alone. A hyp zoo holds every combination of the
listed values with ten seeds each, the same ten (`fixed`) or ten of its own (`rand`). Zoos on USPS
and STL-10 and those of ResNet-18 are left out: there are no such data sets here, and no
augmentation.

Ours: which training images the source holds out for validation is drawn by its own seed, so the
number agrees, not the images; training accuracy is measured in evaluation mode; SVHN's hyp zoos
take the seed zoo's preparation, since the published script for them cannot run; splits in blocks
of ten make 70/15/15 into 70/10/20.

Source: Schürholt et al. 2022 (arXiv:2209.14764), the published generators.
"""

from collections.abc import Mapping
from dataclasses import replace

from zoogen.distributions import Choice, Constant, Distribution
from zoogen.recipe import ClassifierRecipe, Grid, ImagePrep, Shares, normalised
from zoogen.recipes.small_cnn import NFN_SHARES

SHARES = Shares(train=7, val=1, test=2)
EPOCHS = 50
SMALL, LARGE = "schuerholt_small", "schuerholt_large"
ACTIVATIONS = Choice(("tanh", "relu", "sigmoid", "gelu"))
INITIALISERS = Choice(("uniform", "normal", "kaiming_uniform", "kaiming_normal"))
ADAM_AND_SGD = Choice(("adam", "sgd"))
# Momentum counts for sgd alone; epsilon is PyTorch's.
FIXED: Mapping[str, Distribution] = {
    "b_init": Constant("0.01"),
    "momentum": Constant(0.9),
    "epsilon": Constant(1e-8),
    "train_fraction": Constant(1.0),
}
MNIST = ImagePrep(side=28, colour="keep", train_limit=50_000, **normalised(0.1307, 0.3081))
FASHION = ImagePrep(side=28, colour="keep", train_limit=50_000)
SVHN = ImagePrep(side=28, crop=28, colour="luma", train_limit=60_000)
CIFAR_SMALL = ImagePrep(side=28, colour="keep", train_limit=42_000)
CIFAR_LARGE = replace(CIFAR_SMALL, side=32)


def _recipe(name: str, dataset: str, arch: str, prep: ImagePrep) -> ClassifierRecipe:
    """What all zoos of the source share."""
    return ClassifierRecipe(
        name=f"schuerholt-{name}",
        summary="",
        archs=(arch,),
        prep=prep,
        draws=FIXED,
        epochs=EPOCHS,
        batch_size=10,
        checkpoints=tuple(range(EPOCHS + 1)),
        members=1_000,
        shares=SHARES,
        member_core_seconds=65.0 if arch == SMALL else 440.0,
        cost_images=50_000,
        expected="Accuracies are in the paper's tables, which were not read for this recipe.",
        datasets=(dataset,),
    )


def _seeds(recipe: ClassifierRecipe, draws: Mapping[str, Distribution]) -> ClassifierRecipe:
    return replace(
        recipe,
        name=f"{recipe.name}-seed",
        summary="The Model Zoos' networks that differ in their seed alone.",
        draws={**recipe.draws, "dropout": Constant(0.0), **draws},
    )


def _hyp(
    recipe: ClassifierRecipe, draws: Mapping[str, Distribution], *, members: int
) -> tuple[ClassifierRecipe, ...]:
    """The two zoos of a grid."""
    common = {"activation": ACTIVATIONS, "w_init": INITIALISERS}
    return tuple(
        replace(
            recipe,
            name=f"{recipe.name}-hyp-{name}",
            summary=f"The Model Zoos' grid of hyperparameters, {seeds}.",
            draws={**recipe.draws, **common, **draws},
            members=members,
            grid=Grid(seeds=10, fixed=name == "fixed"),
        )
        for name, seeds in (
            ("fixed", "the same ten seeds for each combination"),
            ("rand", "ten seeds of its own for each combination"),
        )
    )


def _seed_draws(
    activation: str, w_init: str, learning_rate: float, weight_decay: float
) -> Mapping[str, Distribution]:
    return {
        "optimizer": Constant("adam"),
        "activation": Constant(activation),
        "w_init": Constant(w_init),
        "learning_rate": Constant(learning_rate),
        "weight_decay": Constant(weight_decay),
    }


GREY_HYP: Mapping[str, Distribution] = {
    "optimizer": ADAM_AND_SGD,
    "learning_rate": Choice((1e-3, 1e-4)),
    "weight_decay": Choice((1e-3, 1e-4)),
    "dropout": Choice((0.0, 0.5)),
}
SVHN_HYP: Mapping[str, Distribution] = {
    "optimizer": Constant("sgd"),
    "learning_rate": Choice((1e-2, 1e-3, 1e-4)),
    "weight_decay": Choice((0.0, 1e-3, 1e-1)),
    "dropout": Choice((0.0, 0.3, 0.5)),
}
CIFAR_HYP: Mapping[str, Distribution] = {
    "optimizer": ADAM_AND_SGD,
    "learning_rate": Constant(1e-3),
    "weight_decay": Choice((1e-2, 1e-3)),
    "dropout": Choice((0.0, 0.5)),
}
CIFAR_SEED = _seed_draws("gelu", "kaiming_uniform", 1e-4, 1e-2)
ZOOS = (
    (_recipe("mnist", "mnist", SMALL, MNIST), _seed_draws("tanh", "uniform", 3e-4, 0.0),
     GREY_HYP, 2_560),
    (_recipe("fashion", "fashion_mnist", SMALL, FASHION),
     _seed_draws("tanh", "uniform", 3e-4, 0.0), GREY_HYP, 2_560),
    (_recipe("svhn", "svhn", SMALL, SVHN), _seed_draws("tanh", "uniform", 3e-3, 0.0),
     SVHN_HYP, 4_320),
    (_recipe("cifar10", "cifar10", SMALL, CIFAR_SMALL), CIFAR_SEED, CIFAR_HYP, 1_280),
    (_recipe("cifar10-large", "cifar10", LARGE, CIFAR_LARGE), CIFAR_SEED, CIFAR_HYP, 1_280),
)  # fmt: skip
"""Data set and network, draws of the seed zoo, draws of the hyp zoos and their size."""
# Of SVHN's grid what learns in 2,000 steps: without it all but one in twenty stay at chance.
QUICK_DRAWS: Mapping[str, Distribution] = {
    **FIXED,
    "activation": ACTIVATIONS,
    "w_init": Choice(("normal", "kaiming_uniform", "kaiming_normal")),
    "optimizer": Constant("sgd"),
    "learning_rate": Choice((3e-2, 1e-2, 1e-3)),
    "weight_decay": Choice((0.0, 1e-3)),
    "dropout": Choice((0.0, 0.3)),
}
QUICK_SMALL = ClassifierRecipe(
    name="quick-schuerholt_small",
    summary=(
        "The Model Zoos' hyperparameters on SVHN without those that learn nothing so soon, each "
        "member drawing its own, on at most 8,000 images for 15 epochs of batches of 64."
    ),
    archs=(SMALL,),
    prep=ImagePrep(side=28, crop=28, colour="luma", train_limit=8_000, test_limit=2_500),
    draws=QUICK_DRAWS,
    epochs=15,
    batch_size=64,
    checkpoints=(0, 1, 2, 3, 15),
    members=200,
    shares=NFN_SHARES,
    member_core_seconds=2.0,
    cost_images=8_000,
    expected=(
        "From chance, where more than half of the members stay on SVHN and a third on MNIST, to "
        "0.79 and 0.96."
    ),
)
QUICK_LARGE = replace(
    QUICK_SMALL,
    name="quick-schuerholt_large",
    summary=(
        "As quick-schuerholt_small for the larger network, on at most 6,000 images of 32 × 32 "
        "pixels."
    ),
    archs=(LARGE,),
    prep=ImagePrep(side=32, colour="keep", train_limit=6_000, test_limit=2_500),
    member_core_seconds=7.5,
    cost_images=6_000,
    expected="CIFAR-10: from chance to about 0.5; some diverge.",
)
RECIPES = (
    *(
        recipe
        for base, seed, hyp, members in ZOOS
        for recipe in (_seeds(base, seed), *_hyp(base, hyp, members=members))
    ),
    QUICK_SMALL,
    QUICK_LARGE,
)
