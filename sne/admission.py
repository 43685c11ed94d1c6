"""Whether a training may start on its card: as it is set, in parts of its batches, or not at all.

Decided from columns and descriptions, before anything is allocated. The parts that --fit chooses go
into the run's config, so that they are recorded, and an interrupted run goes on with its own.
"""

import logging
from dataclasses import replace
from pathlib import Path

import torch

from sne.capacity import fit_micro_batch
from sne.cards import RESERVED_BYTES, Card, card_of, parse_card, size_text
from sne.checkpoint import CONFIG, RESULT
from sne.config import Machine, TrainConfig
from sne.errors import CapacityError, SettingError
from sne.files import read_json
from sne.footprint import DeviceKind
from sne.rehearsal import MemoryPlan, plan_training
from sne.workload import read_workload

log = logging.getLogger(__name__)


def admit(config: TrainConfig, *, machine: Machine, device: torch.device, out: Path) -> TrainConfig:
    """The training as it fits its card.

    Args:
        config: as it was asked for.
        machine: which card, and whether batches may be computed in parts.
        device: what it runs on.
        out: the run's folder, where one may have begun.

    Raises:
        CapacityError: it does not fit; the sentence says what would.
        SettingError: --fit where nothing says how much there is.
        ZooError: a zoo that cannot be read.
    """
    card = _card(machine, device)
    chooses = machine.fit and config.training.micro_batch is None
    begun = (out / CONFIG).exists()
    if chooses and begun:
        recorded = read_json(out / CONFIG)["config"]["training"]["micro_batch"]
        config = _in_parts(config, recorded)
    if card is None or (out / RESULT).exists():
        return config
    workload = read_workload(config)
    if not workload.epoch:
        return config
    kind = _kind(device)
    plan = plan_training(config, workload, device=kind)
    if plan.fits(card):
        log.info("memory: needs %s, the card has %s", size_text(plan.total_bytes), _room(card))
        return config
    found = fit_micro_batch(config, workload, card, device=kind)
    if found is None or not chooses or begun:
        raise CapacityError(refusal(config, plan, found, card=card))
    log.info(
        "memory: batches of %d are computed in parts of %d: they need %s, the card has %s",
        *(config.training.batch, found.batch, size_text(found.total_bytes), _room(card)),
    )
    return _in_parts(config, found.batch)


def refusal(config: TrainConfig, plan: MemoryPlan, found: MemoryPlan | None, *, card: Card) -> str:
    """Why a training does not fit, and what would.

    Args:
        config: the training.
        plan: of it.
        found: the largest micro-batch that fits, as `capacity.fit_micro_batch` has it.
        card: where it is to run.
    """
    needs = (
        f"{config.model} needs {size_text(plan.total_bytes)} for {plan.batch} networks at once, "
        f"and {card.label} has {_room(card)}"
    )
    if found is None:
        return (
            f"{needs}: not even one network at a time fits; take a larger card, or a smaller model"
        )
    return (
        f"{needs}: --micro-batch {found.batch} would fit ({size_text(found.total_bytes)}, the same "
        "steps), which --fit chooses in a new run"
    )


def _card(machine: Machine, device: torch.device) -> Card | None:
    """The one that was named, else the device itself; a CPU has no limit of its own."""
    if machine.card is not None:
        return parse_card(machine.card)
    if device.type == "cuda":
        return card_of(device)
    if machine.fit:
        raise SettingError(f"--fit needs --card SIZE on {device.type}: how much may be taken?")
    return None


def _kind(device: torch.device) -> DeviceKind:
    return "cpu" if device.type == "cpu" else "cuda"


def _room(card: Card) -> str:
    total, kept = size_text(card.total_bytes), size_text(RESERVED_BYTES)
    return f"{size_text(card.budget_bytes)} to give ({total}, less {kept} for its context)"


def _in_parts(config: TrainConfig, size: int | None) -> TrainConfig:
    return replace(config, training=replace(config.training, micro_batch=size))
