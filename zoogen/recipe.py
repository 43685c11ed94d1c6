"""What a recipe is: everything about a zoo but the data set, the seed and the machine.

Data preparation, distributions, schedule, checkpoints, splits, what it costs and what to expect.
The recipes that there are stand in `zoogen.recipes`; variants are made by `zoogen.overrides`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from zoogen import distributions
from zoogen.distributions import Distribution, Value
from zoogen.errors import PlanError
from zoogen.hyperparameters import check_distribution

SINE = "sine"
"""The data set name of sine waves; every other data set is images."""
Signal: TypeAlias = Literal["sine", "image"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shares:
    """How many of each block of 10 consecutive members belong to which split."""

    train: int
    val: int
    test: int

    def __post_init__(self) -> None:
        parts = (self.train, self.val, self.test)
        if min(parts) < 0 or sum(parts) != 10:
            raise PlanError(f"shares are three numbers that add up to 10, got {parts}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePrep:
    """How images become inputs: limits, side, colour, then value·scale + shift."""

    side: int | None = None
    """Height and width in pixels; None keeps the data set's own (8×8 digits become 28×28)."""
    colour: Literal["keep", "grey"] = "keep"
    """grey: the unweighted mean over the channels."""
    train_limit: int | None = None
    """At most so many training images, a fixed subset; None: all."""
    test_limit: int | None = None
    scale: float = 1 / 127.5
    shift: float = -1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierRecipe:
    """A zoo of image classifiers."""

    name: str
    summary: str
    archs: tuple[str, ...]
    """The architectures it was published, or made, for."""
    prep: ImagePrep
    draws: Mapping[str, Distribution]
    epochs: int
    batch_size: int
    """A member's batch is min(batch_size, its images)."""
    checkpoints: tuple[int, ...]
    """Epochs, ascending; the last epoch is always among them."""
    members: int
    shares: Shares
    member_core_seconds: float
    """Estimate for one member at train fraction 1 on `cost_images` images, one core.

    By engine `native` on a slow core; without a compiler it takes five to ten times as long.
    """
    cost_images: int = 60_000
    expected: str = ""
    """Accuracies to expect, with their source."""

    def __post_init__(self) -> None:
        _check(self)
        inside = all(0 <= c <= self.epochs for c in self.checkpoints)
        if list(self.checkpoints) != sorted(set(self.checkpoints)) or not inside:
            raise PlanError(
                f"{self.name}: checkpoints are different epochs from 0 to {self.epochs} in "
                f"ascending order, got {self.checkpoints}"
            )
        if not self.checkpoints or self.checkpoints[-1] != self.epochs:
            raise PlanError(f"{self.name}: the last epoch, {self.epochs}, must be a checkpoint")


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalRecipe:
    """A zoo of INRs, each fitted to one signal; full batch, an epoch is a step."""

    name: str
    summary: str
    archs: tuple[str, ...]
    signal: Signal
    draws: Mapping[str, Distribution]
    points: int | None
    """Sample points on [-π, π) of a sine; None for an image: its pixels."""
    prep: ImagePrep | None = None
    """For images only."""
    steps: int
    """At most so many; training stops as soon as the loss is at most stop_mse."""
    stop_mse: float
    unfitted_mse: float
    """Above it a finished member has the status `unfitted`; it is not dropped."""
    members: int
    shares: Shares
    member_core_seconds: float
    """Estimate for one member, one core."""
    expected: str = ""

    def __post_init__(self) -> None:
        _check(self)
        if (self.signal == SINE) != (self.points is not None and self.prep is None):
            raise PlanError(f"{self.name}: a sine has points, an image has a preparation")

    @property
    def epochs(self) -> int:
        """An INR's epoch is a step."""
        return self.steps


Recipe: TypeAlias = ClassifierRecipe | SignalRecipe


def _check(recipe: Recipe) -> None:
    for name, distribution in recipe.draws.items():
        check_distribution(name, distribution, where=recipe.name)
    if recipe.members < 1 or recipe.epochs < 1:
        raise PlanError(
            f"{recipe.name}: members and epochs are at least 1, "
            f"got {recipe.members} and {recipe.epochs}"
        )


def core_seconds(recipe: Recipe, config: Mapping[str, Value], *, train_images: int) -> float:
    """Estimated seconds of one core for one member, by the recipe's own figure.

    Args:
        recipe: whose `member_core_seconds` is scaled.
        config: the member's configuration.
        train_images: training images after preparation; INRs ignore it.
    """
    if not isinstance(recipe, ClassifierRecipe):
        return recipe.member_core_seconds
    share = float(config["train_fraction"]) * train_images / recipe.cost_images
    return recipe.member_core_seconds * share


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Plain values only: what the plan keeps."""
    kind = "classifier" if isinstance(recipe, ClassifierRecipe) else "signal"
    values = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    draws = {name: distributions.to_json(d) for name, d in recipe.draws.items()}
    parts = {k: _plain(v) for k, v in values.items() if k != "draws"}
    return {"kind": kind, **parts, "draws": draws}


def from_json(value: Mapping[str, Any]) -> Recipe:
    """The inverse of `to_json`, also after a round trip through JSON text."""
    parts: dict[str, Any] = {k: v for k, v in value.items() if k != "kind"}
    for name in ("archs", "checkpoints"):
        if name in parts:
            parts[name] = tuple(parts[name])
    parts["draws"] = {n: distributions.from_json(d) for n, d in value["draws"].items()}
    parts["shares"] = Shares(**value["shares"])
    parts["prep"] = ImagePrep(**value["prep"]) if value["prep"] else None
    return (ClassifierRecipe if value["kind"] == "classifier" else SignalRecipe)(**parts)


def _plain(value: Any) -> Any:
    if isinstance(value, Shares | ImagePrep):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
