"""The hyperparameters that members can differ in: what each may be, and its place in the stream.

The names are the columns of the Small CNN Zoo's metrics file (without `config.`) where it has one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zoogen.distributions import Distribution, Value, ValueKind, describe, support
from zoogen.errors import PlanError


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameter:
    """One hyperparameter and the values that engines can train with."""

    slot: int
    """Which number of the member's configuration stream draws it: never reused, never changed."""
    meaning: str
    options: tuple[str, ...] = ()
    """All values of a text hyperparameter; empty for a number."""
    low: float = float("-inf")
    high: float = float("inf")
    open_low: bool = False
    """True: low itself is not allowed."""
    open_high: bool = False

    @property
    def kind(self) -> ValueKind:
        """Whether its values are text or numbers."""
        return "text" if self.options else "float"

    def allows(self, value: Value) -> bool:
        """Whether members may have this value."""
        if self.options:
            return value in self.options
        if not isinstance(value, float):
            return False
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    @property
    def domain(self) -> str:
        """The allowed values in words."""
        if self.options:
            return "one of " + ", ".join(self.options)
        low = "(" if self.open_low else "["
        high = ")" if self.open_high else "]"
        return f"a number in {low}{self.low:g}, {self.high:g}{high}"


HYPERPARAMETERS: Mapping[str, Hyperparameter] = {
    "optimizer": Hyperparameter(
        slot=0, meaning="update rule", options=("sgd", "adam", "rmsprop", "adamw")
    ),
    "learning_rate": Hyperparameter(slot=1, meaning="constant step size", low=0.0, open_low=True),
    "l2reg": Hyperparameter(slot=2, meaning="l2 in l2·Σw² over kernels", low=0.0),
    "dropout": Hyperparameter(
        slot=3, meaning="rate after each activation", low=0.0, high=1.0, open_high=True
    ),
    "w_init": Hyperparameter(
        slot=4,
        meaning="kernel initialiser, by Keras name",
        options=(
            *("glorot_normal", "he_normal", "orthogonal", "RandomNormal", "TruncatedNormal"),
            *("uniform", "normal", "kaiming_uniform", "kaiming_normal"),
        ),
    ),
    "init_std": Hyperparameter(
        slot=5,
        meaning="standard deviation of RandomNormal and TruncatedNormal; drawn for all",
        low=0.0,
        open_low=True,
    ),
    "b_init": Hyperparameter(slot=6, meaning="bias initialiser", options=("zeros", "0.01")),
    "activation": Hyperparameter(
        slot=7,
        meaning="of hidden layers",
        options=("relu", "tanh", "sigmoid", "gelu", "leaky_relu", "silu"),
    ),
    "train_fraction": Hyperparameter(
        slot=8, meaning="share of the training images used", low=0.0, high=1.0, open_low=True
    ),
    "momentum": Hyperparameter(
        slot=9, meaning="of sgd; other optimizers ignore it", low=0.0, high=1.0, open_high=True
    ),
    "epsilon": Hyperparameter(
        slot=10, meaning="in the denominator of adam and rmsprop", low=0.0, open_low=True
    ),
    "weight_decay": Hyperparameter(
        slot=11, meaning="of every parameter: added to the gradient, of adamw to the step", low=0.0
    ),
    "frequency": Hyperparameter(slot=12, meaning="b of the signal a·sin(b·x)"),
    "amplitude": Hyperparameter(slot=13, meaning="a of the signal a·sin(b·x)"),
}
SLOTS = 16
"""Numbers drawn for each member's configuration, used or not; more may be added at the end."""


def check_distribution(name: str, distribution: Distribution, *, where: str) -> None:
    """Refuse a distribution that could draw a value no engine can train with.

    Raises:
        PlanError: unknown hyperparameter or a value outside its domain.
    """
    if name not in HYPERPARAMETERS:
        known = ", ".join(HYPERPARAMETERS)
        raise PlanError(f"{where}: unknown hyperparameter {name!r}; known: {known}")
    hyperparameter = HYPERPARAMETERS[name]
    wrong = [v for v in support(distribution) if not hyperparameter.allows(v)]
    if wrong:
        raise PlanError(
            f"{where}: {name} must be {hyperparameter.domain}, got {wrong[0]!r} "
            f"in {describe(distribution)!r}"
        )
