"""Small vision transformers: a tiny one in large numbers, and the sizes of s-chh's repository.

Network and schedule are s-chh's (AdamW or SGD, warm-up, then a cosine to 1e-5). What members differ
in is what Transformer-NFN's zoo of transformers varies (Tran et al. 2025, arXiv:2410.04209), drawn
from ranges instead of a grid. Ours: the ranges; no augmentation; weights, token and positions from
a normal distribution, since torch's truncation at ±2 does not cut standard deviations so small.

Source: s-chh/PyTorch-Scratch-Vision-Transformer-ViT, commit 5d66670.
"""

from collections.abc import Mapping
from dataclasses import replace

from zoogen.distributions import Choice, Constant, Depends, Distribution, LogUniform, Uniform
from zoogen.recipe import ClassifierRecipe, ImagePrep, Shares, normalised
from zoogen.recipes.small_cnn import NFN_SHARES

DRAWS: Mapping[str, Distribution] = {
    "optimizer": Choice(("adamw", "sgd")),
    "learning_rate": Depends(
        "optimizer", {"adamw": LogUniform(3e-4, 1e-2), "sgd": LogUniform(1e-3, 7e-2)}
    ),
    "weight_decay": LogUniform(1e-8, 1e-2),
    "dropout": Uniform(0.0, 0.2),
    "w_init": Constant("RandomNormal"),
    "init_std": Uniform(0.02, 0.3),
    "b_init": Constant("zeros"),
    "train_fraction": Choice((0.7, 0.8, 0.9, 1.0)),
    "momentum": Constant(0.9),
    "epsilon": Constant(1e-8),
}
TINY = {"patch": 4, "embedding": 32, "blocks": 2, "heads": 2, "mlp_factor": 2}
SMALL = {"patch": 4, "embedding": 64, "blocks": 6, "heads": 4, "mlp_factor": 2}
VIT_TINY = ClassifierRecipe(
    name="vit-tiny",
    summary=(
        "The zoo of small transformers (Andreis et al. 2024, Table 4, which does not print its "
        "network). Ours: embedding 32, 2 blocks, 2 heads, on images of 28 × 28 pixels."
    ),
    archs=("vit",),
    prep=ImagePrep(side=28, colour="keep"),
    draws=DRAWS,
    epochs=100,
    batch_size=128,
    checkpoints=(0, 1, 50, 75, 100),
    members=1_000,
    shares=Shares(train=6, val=2, test=2),
    member_core_seconds=2_200.0,
    expected="No accuracies were published for this size. Hours on a GPU.",
    options=TINY,
    warmup_share=0.1,
    final_rate=1e-5,
)
VIT_S_CHH = replace(
    VIT_TINY,
    name="vit-s-chh",
    summary="s-chh's network for grey images (embedding 64, 6 blocks, 210k), drawn as vit-tiny.",
    epochs=200,
    checkpoints=(0, 1, 100, 150, 200),
    member_core_seconds=40_000.0,
    expected="Published, with augmentation: MNIST 0.995, Fashion-MNIST 0.923. For GPUs.",
    datasets=("mnist", "fashion_mnist"),
    options=SMALL,
    warmup_share=0.05,
)
VIT_S_CHH_SVHN = replace(
    VIT_S_CHH,
    name="vit-s-chh-svhn",
    summary="s-chh's network for SVHN (embedding 128, 6 blocks, 820k), drawn as vit-tiny.",
    prep=ImagePrep(
        side=32,
        **normalised((0.43768, 0.44377, 0.47280), (0.19803, 0.20102, 0.19704)),
    ),
    member_core_seconds=150_000.0,
    expected="Published, with augmentation: 0.962. For GPUs.",
    datasets=("svhn",),
    options={**SMALL, "embedding": 128},
)
VIT_S_CHH_CIFAR10 = replace(
    VIT_S_CHH_SVHN,
    name="vit-s-chh-cifar10",
    summary="s-chh's network for CIFAR-10 (embedding 128, 6 blocks, 820k), drawn as vit-tiny.",
    prep=ImagePrep(side=32, **normalised((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))),
    expected="Published, with augmentation: 0.825 without RandAugment, 0.863 with it. For GPUs.",
    datasets=("cifar10",),
)
QUICK_VIT = replace(
    VIT_TINY,
    name="quick-vit",
    summary="vit-tiny on at most 5,000 images for 5 epochs.",
    prep=ImagePrep(side=28, colour="keep", train_limit=5_000, test_limit=2_000),
    epochs=5,
    checkpoints=(0, 1, 2, 5),
    members=200,
    shares=NFN_SHARES,
    member_core_seconds=10.0,
    cost_images=5_000,
    expected="MNIST: from 0.25 to about 0.7.",
)
RECIPES = (VIT_TINY, VIT_S_CHH, VIT_S_CHH_SVHN, VIT_S_CHH_CIFAR10, QUICK_VIT)
