"""The image data sets by name: shape, licence, and under which names their files are found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from zoogen.errors import DataError

CLASSES = 10
"""Every data set here has ten classes, labelled 0..9."""
SplitName: TypeAlias = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSet:
    """What is known of one data set before a file is opened."""

    name: str
    side: int
    """Height and width of the stored images, in pixels."""
    default_side: int
    """The side that a recipe gets when it names none."""
    channels: int
    licence: str
    """One or two sentences; they go into the plan of every zoo made from these images."""
    hub_folder: str | None = None
    """The folder of its Parquet files in the Hugging Face hub's repository."""
    torchvision_class: str | None = None
    """Its name in torchvision.datasets; None: the images are embedded, there are no files."""
    torchvision_files: Mapping[SplitName, tuple[str, ...]] = field(default_factory=dict)
    """Relative to torchvision's root folder."""
    download_megabytes: int = 0


def _idx_files(folder: str) -> Mapping[SplitName, tuple[str, ...]]:
    def pair(prefix: str) -> tuple[str, str]:
        names = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
        return f"{folder}/raw/{names[0]}", f"{folder}/raw/{names[1]}"

    return {"train": pair("train"), "test": pair("t10k")}


IMAGE_SETS: Mapping[str, ImageSet] = {
    "digits": ImageSet(
        name="digits",
        side=8,
        default_side=28,
        channels=1,
        licence="Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, UCI), CC BY 4.0; "
        "the part that scikit-learn ships.",
    ),
    "mnist": ImageSet(
        name="mnist",
        side=28,
        default_side=28,
        channels=1,
        licence="Copyright Yann LeCun and Corinna Cortes; no licence text on their page; commonly "
        "passed on as CC BY-SA 3.0.",
        hub_folder="mnist",
        torchvision_class="MNIST",
        torchvision_files=_idx_files("MNIST"),
        download_megabytes=12,
    ),
    "fashion_mnist": ImageSet(
        name="fashion_mnist",
        side=28,
        default_side=28,
        channels=1,
        licence="MIT, Copyright (c) 2017 Zalando SE, https://tech.zalando.com.",
        hub_folder="fashion_mnist",
        torchvision_class="FashionMNIST",
        torchvision_files=_idx_files("FashionMNIST"),
        download_megabytes=31,
    ),
    "cifar10": ImageSet(
        name="cifar10",
        side=32,
        default_side=32,
        channels=3,
        licence="None stated by the publishers (Krizhevsky, Nair, Hinton; University of Toronto); "
        'cite "Learning Multiple Layers of Features from Tiny Images", Krizhevsky, 2009.',
        hub_folder="plain_text",
        torchvision_class="CIFAR10",
        torchvision_files={
            "train": tuple(f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)),
            "test": ("cifar-10-batches-py/test_batch",),
        },
        download_megabytes=170,
    ),
    "svhn": ImageSet(
        name="svhn",
        side=32,
        default_side=32,
        channels=3,
        licence="For non-commercial use only (Netzer et al., Stanford University and Google); "
        'cite "Reading Digits in Natural Images with Unsupervised Feature Learning", 2011.',
        hub_folder="cropped_digits",
        torchvision_class="SVHN",
        torchvision_files={"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)},
        download_megabytes=246,
    ),
}


def image_set(name: str) -> ImageSet:
    """The data set of that name.

    Raises:
        DataError: there is none; the message lists the names.
    """
    if name not in IMAGE_SETS:
        raise DataError(f"no image data set is called {name!r}; known are {', '.join(IMAGE_SETS)}")
    return IMAGE_SETS[name]
