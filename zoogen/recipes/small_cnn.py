"""The Small CNN Zoo and the 5×5 zoos by the same routine, and their short recipes.

Where a source is silent the choice is ours, and the recipe's summary or a comment here says so.
Sources: Unterthiner et al. 2020 (arXiv:2002.11448) with its published training script and metrics
file; Andreis et al. 2024 (arXiv:2305.16625), Tables 10-12.
"""

from collections.abc import Mapping
from dataclasses import replace

from zoogen.distributions import Choice, Constant, Distribution, LogUniform, Uniform
from zoogen.recipe import ClassifierRecipe, ImagePrep, Shares

NFN_SHARES = Shares(train=4, val=1, test=5)
"""The split of the Small CNN Zoo that later work uses (Zhou et al. 2023; Table 13)."""
ALL_TEST = Shares(train=0, val=0, test=10)

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

RECIPES = (UNTERTHINER_2020, SNE2024_ARCH2, SNE2024_ARCH2_TRAIN, QUICK_ARCH1, QUICK_ARCH2)
