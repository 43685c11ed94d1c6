"""Everything that `python -m zoogen.info` says about a zoo, as one value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zoogen.look.content import Content
from zoogen.look.explain import Answer, explain
from zoogen.look.spread import (
    SPLITS,
    Spread,
    curve,
    numbers,
    spread_by_split,
    status_counts,
    words,
    worst,
)
from zoogen.plan import Plan
from zoogen.platforms import Platform
from zoogen.schema import properties
from zoogen.summary import judged_by

MSE_THRESHOLDS = (1e-4, 1e-3)
WORST = 10
# They say which network it is, not how it was trained.
NOT_HYPERPARAMETERS = ("image", "image_index", "modeldir")
# Exact fits have no logarithm; nothing that is trained in float32 comes near this.
SMALLEST_MSE = 1e-15


@dataclass(frozen=True, kw_only=True, slots=True)
class WorstMember:
    """One of the INRs that fit worst."""

    member: int
    split: str
    status: str
    steps: int
    mse: float
    signal: Mapping[str, float]
    """What it was fitted to, where that varies: frequency, amplitude, image."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Report:
    """What a zoo is and how good its networks are."""

    zoo: str
    complete: bool
    plan: Plan
    """The first one; extensions add members only."""
    platforms: tuple[str, ...]
    members: int
    members_planned: int
    members_by_split: Mapping[str, int]
    rows: int
    shards: int
    shards_planned: int
    bytes: int
    status: Mapping[str, int]
    final: Mapping[str, Mapping[str, Spread]]
    """Measured column → split (`all` first) → spread over last checkpoints."""
    checkpoints: Mapping[int, Spread]
    """The judged column after each checkpoint; empty for INRs, which keep their last state."""
    worst: tuple[WorstMember, ...]
    """For INRs only."""
    explanation: Answer

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the first plan as `plan.json` has it."""
        simple = ("zoo", "complete", "members", "members_planned", "rows", "shards")
        return {
            **{name: getattr(self, name) for name in (*simple, "shards_planned", "bytes")},
            "platforms": list(self.platforms),
            "plan": self.plan.to_json(),
            "members_by_split": dict(self.members_by_split),
            "status": dict(self.status),
            "final": {c: {s: v.to_json() for s, v in of.items()} for c, of in self.final.items()},
            "checkpoints": {str(c): v.to_json() for c, v in self.checkpoints.items()},
            "worst": [asdict(each) for each in self.worst],
            "explanation": self.explanation.to_json(),
        }


def make_report(content: Content) -> Report:
    """Work out everything; most of the time goes into the explanation."""
    plan = content.plan
    judged = judged_by(plan)
    images = plan.kind == "images"
    return Report(
        zoo=content.uri,
        complete=content.complete,
        plan=plan,
        platforms=tuple(_platform(p) for p in content.platforms),
        members=content.final.num_rows,
        members_planned=content.members_planned,
        members_by_split=_by_split(content.final),
        rows=content.table.num_rows,
        shards=content.shards,
        shards_planned=content.shards_planned,
        bytes=content.bytes,
        status=status_counts(content.final),
        final=_final(content),
        checkpoints=curve(content.table, judged, plan.checkpoints) if images else {},
        worst=() if images else _worst(content.final),
        explanation=_explain(content, judged),
    )


def chance_of(plan: Plan) -> float | None:
    """What a constant answer reaches; None for data that have no classes or do not say."""
    chance = plan.data.get("chance_accuracy")
    return None if chance is None else float(chance)


def target_values(content: Content, judged: str) -> np.ndarray:
    """What hyperparameters are to explain: the accuracy, or the logarithm of the MSE."""
    values = numbers(content.final, judged)
    return values if judged != "mse" else np.log10(np.maximum(values, SMALLEST_MSE))


def _explain(content: Content, judged: str) -> Answer:
    name = "log10 mse" if judged == "mse" else judged
    return explain(
        content.final,
        target_values(content, judged),
        name=name,
        leave_out=NOT_HYPERPARAMETERS,
    )


def _final(content: Content) -> dict[str, dict[str, Spread]]:
    """Every measured column; what an INR is fitted to is no measurement."""
    plan = content.plan
    found: dict[str, dict[str, Spread]] = {}
    for name in (p.name for p in properties(plan)):
        if name in ("frequency", "amplitude"):
            continue
        found[name] = spread_by_split(content.final, name, thresholds=_thresholds(plan, name))
    if plan.kind == "signals":
        found["epoch"] = spread_by_split(content.final, "epoch")
    return found


def _thresholds(plan: Plan, column: str) -> tuple[float, ...]:
    if column == "mse":
        return MSE_THRESHOLDS
    chance = chance_of(plan)
    return () if chance is None or column != "test_accuracy" else (chance,)


def _by_split(final: Any) -> dict[str, int]:
    found = words(final, "split")
    return {split: int(np.sum(found == split)) for split in SPLITS}


def _platform(p: Platform) -> str:
    threads = f"{p.threads} thread" if p.threads == 1 else f"{p.threads} threads"
    return (
        f"{p.device}, engine {p.engine}, {threads}, torch {p.torch}, numpy {p.numpy}, "
        f"pyarrow {p.pyarrow}"
    )


def _worst(final: Any) -> tuple[WorstMember, ...]:
    signal = [n for n in ("frequency", "amplitude") if n in final.schema.names]
    signal += [n for n in ("config.image", "config.image_index") if n in final.schema.names]
    places = worst(numbers(final, "mse"), count=WORST, largest=True)
    rows = final.select(["member", "split", "status", "epoch", "mse", *signal]).take(places)
    return tuple(
        WorstMember(
            member=row["member"],
            split=row["split"],
            status=row["status"],
            steps=row["epoch"],
            mse=row["mse"],
            signal={name.removeprefix("config."): row[name] for name in signal},
        )
        for row in rows.to_pylist()
    )
