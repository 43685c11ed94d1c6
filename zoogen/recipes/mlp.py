"""Multilayer perceptrons on images. Ours throughout: no paper published such a zoo as a recipe.

The distributions are those of the Small CNN Zoo.
"""

from dataclasses import replace

from zoogen.recipe import ClassifierRecipe, ImagePrep, Shares
from zoogen.recipes.small_cnn import NFN_SHARES, SMALL_CNN_DRAWS

MLP = ClassifierRecipe(
    name="mlp-zoo",
    summary="Two hidden layers of 32 on grey images, drawn as the Small CNN Zoo. Ours throughout.",
    archs=("mlp",),
    prep=ImagePrep(side=28, colour="grey"),
    draws=SMALL_CNN_DRAWS,
    epochs=30,
    batch_size=512,
    checkpoints=(0, 1, 2, 3, 10, 20, 30),
    members=3_000,
    shares=Shares(train=6, val=2, test=2),
    member_core_seconds=8.0,
    expected="MNIST: from chance to above 0.97.",
    options={"width": 32, "depth": 3},
)
QUICK_MLP = replace(
    MLP,
    name="quick-mlp",
    summary="Two hidden layers of 16 on at most 8,000 grey images for 15 epochs.",
    prep=ImagePrep(side=28, colour="grey", train_limit=8_000, test_limit=2_500),
    epochs=15,
    batch_size=64,
    checkpoints=(0, 1, 2, 3, 15),
    members=200,
    shares=NFN_SHARES,
    member_core_seconds=0.6,
    cost_images=8_000,
    expected="MNIST: from chance to about 0.9.",
    options={"width": 16, "depth": 3},
)
RECIPES = (MLP, QUICK_MLP)
