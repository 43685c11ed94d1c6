"""A row of the table: what was promised, what was reached, the verdict; as text and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from benchmarks.timing import Samples

Fault: TypeAlias = Literal["wrong", "failed", "skipped"]
"""wrong: the answer was; failed: no answer came; skipped: it cannot be measured here."""
Verdict: TypeAlias = Literal["pass", "miss", "reported", "wrong", "failed", "skipped"]
HEADER = ("row", "what", "promised", "reached", "verdict", "note")


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """A bound on what a row reaches."""

    bound: float
    kind: Literal["at least", "at most"] = "at least"

    def kept(self, reached: float) -> bool:
        """Whether the row passes."""
        return reached >= self.bound if self.kind == "at least" else reached <= self.bound


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    """`theme/what`, unique: what `--only` matches."""
    what: str
    unit: str = "×"
    promise: Promise | None = None
    """None: the figure is reported, nothing was promised."""
    reached: float | None = None
    samples: tuple[Samples, ...] = ()
    note: str = ""
    fault: Fault | None = None

    @property
    def verdict(self) -> Verdict:
        """What came of it."""
        if self.fault is not None:
            return self.fault
        if self.reached is None:
            return "failed"
        if self.promise is None:
            return "reported"
        return "pass" if self.promise.kept(self.reached) else "miss"

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `HEADER`."""
        promised = "–" if self.promise is None else self._promised(self.promise)
        reached = "–" if self.reached is None else f"{show(self.reached)} {self.unit}".strip()
        note = self.note.replace("|", "/").replace("\n", " ")
        return (self.name, self.what, promised, reached, self.verdict, note)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "promise": None if self.promise is None else asdict(self.promise),
            "reached": self.reached,
            "verdict": self.verdict,
            "note": self.note,
            "fault": self.fault,
            "samples": [s.to_json() for s in self.samples],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Row":
        """The inverse of `to_json`; keys that it does not know (the machine) are left."""
        promise = value["promise"]
        return cls(
            name=value["name"],
            what=value["what"],
            unit=value["unit"],
            promise=None if promise is None else Promise(**promise),
            reached=value["reached"],
            note=value["note"],
            fault=value["fault"],
            samples=tuple(Samples.from_json(s) for s in value["samples"]),
        )

    def _promised(self, promise: Promise) -> str:
        sign = "≥" if promise.kind == "at least" else "≤"
        return f"{sign} {show(promise.bound)} {self.unit}".strip()


def show(number: float) -> str:
    """Three significant digits, thousands with a comma: 0.412, 3.2, 90,300."""
    if abs(number) >= 1000:
        return f"{round(number, -2):,.0f}"
    return f"{number:.3g}"


def markdown(rows: Iterable[Row]) -> str:
    """The table."""
    lines = [HEADER, ("---",) * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plain(rows: Iterable[Row]) -> str:
    """The table in aligned columns for a terminal, notes left out."""
    lines = [HEADER[:-1], *(row.cells()[:-1] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER) - 1)]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()


def verdict_counts(rows: Iterable[Row]) -> str:
    """`12 pass, 1 miss, 3 reported`."""
    verdicts = [row.verdict for row in rows]
    order: tuple[Verdict, ...] = ("pass", "miss", "reported", "skipped", "wrong", "failed")
    return ", ".join(f"{verdicts.count(v)} {v}" for v in order if v in verdicts)
