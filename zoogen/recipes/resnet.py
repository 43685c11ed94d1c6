"""Small residual networks on images. Ours throughout; members differ as the Small CNN Zoo's do."""

from collections.abc import Mapping
from dataclasses import replace

from zoogen.distributions import Distribution
from zoogen.recipe import ClassifierRecipe, ImagePrep, Shares
from zoogen.recipes.small_cnn import NFN_SHARES, SMALL_CNN_DRAWS

DRAWN = (
    *("optimizer", "learning_rate", "l2reg", "w_init", "init_std", "b_init", "train_fraction"),
    *("momentum", "epsilon"),
)
DRAWS: Mapping[str, Distribution] = {name: SMALL_CNN_DRAWS[name] for name in DRAWN}
RESNET8 = ClassifierRecipe(
    name="resnet8-zoo",
    summary="ResNet-8 of width 8 with batch norm, no augmentation. Ours throughout.",
    archs=("resnet",),
    prep=ImagePrep(side=32, colour="keep"),
    draws=DRAWS,
    epochs=50,
    batch_size=128,
    checkpoints=(0, 1, 2, 3, 10, 25, 50),
    members=1_000,
    shares=Shares(train=6, val=2, test=2),
    member_core_seconds=4_000.0,
    expected="No accuracies were published. Hours on a GPU.",
    options={"width": 8, "blocks": 1},
)
QUICK_RESNET = replace(
    RESNET8,
    name="quick-resnet",
    summary="ResNet-8 of width 8 on at most 5,000 images of 16 × 16 pixels for 4 epochs.",
    prep=ImagePrep(side=16, colour="keep", train_limit=5_000, test_limit=2_000),
    epochs=4,
    batch_size=64,
    checkpoints=(0, 1, 2, 4),
    members=100,
    shares=NFN_SHARES,
    member_core_seconds=9.0,
    cost_images=5_000,
    expected="CIFAR-10: from chance to about 0.4; MNIST: to about 0.95.",
)
RECIPES = (RESNET8, QUICK_RESNET)
