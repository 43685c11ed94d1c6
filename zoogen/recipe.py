"""What a recipe is: everything about a zoo but the data set, the seed and the machine.

Data preparation, distributions, schedule, checkpoints, splits, what it costs and what to expect.
The recipes that there are stand in `zoogen.recipes`; variants are made by `zoogen.overrides`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal, TypeAlias

from zoogen import distributions
from zoogen.distributions import Depends, Distribution, Value
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
    colour: Literal["keep", "grey", "luma"] = "keep"
    """grey: the unweighted mean over the channels; luma: weighted as in ITU-R 601, rounded."""
    train_limit: int | None = None
    """At most so many training images, a fixed subset; None: all."""
    test_limit: int | None = None
    scale: float | tuple[float, ...] = 1 / 127.5
    """One number, or one for each channel."""
    shift: float | tuple[float, ...] = -1.0
    crop: int | None = None
    """Height and width of the middle that is kept, before anything else; None: all."""


def normalised(mean: float | tuple[float, ...], std: float | tuple[float, ...]) -> dict[str, Any]:
    """`scale` and `shift` of a preparation: pixels in [0, 1], minus the mean, over the std."""
    if isinstance(mean, tuple) and isinstance(std, tuple):
        return {
            "scale": tuple(1 / (255 * s) for s in std),
            "shift": tuple(-m / s for m, s in zip(mean, std, strict=True)),
        }
    assert not isinstance(mean, tuple)
    assert not isinstance(std, tuple)
    return {"scale": 1 / (255 * std), "shift": -mean / std}


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """All combinations of the values that the recipe's choices have, each with several seeds.

    Member i is one place of the grid by a fixed order that spreads neighbours over it, so that
    the first members of a large grid are a sample of all.
    """

    seeds: int
    """Networks for each combination."""
    fixed: bool
    """True: every combination has the same seeds; False: every network its own."""


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
    datasets: tuple[str, ...] = ()
    """Image data sets that it was made for; empty: any."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of the architecture: its sizes, where the family has any to choose."""
    grid: Grid | None = None
    """None: every member draws its configuration by itself."""
    warmup_share: float = 0.0
    """Share of the epochs over which the learning rate rises linearly from a tenth of its value."""
    final_rate: float | None = None
    """Behind the warm-up a cosine leads to this learning rate; None: it stays constant."""

    def __post_init__(self) -> None:
        _check(self)
        if not 0 <= self.warmup_share < 1 or (self.warmup_share and self.final_rate is None):
            raise PlanError(
                f"{self.name}: a warm-up is a share of the epochs in [0, 1) and wants a "
                f"final_rate, got {self.warmup_share=} {self.final_rate=}"
            )
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
    label: bool = False
    """Keep the label of each network's image as the column `label`."""

    def __post_init__(self) -> None:
        _check(self)
        if self.label and self.prep is None:
            raise PlanError(f"{self.name}: a sine has no label; only images have one")
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
        if isinstance(distribution, Depends) and (
            isinstance(recipe.draws.get(distribution.on), Depends | None)
        ):
            raise PlanError(
                f"{recipe.name}: {name} depends on {distribution.on!r}, which must be drawn, and "
                "from a distribution of its own"
            )
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
    defaults = {f.name: _default(f) for f in fields(recipe) if f.name in LATER}
    values = {k: v for k, v in values.items() if k not in defaults or v != defaults[k]}
    draws = {name: distributions.to_json(d) for name, d in recipe.draws.items()}
    parts = {k: _plain(v) for k, v in values.items() if k != "draws"}
    return {"kind": kind, **parts, "draws": draws}


LATER = ("datasets", "options", "grid", "warmup_share", "final_rate", "label", "crop")
"""Fields younger than the oldest zoos: left out at their defaults, so that old plans stay equal."""


def from_json(value: Mapping[str, Any]) -> Recipe:
    """The inverse of `to_json`, also after a round trip through JSON text."""
    parts: dict[str, Any] = {k: v for k, v in value.items() if k != "kind"}
    for name in ("archs", "checkpoints", "datasets"):
        if name in parts:
            parts[name] = tuple(parts[name])
    if parts.get("grid"):
        parts["grid"] = Grid(**parts["grid"])
    if "options" in parts:
        parts["options"] = {k: _tupled(v) for k, v in parts["options"].items()}
    parts["draws"] = {n: distributions.from_json(d) for n, d in value["draws"].items()}
    parts["shares"] = Shares(**value["shares"])
    prep = {k: _tupled(v) for k, v in (value["prep"] or {}).items()}
    parts["prep"] = ImagePrep(**prep) if prep else None
    return (ClassifierRecipe if value["kind"] == "classifier" else SignalRecipe)(**parts)


def _default(of: "Field[Any]") -> Any:
    return of.default if of.default_factory is MISSING else of.default_factory()


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _plain(value: Any) -> Any:
    if isinstance(value, Shares | ImagePrep | Grid):
        parts = {f.name: getattr(value, f.name) for f in fields(value)}
        return {k: _plain(v) for k, v in parts.items() if k not in LATER or v is not None}
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
