"""The CNN Wild Park: random CNNs on CIFAR-10, an architecture for each network.

`wild-park-v3` is the published configuration. The released park is older: by the configuration of
those who read it, it has at most five layers; which values it chose from is not confirmed, so
`wild-park-v2` is like it. Training is the same and varies in nothing but the network. Ours: seeds,
number of networks, splits.

Source: Kofinas et al. 2024 (arXiv:2403.12143), the published generator.
"""

from collections.abc import Mapping
from dataclasses import replace

from zoogen.distributions import Constant, Distribution
from zoogen.recipe import ClassifierRecipe, ImagePrep, Shares, normalised
from zoogen.recipes.small_cnn import NFN_SHARES

# No initialiser is named: PyTorch's own.
DRAWS: Mapping[str, Distribution] = {
    "optimizer": Constant("adamw"),
    "learning_rate": Constant(1e-3),
    "weight_decay": Constant(0.0),
    "epsilon": Constant(1e-8),
    "train_fraction": Constant(1.0),
}
ACTIVATIONS = ("relu", "gelu", "tanh", "sigmoid", "leaky_relu", "none")
WILD_PARK_V3 = ClassifierRecipe(
    name="wild-park-v3",
    summary="The published configuration: 2 to 8 layers of 4 to 64 channels, on CIFAR-10.",
    archs=("wildpark",),
    prep=ImagePrep(**normalised((0.49140, 0.48216, 0.44653), (0.24703, 0.24349, 0.26159))),
    draws=DRAWS,
    epochs=200,
    batch_size=512,
    checkpoints=tuple(range(0, 201, 10)),
    members=10_000,
    shares=Shares(train=6, val=2, test=2),
    member_core_seconds=200_000.0,
    cost_images=50_000,
    expected="No accuracies of single networks were read. For GPUs.",
    datasets=("cifar10",),
    options={
        "layers": (2, 8),
        "channels": (4, 8, 16, 32, 64),
        "kernels": (3, 5, 7),
        "activations": ACTIVATIONS,
    },
)
WILD_PARK_V2 = replace(
    WILD_PARK_V3,
    name="wild-park-v2",
    summary="Like the released park: 2 to 5 layers of 4 to 32 channels, on CIFAR-10.",
    member_core_seconds=40_000.0,
    options={**WILD_PARK_V3.options, "layers": (2, 5), "channels": (4, 8, 16, 32)},
)
QUICK_WILDPARK = replace(
    WILD_PARK_V2,
    name="quick-wildpark",
    summary=(
        "2 to 5 layers of 4 to 16 channels on at most 4,000 images of 16 × 16 pixels, 6 epochs of "
        "batches of 32."
    ),
    prep=ImagePrep(side=16, train_limit=4_000, test_limit=2_000),
    epochs=6,
    batch_size=32,
    checkpoints=(0, 1, 2, 6),
    members=300,
    shares=NFN_SHARES,
    member_core_seconds=7.0,
    cost_images=4_000,
    expected="CIFAR-10: from 0.2 to about 0.32.",
    datasets=(),
    options={
        "layers": (2, 5),
        "channels": (4, 8, 16),
        "kernels": (3, 5),
        "activations": ACTIVATIONS,
    },
)
RECIPES = (WILD_PARK_V2, WILD_PARK_V3, QUICK_WILDPARK)
