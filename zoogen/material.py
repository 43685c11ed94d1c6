"""What a recipe is carried out on: the images or signals and the architecture, as a job.

The driver takes from here what the plan records; each worker builds the same job from the plan.
Images come from the cache folder, mapped into memory, so that processes share one copy.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zoogen import signals
from zoogen.archs import arch_family
from zoogen.datasets import PreparedImages, load_images
from zoogen.description import Architecture
from zoogen.distributions import support
from zoogen.errors import DataError
from zoogen.hyperparameters import HYPERPARAMETERS
from zoogen.images.catalog import CLASSES
from zoogen.members import Member
from zoogen.plan import Plan
from zoogen.recipes import SINE, ClassifierRecipe, Recipe, SignalRecipe
from zoogen.train.job import ImageData, ImageJob, Job, SignalJob
from zoogen.varied import Varied, member_architecture, varies


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Material:
    """Data and architecture of a zoo."""

    identity: dict[str, Any]
    """What the plan records of the data; plain values."""
    architecture: Architecture
    images: ImageData | None
    """None for sine waves."""
    network_of: Callable[[Member], Architecture] | None = None
    """Each member's own architecture, of which `architecture` is an example; None: all share it."""

    @property
    def planned(self) -> Architecture | Varied:
        """What the plan is made for."""
        if self.network_of is None:
            return self.architecture
        return Varied(example=self.architecture, of=self.network_of)


def load_material(
    recipe: Recipe, *, dataset: str, arch: str, data_dir: Path | None, download: bool
) -> Material:
    """Find, decode or download the images of a recipe, and describe its architecture.

    Raises:
        DataError: the images are missing or damaged.
        PlanError: the architecture cannot take them.
    """
    family = arch_family(arch)
    if isinstance(recipe, SignalRecipe) and recipe.prep is None:
        identity = {"name": SINE, "points": recipe.points, "licence": "none: computed"}
        architecture = family.describe(input_shape=(1,), classes=1)
        return Material(identity=identity, architecture=architecture, images=None)
    assert recipe.prep is not None  # a sine was handled above; images have a preparation
    prepared = load_images(dataset, recipe.prep, data_dir=data_dir, download=download)
    return Material(
        identity=asdict(prepared.identity),
        architecture=_image_architecture(recipe, arch, prepared),
        images=prepared.data,
        network_of=_network_of(recipe, arch, prepared) if varies(arch) else None,
    )


def _network_of(
    recipe: Recipe, arch: str, prepared: PreparedImages
) -> Callable[[Member], Architecture]:
    channels, side = prepared.identity.channels, prepared.identity.side
    return partial(member_architecture, arch, _options(recipe), (channels, side, side))


def _image_architecture(recipe: Recipe, arch: str, prepared: PreparedImages) -> Architecture:
    channels, side = prepared.identity.channels, prepared.identity.side
    if isinstance(recipe, ClassifierRecipe):
        shape, outputs = (channels, side, side), CLASSES
    else:
        shape, outputs = (2,), channels
    options = {} if varies(arch) else _options(recipe)
    return arch_family(arch).describe(input_shape=shape, classes=outputs, **options)


def _options(recipe: Recipe) -> dict[str, Any]:
    return dict(recipe.options) if isinstance(recipe, ClassifierRecipe) else {}


def job_of_plan(plan: Plan, *, data_dir: Path | None, download: bool) -> Job:
    """The job that all members of a plan share, from data that is the plan's data.

    Raises:
        DataError: the images found here are not those of the plan.
    """
    recipe = plan.recipe_object()
    material = load_material(
        recipe, dataset=plan.dataset, arch=plan.family, data_dir=data_dir, download=download
    )
    found, wanted = (d.get("content_hash") for d in (material.identity, plan.data))
    if found != wanted:
        raise DataError(
            f"the {plan.dataset} images found here are not those of the plan (content hash "
            f"{found}, the plan has {wanted}): give the folder the zoo was begun with as --data-dir"
        )
    return make_job(recipe, material)


def make_job(recipe: Recipe, material: Material) -> Job:
    """The job of a recipe on its material."""
    if isinstance(recipe, ClassifierRecipe):
        assert material.images is not None  # classifiers are trained on images
        return ImageJob(
            architecture=material.architecture,
            data=material.images,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            checkpoints=recipe.checkpoints,
            warmup_share=recipe.warmup_share,
            final_rate=recipe.final_rate,
            choices=text_choices(recipe),
            network_of=material.network_of,
        )
    return SignalJob(
        architecture=material.architecture,
        inputs=_inputs(recipe, material.images),
        targets=partial(_target, recipe.points, material.images),
        steps=recipe.steps,
        stop_mse=recipe.stop_mse,
        unfitted_mse=recipe.unfitted_mse,
        choices=text_choices(recipe),
        label=partial(_label, material.images) if recipe.label else None,
    )


def text_choices(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """The values that members may have of each hyperparameter that is text."""
    found = {name: support(distribution) for name, distribution in recipe.draws.items()}
    return {n: tuple(str(v) for v in vs) for n, vs in found.items() if HYPERPARAMETERS[n].options}


def _inputs(recipe: SignalRecipe, images: ImageData | None) -> np.ndarray:
    if images is None:
        assert recipe.points is not None  # the recipe was checked when it was built
        return signals.sine_inputs(recipe.points)
    height, width = images.train_images.shape[1:3]
    return signals.pixel_inputs(height, width)


def _label(images: ImageData | None, member: Member) -> int:
    assert images is not None  # only images have labels, as the recipe was checked for
    return int(signals.with_image(member, images).config["image_label"])


def _target(points: int | None, images: ImageData | None, member: Member) -> np.ndarray:
    if images is None:
        assert points is not None  # the recipe was checked when it was built
        return signals.sine_target(member.config, points)
    return signals.pixel_target(signals.with_image(member, images).config, images)
