"""INRs: SIRENs fitted to sine waves and to images.

Where a source is silent the choice is ours, and the recipe's summary or a comment here says so.
Sources: Andreis et al. 2024 (arXiv:2305.16625), Table 16; Navon et al. 2023 (arXiv:2301.12780) with
its published generator of sine INRs.
"""

from collections.abc import Mapping
from dataclasses import replace

from zoogen.distributions import Constant, Distribution, Uniform
from zoogen.recipe import ImagePrep, Shares, SignalRecipe

SINE_SHARES = Shares(train=8, val=1, test=1)

# PyTorch's Adam with weight decay in the gradient, as the published generator calls it.
SIREN_DRAWS: Mapping[str, Distribution] = {
    "optimizer": Constant("adam"),
    "learning_rate": Constant(1e-3),
    "weight_decay": Constant(1e-4),
    "epsilon": Constant(1e-8),
}

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
IMAGE_INR_LABEL = replace(
    IMAGE_INR,
    name="image-inr-label",
    summary=(
        "image-inr with the label of each network's image as the column `label`: what the image "
        "shows is to be told from the network (MNIST INRs). Ours: 10,000 networks."
    ),
    members=10_000,
    label=True,
)

RECIPES = (SINE_F, SINE_AF, QUICK_SIREN, IMAGE_INR, IMAGE_INR_LABEL)
