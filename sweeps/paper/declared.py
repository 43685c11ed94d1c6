"""What a table or a figure is made of: zoos, lines that are trained, pairs of zoos. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sweeps.factors import Changes
from sweeps.paper.published import PUBLISHED, Published

Use: TypeAlias = Literal["train", "test"]
Shape: TypeAlias = Literal["lines", "pairs", "averages", "sizes", "plane"]
"""lines: a row for each line, all on one zoo. pairs: a row for each pair, a column for each line.
averages: pairs, averaged over those with the same training zoo. sizes: pairs drawn over the number
of training networks. plane: encodings by t-SNE."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """A zoo that is wanted, whatever its size."""

    dataset: str
    """As `--dataset` takes it."""
    arch: str
    """As `--arch` takes it."""
    use: Use = "train"
    """test: nothing is trained on it here, so it needs no training split."""
    part: int = 1
    """Only the first one in so many of its members (Figure 3)."""

    @property
    def key(self) -> str:
        """What `--use` calls it."""
        return f"{self.dataset}-{self.arch}" + (f"/{self.part}" if self.part > 1 else "")

    def __str__(self) -> str:
        text = f"{self.dataset} × {self.arch}"
        return text if self.part == 1 else f"{text}, 1/{self.part} of the members"


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One model with its settings: a row or a column."""

    name: str
    model: str
    """As `--model` takes it."""
    settings: tuple[str, ...] = ()
    """As `--set` takes them, after those of the scale."""
    changes: Changes = field(default_factory=dict[str, object])
    """As an ablation has them, after the settings."""
    scales: tuple[str, ...] = ()
    """Only at these; none: at all."""
    extra: bool = False
    """Not in the paper."""
    schedule: str = ""
    """Lines that share one are trained for equally many epochs; none: by itself."""
    instead: Need | None = None
    """Trained on this zoo, whatever the pair says."""

    @property
    def pace(self) -> str:
        """Lines of one pace are trained for equally many epochs."""
        return self.schedule or self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Trained on, tested on."""

    label: str
    """The row, as the paper writes it."""
    train: tuple[Need, ...]
    """Several: one model on all of them together."""
    test: Need


@dataclass(frozen=True, kw_only=True, slots=True)
class Artefact:
    """A table or a figure."""

    name: str
    """What the command calls it."""
    title: str
    shape: Shape
    lines: tuple[Line, ...]
    pairs: tuple[Pair, ...]
    metric: str
    """Of results: tau, mse, invariance."""
    fixed: bool = True
    """Shown with three decimals."""
    study: str
    """Artefacts of one study share their trials, and so their folder."""
    kind: Literal["cnn", "inr"]
    """Of the networks: which of a scale's settings apply."""
    small: bool = False
    """Below the paper's scale, the smaller encoder of a scale stands for the paper's."""
    once: bool = False
    """One seed at any scale, as in the paper."""
    row_heading: str = "model"
    notes: tuple[str, ...] = ()
    """Readings of the paper that it rests on."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """Its zoos, each once: trained on first."""
        trained = [need for pair in self.pairs for need in pair.train]
        instead = [line.instead for line in self.lines if line.instead is not None]
        tested = [pair.test for pair in self.pairs]
        found: dict[str, Need] = {}
        for need in (*trained, *instead, *tested):
            found.setdefault(need.key, need)
        return tuple(found.values())

    @property
    def sized(self) -> bool:
        """Whether zoos of several sizes are compared."""
        return any(need.part > 1 for need in self.needs)

    @property
    def published(self) -> Mapping[tuple[str, str], Published]:
        """What the paper prints, by row and column."""
        return PUBLISHED[self.name]

    def lines_at(self, scale: str) -> tuple[Line, ...]:
        """The lines of a scale."""
        return tuple(line for line in self.lines if not line.scales or scale in line.scales)

    def trained_on(self, line: Line, pair: Pair) -> tuple[Need, ...]:
        """The zoos that a line is trained on for a pair."""
        return pair.train if line.instead is None else (line.instead,)
