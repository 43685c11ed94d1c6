"""What one hyperparameter is drawn from, as plain values; and the same read from a command line.

A draw uses exactly one uniform number, so hyperparameters can be given one fixed place each in a
member's stream (`zoogen.hyperparameters`), and replacing one distribution changes no other draw.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from zoogen.errors import PlanError

Value: TypeAlias = str | int | float | bool
"""One cell of a configuration."""
ValueKind: TypeAlias = Literal["float", "text"]
SYNTAX = "VALUE, or A,B,C (one of these), or LOW..HIGH (uniform), or log:LOW..HIGH (log-uniform)"
"""How a distribution is written on the command line."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any number from low to high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high)

    def at(self, u: float) -> float:
        """The value at the quantile u in [0, 1)."""
        return self.low + u * (self.high - self.low)

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        return self.at(rng.random())


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Any number from low to high, uniform in its logarithm."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high)
        if self.low <= 0:
            raise PlanError(f"a log-uniform range starts above 0, got {self.low}..{self.high}")

    def at(self, u: float) -> float:
        """The value at the quantile u in [0, 1).

        Rounded to 12 significant digits: math libraries differ in the last bit of log and exp,
        and a member's configuration must be the same on every machine.
        """
        start = math.log(self.low)
        return float(f"{math.exp(start + u * (math.log(self.high) - start)):.12g}")

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        return self.at(rng.random())


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options, each as likely as the others."""

    options: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.options or len(set(self.options)) != len(self.options):
            raise PlanError(f"a choice needs options that differ, got {self.options!r}")

    def at(self, u: float) -> Value:
        """The value at the quantile u in [0, 1)."""
        return self.options[int(u * len(self.options))]

    def draw(self, rng: np.random.Generator) -> Value:
        """One value."""
        return self.at(rng.random())


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every member."""

    value: Value

    def at(self, u: float) -> Value:
        """The value, whatever the quantile."""
        return self.value

    def draw(self, rng: np.random.Generator) -> Value:
        """The value; it uses up one number all the same."""
        return self.at(rng.random())


Plain: TypeAlias = Uniform | LogUniform | Choice | Constant


@dataclass(frozen=True, slots=True)
class Depends:
    """One distribution for each value of another hyperparameter: rates by optimizer."""

    on: str
    """The other hyperparameter, which draws from a plain distribution."""
    cases: Mapping[str, Plain]
    """By its values."""

    def given(self, value: Value) -> Plain:
        """The distribution where the other hyperparameter has this value.

        Raises:
            PlanError: there is none for it.
        """
        if value not in self.cases:
            known = ", ".join(self.cases)
            raise PlanError(f"no distribution for {self.on} {value!r}; there are: {known}")
        return self.cases[str(value)]


Distribution: TypeAlias = Plain | Depends
KINDS: Mapping[str, type[Plain]] = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "choice": Choice,
    "constant": Constant,
}
DEPENDS = "depends"


def support(distribution: Distribution) -> tuple[Value, ...]:
    """The options of a choice or constant, the two ends of a range; of all cases together."""
    if isinstance(distribution, Depends):
        return tuple(value for case in distribution.cases.values() for value in support(case))
    if isinstance(distribution, Choice):
        return distribution.options
    if isinstance(distribution, Constant):
        return (distribution.value,)
    return distribution.low, distribution.high


def describe(distribution: Distribution) -> str:
    """The distribution as `parse` reads it; one that depends, case by case."""
    if isinstance(distribution, Depends):
        cases = (f"{describe(d)} for {value}" for value, d in distribution.cases.items())
        return "; ".join(cases)
    if isinstance(distribution, Uniform):
        return f"{distribution.low:g}..{distribution.high:g}"
    if isinstance(distribution, LogUniform):
        return f"log:{distribution.low:g}..{distribution.high:g}"
    return ",".join(str(v) for v in support(distribution))


def to_json(distribution: Distribution) -> dict[str, Any]:
    """Plain values with the kind's name."""
    if isinstance(distribution, Depends):
        cases = {value: to_json(d) for value, d in distribution.cases.items()}
        return {"kind": DEPENDS, "on": distribution.on, "cases": cases}
    kind = next(name for name, cls in KINDS.items() if cls is type(distribution))
    values = {k: list(v) if k == "options" else v for k, v in asdict(distribution).items()}
    return {"kind": kind, **values}


def from_json(value: Mapping[str, Any]) -> Distribution:
    """The inverse of `to_json`, also after a round trip through JSON text."""
    if value["kind"] == DEPENDS:
        return Depends(value["on"], {k: _plain_from_json(v) for k, v in value["cases"].items()})
    return _plain_from_json(value)


def _plain_from_json(value: Mapping[str, Any]) -> Plain:
    fields: dict[str, Any] = {k: v for k, v in value.items() if k != "kind"}
    if "options" in fields:
        fields["options"] = tuple(fields["options"])
    return KINDS[value["kind"]](**fields)


def parse(text: str, *, kind: ValueKind) -> Plain:
    """Read a distribution from the command line; `SYNTAX` says how it is written.

    Raises:
        PlanError: the text is no distribution of that kind of value.
    """
    text = text.strip()
    if kind == "float" and ".." in text:
        logarithmic = text.startswith("log:")
        low, _, high = text.removeprefix("log:").partition("..")
        cls = LogUniform if logarithmic else Uniform
        return cls(_number(low, text), _number(high, text))
    parts = [p.strip() for p in text.split(",")]
    if not all(parts) or text.startswith("log:"):
        raise PlanError(f"cannot read {text!r} as a distribution: wanted {SYNTAX}")
    values = tuple(_number(p, text) if kind == "float" else p for p in parts)
    return Constant(values[0]) if len(values) == 1 else Choice(values)


def _number(part: str, text: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise PlanError(f"cannot read {part!r} in {text!r} as a number: wanted {SYNTAX}") from None


def _check_ends(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise PlanError(f"a range goes from a lower to a higher number, got {low}..{high}")
