"""From a training's record and its evaluations to rows of the results format."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sne.provenance import PROTOCOL_VERSION, code_version
from sne.report import untrained_text
from sweeps.results import NOT_APPLICABLE, OK, UNTRAINED, ZooLabel
from sweeps.trial import Trial

Json = Mapping[str, Any]
NO_ESTIMATE: Json = {"value": None, "low": None, "high": None, "level": None, "method": "", "n": 0}
NO_BUDGET: Json = {"epochs": 0, "steps": 0, "seconds": 0.0, "best_epoch": 0}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trained:
    """What the rows of one trial share."""

    target: str
    n_train: int = 0
    parameters: int = 0
    budget: Json
    """Epochs, steps, seconds, best_epoch."""
    judged: Json | None = None
    """`enough` and `gain_over_constant`; None: nothing was trained."""

    @property
    def reason(self) -> str | None:
        """Why its figures say nothing of the method; None if they do."""
        if self.judged is None or self.judged["enough"]:
            return None
        return untrained_text(self.judged)


def training_rows(trial: Trial, trained: Trained, curves: Sequence[Json]) -> Iterator[Json]:
    """How far it was trained, and what settings are chosen by."""
    base = _base(trial, trained)
    if trained.judged is not None:
        estimate = trained.judged["gain_over_constant"]
        yield {**base, **_estimate(estimate), "split": "train", "metric": "gain_over_constant"}
    best = trained.budget["best_epoch"]
    kept = [row for row in curves if row["epoch"] == best and row["val_loss"] is not None]
    for row in kept:
        value = {**NO_ESTIMATE, "value": row["val_loss"]}
        yield {**base, **_estimate(value), "split": "val", "metric": "val_loss"}


def test_rows(trial: Trial, trained: Trained, zoo: ZooLabel, figures: Json) -> Iterator[Json]:
    """One evaluation, as `sne.evaluation.Evaluation.to_json` gives it."""
    base = {
        **_base(trial, trained),
        "split": figures["split"],
        "test_zoo": zoo.to_json(),
        "dropped": figures["dropped"],
        "unseen": list(figures["unseen"]),
    }
    if figures["metrics"] is None:
        yield refused_row(trial, trained, zoo, reason=figures["reason"], n=figures["n"])
        return
    for name, estimate in figures["metrics"].items():
        yield {**base, **_estimate(estimate), "metric": name}
    invariance = figures["invariance"]
    if invariance is not None:
        for name, value in (("", "functional"), ("_control", "control")):
            estimate = {**NO_ESTIMATE, "value": invariance[value], "n": invariance["n"]}
            estimate["reason"] = invariance["reason"] if invariance[value] is None else None
            yield {**base, **_estimate(estimate), "metric": f"invariance{name}"}


def refused_row(
    trial: Trial, trained: Trained, zoo: ZooLabel, *, reason: str, n: int = 0
) -> dict[str, Any]:
    """A test that the model cannot take, under the metric that its target is judged by."""
    return {
        **_base(trial, trained),
        **_estimate({**NO_ESTIMATE, "n": n}),
        "split": "test",
        "test_zoo": zoo.to_json(),
        "metric": "tau",
        "status": NOT_APPLICABLE,
        "reason": reason,
    }


def _base(trial: Trial, trained: Trained) -> dict[str, Any]:
    content = trial.content
    return {
        "trial": trial.hash,
        "model": trial.model,
        "seed": trial.seed,
        "train_zoos": [ref.label.to_json() for ref in trial.train],
        "test_zoo": None,
        "target": trained.target,
        "checkpoints": trial.config.data.checkpoints,
        "n_train": trained.n_train,
        "dropped": 0,
        **{name: trained.budget[name] for name in NO_BUDGET},
        "parameters": trained.parameters,
        "unseen": [],
        "status": OK if trained.reason is None else UNTRAINED,
        "reason": trained.reason,
        "protocol_version": PROTOCOL_VERSION,
        "code_version": code_version(),
        "config": json.dumps(content, sort_keys=True, ensure_ascii=False),
    }


def _estimate(estimate: Json) -> dict[str, Any]:
    """The columns of one figure; the reason of a missing value goes before the trial's own."""
    columns = {name: estimate[name] for name in ("value", "low", "high", "level", "method")}
    columns |= {"n_networks": estimate["n"], "tied": estimate.get("tied")}
    columns["tie_ceiling"] = estimate.get("ceiling")
    if estimate["value"] is None and estimate.get("reason"):
        columns["reason"] = estimate["reason"]
    return columns
