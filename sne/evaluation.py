"""What a run says of one zoo's networks, and how good that is: the figures that are reported."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from torch import nn

from sne.checkpoint import Run, scaling_of
from sne.errors import DataError
from sne.invariance import Invariance, measure_invariance
from sne.judge import judge
from sne.metrics import Measured
from sne.networks import Networks, Which, ZooIdentity, check_values, identify, read_networks
from sne.pool import Pool, pool_networks
from sne.predict import Inference, as_model, device_of, predict
from sne.provenance import PROTOCOL_VERSION, code_version
from sne.resampling import Resampling
from sne.tables import predictions_table
from sne.targets import Target, chance_level, list_targets, target_columns, unit_of
from sne.zoo import Zoo

Split: TypeAlias = Literal["test", "all"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evaluation:
    """Figures of one run on one zoo."""

    zoo: ZooIdentity
    split: str
    which: Which
    target: Target
    n: int
    """Rows; networks, unless all checkpoints were asked for."""
    dropped: int = 0
    measured: Measured | None = None
    """None: the model cannot take these networks."""
    invariance: Invariance | None = None
    unseen: tuple[str, ...] = ()
    """Kinds of weights that training never saw; they take their nearest role's scaling."""
    refusal: str | None = None
    """Why the model cannot take them."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "zoo": self.zoo.to_json(),
            "split": self.split,
            "checkpoints": self.which.checkpoints,
            "statuses": list(self.which.status),
            "target": self.target.label,
            "n": self.n,
            "dropped": self.dropped,
            "metrics": None if self.measured is None else self.measured.to_json(),
            "invariance": None if self.invariance is None else self.invariance.to_json(),
            "unseen": list(self.unseen),
            "status": "ok" if self.refusal is None else "n/a",
            "reason": self.refusal,
        }


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evaluated:
    """An evaluation with what it was computed from."""

    evaluation: Evaluation
    predictions: Any
    """A `pyarrow.Table`, one row for each network; None if the model cannot take them."""
    chance: float | None = None
    """What a network that learnt nothing scores, where the target is an accuracy."""
    unit: str = ""
    """Of the target."""


def evaluate(  # noqa: PLR0913 (a measurement is this many things)
    run: Run,
    zoo: Zoo,
    *,
    split: Split = "test",
    which: Which | None = None,
    resampling: Resampling | None = None,
    how: Inference | None = None,
    invariance: bool = True,
) -> Evaluated:
    """Measure a run on a zoo.

    Args:
        run: with its module on the device to compute on.
        zoo: any that has the run's target.
        split: `test`; `all` where the zoo can hold no network that the run was trained on.
        which: checkpoints and status; None: those that it was trained on.
        resampling: of the intervals.
        how: networks at once and precision; None: as in training.
        invariance: whether to measure that error too, which costs ten predictions of 128 networks.

    Raises:
        DataError: the zoo lacks the target, or `all` is not allowed.
        ZooError: the zoo cannot be read.
    """
    target, which = run.target, which or run.config.data.which
    check_split(run, identify(zoo), split)
    check_target(zoo, target)
    networks = _read(zoo, target, split=split, which=which)
    pool = pool_networks([networks], target, device=device_of(run.module))
    known = {
        "zoo": networks.identity,
        "split": split,
        "which": which,
        "target": target,
        "n": len(networks),
        "dropped": networks.dropped,
    }
    refusals = (as_model(run.module).refusal(a) for a in pool.architectures)
    if refused := [reason for reason in refusals if reason is not None]:
        return Evaluated(evaluation=Evaluation(**known, refusal=refused[0]), predictions=None)
    how = how or run.inference
    predictions = predict(run.module, pool, how=how)
    chance = chance_level(zoo, target)
    evaluation = Evaluation(
        **known,
        measured=judge(target, pool, predictions, chance=chance, resampling=resampling),
        invariance=measure_invariance(run.module, pool, at_once=how.batch) if invariance else None,
        unseen=unseen_kinds(run.module, pool),
    )
    table = predictions_table(target, pool, predictions)
    return Evaluated(
        evaluation=evaluation, predictions=table, chance=chance, unit=unit_of(zoo, target)
    )


def _read(zoo: Zoo, target: Target, *, split: Split, which: Which) -> Networks:
    columns, own = (target.column,), None if split == "all" else split
    networks = read_networks(zoo, split=own, which=which, columns=columns)
    check_values(networks, target.column, what=split)
    if not len(networks):
        raise DataError(
            f"{zoo.store.uri} has no network of split {split}, and the chosen checkpoint and status"
        )
    return networks


def unseen_kinds(module: nn.Module, pool: Pool) -> tuple[str, ...]:
    """Kinds of weights in a pool that the module's training networks did not have."""
    scaling = scaling_of(module)
    if scaling is None:
        return ()
    found = (kind for architecture in pool.architectures for kind in scaling.unseen(architecture))
    return tuple(dict.fromkeys(found))


def check_split(run: Run, zoo: ZooIdentity, split: Split) -> None:
    """Whether a split may be measured on.

    Raises:
        DataError: `all`, of a zoo that may hold networks of a training zoo.
    """
    if split != "all":
        return
    for use in run.zoos:
        if (reason := zoo.shared_with(use.identity)) is not None:
            raise DataError(
                f"--split all would test {run.path} on networks that it may have been trained on: "
                f"{zoo.uri} and its training zoo {use.identity.uri}: {reason}; use --split test"
            )


def check_target(zoo: Zoo, target: Target) -> None:
    """Whether a zoo has the column that a run predicts.

    Raises:
        DataError: it has not; the sentence lists those that it has.
    """
    if target.column not in target_columns(zoo):
        raise DataError(
            f"the run predicts {target.column}, which {zoo.store.uri} does not have; it has "
            f"{list_targets(zoo)}"
        )


def figures_json(run: Run, evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation with what is needed to trace it: run, budget, versions."""
    return {
        "run": str(run.path),
        "model": run.config.model,
        "seed": run.config.training.seed,
        "train_zoos": [use.identity.to_json() for use in run.zoos],
        "n_train": sum(use.train for use in run.zoos),
        "budget": dict(run.budget),
        "trained": run.result.get("trained"),
        **evaluation.to_json(),
        "protocol_version": PROTOCOL_VERSION,
        "code_version": code_version(),
    }
