"""Whether trials fit a card, and how many of them share one: nothing is begun that cannot end."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sne.capacity import fit_micro_batch
from sne.cards import RESERVED_BYTES, Card, parse_card, size_text
from sne.config import TrainConfig
from sne.errors import ModelError
from sne.footprint import DeviceKind
from sne.rehearsal import plan_training
from sne.workload import Workload, read_workload
from sweeps.errors import PlanError
from sweeps.options import Execution
from sweeps.trial import Trial
from zoogen.machine import available_gpus

MANY = 8
"""Trials for which planning takes long enough to be said."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A trial that fits."""

    trial: Trial
    """With the micro-batch that makes it fit, where it was fitted."""
    bytes: int
    """At its peak; 0 for a model that cannot take the networks, which is n/a."""
    share: float
    """Of a card, so that as many as have room run on one."""


def device_kind(execution: Execution) -> DeviceKind:
    """What memory is planned for."""
    if execution.device != "auto":
        return "cuda" if execution.device.startswith("cuda") else "cpu"
    return "cuda" if execution.address is not None or available_gpus() else "cpu"


def plan_trials(trials: Sequence[Trial], execution: Execution) -> tuple[Planned, ...]:
    """Plan the memory of all trials, those that differ by seed or epochs once.

    Raises:
        PlanError: one does not fit the card, and is not to be fitted, or cannot be.
        SettingError: the card's size is none.
    """
    card, kind = parse_card(execution.card), device_kind(execution)
    if len(trials) > MANY:
        log.info("planning the memory of %d trials for a card of %s", len(trials), card.label)
    return tuple(_plan(trials, card, kind, fitted=execution.fit))


def share_of(needed_bytes: int, card: Card) -> float:
    """The part of a card to reserve for a trial, each with a CUDA context of its own."""
    at_once = max(1, card.total_bytes // (needed_bytes + RESERVED_BYTES))
    # Rounded down, so that so many shares are no more than a card.
    return int(10_000 / at_once) / 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fit:
    """How trials of one configuration fit."""

    bytes: int
    micro_batch: int | None
    """What it must be."""


def _plan(
    trials: Sequence[Trial], card: Card, kind: DeviceKind, *, fitted: bool
) -> Iterator[Planned]:
    workloads: dict[object, Workload] = {}
    known: dict[TrainConfig, _Fit] = {}
    for trial in trials:
        config, training = trial.config, trial.config.training
        same = trial.epoch
        if same not in known:
            if config.data not in workloads:
                workloads[config.data] = read_workload(config)
            known[same] = _fit(trial, workloads[config.data], card, kind, fitted=fitted)
        fit = known[same]
        changed = replace(config, training=replace(training, micro_batch=fit.micro_batch))
        yield Planned(
            trial=replace(trial, config=changed), bytes=fit.bytes, share=share_of(fit.bytes, card)
        )


def _fit(trial: Trial, workload: Workload, card: Card, kind: DeviceKind, *, fitted: bool) -> _Fit:
    config, micro_batch = trial.config, trial.config.training.micro_batch
    try:
        plan = plan_training(config, workload, device=kind)
    except ModelError:  # n/a: no model, no memory
        return _Fit(bytes=0, micro_batch=micro_batch)
    if plan.fits(card):
        return _Fit(bytes=plan.total_bytes, micro_batch=micro_batch)
    smaller = None if plan.at_once else fit_micro_batch(config, workload, card, device=kind)
    if fitted and smaller is not None:
        return _Fit(bytes=smaller.total_bytes, micro_batch=smaller.batch)
    advice = "choose a smaller model with --set, or a larger --card"
    if smaller is not None:
        advice = f"add --fit to compute {smaller.batch} networks at once, or {advice}"
    raise PlanError(f"{trial} needs {size_text(plan.total_bytes)}, and --card {card}: {advice}")
