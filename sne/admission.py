"""Whether a training may start on its card: as it is set, in parts of its batches, or not at all.

Decided from columns and descriptions, before anything is allocated. The parts that --fit chooses go
into the run's config, so that they are recorded, and an interrupted run goes on with its own.
"""

import logging
from dataclasses import replace
from pathlib import Path

import torch

from sne.capacity import fit_micro_batch, refusal
from sne.cards import Card, card_of, parse_card, size_text
from sne.checkpoint import CONFIG, RESULT
from sne.config import Machine, TrainConfig
from sne.errors import CapacityError, SettingError
from sne.files import read_json
from sne.footprint import DeviceKind
from sne.rehearsal import plan_training
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
        log.info("memory: %s needed, %s", size_text(plan.total_bytes), card)
        return config
    if chooses and not begun and not plan.at_once:
        found = fit_micro_batch(config, workload, card, device=kind)
        if found is not None:
            log.info(
                "memory: batches of %d are computed in parts of %d: %s needed, %s",
                *(config.training.batch, found.batch, size_text(found.total_bytes), card),
            )
            return _in_parts(config, found.batch)
    raise CapacityError(refusal(config, workload, plan, card))


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


def _in_parts(config: TrainConfig, size: int | None) -> TrainConfig:
    return replace(config, training=replace(config.training, micro_batch=size))
