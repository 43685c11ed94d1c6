"""Architectures for methods that read chains of layers, and what symmetries do to predictions."""

from dataclasses import replace

import torch
from torch import nn
from weight_cases import SIREN, networks

from sne.model import Batch, Group, Preparation, prepare
from sne.models import model_kind
from sne.scaling import learn_scaling
from sne.symmetry import move_batch
from zoogen.archs import ARCHS
from zoogen.description import Architecture

CNN = ARCHS["arch2"].describe(input_shape=(3, 28, 28), classes=10)
INR = ARCHS["siren"].describe(input_shape=(2,), classes=3, width=8, depth=4)
"""Of images, so that inputs and outputs have an order to lose."""


def spread(architecture: Architecture, count: int) -> Batch:
    """Networks that differ in size as well."""
    group = networks(architecture, count)
    scale = torch.linspace(0.5, 2, count)[:, None]
    return [replace(group, weights=group.weights * scale)]


def made(name: str, architecture: Architecture, **settings: object) -> nn.Module:
    """A model for networks of one architecture, its predictions of a spread near one."""
    batch = spread(architecture, 12)
    preparation = Preparation(
        architectures=(architecture,),
        scaling=learn_scaling([(architecture, batch[0].weights)]),
        task="number",
    )
    kind = model_kind(name)
    module = prepare(kind, preparation, config=kind.config(**settings)).eval()
    with torch.no_grad():
        prediction = module(batch).prediction
        module.requires_grad_(False)
    assert prediction.std() > 0
    return module


def moved_by(module: nn.Module, batch: Batch, other: Batch) -> float:
    """How far predictions move, against how far apart those of unlike networks are."""
    with torch.no_grad():
        plain, moved = module(batch).prediction, module(other).prediction
    return float((moved - plain).abs().max() / plain.std())


def permuted(batch: Batch, *, functional: bool) -> Batch:
    """Each network by a symmetry of its own; or one of its axes alone."""
    generator = torch.Generator().manual_seed(3)
    return move_batch(batch, generator=generator, functional=functional)


def inputs_reversed(batch: Batch) -> Batch:
    """The first layer reads its inputs in reverse order, which makes another function."""
    (group,) = batch
    first = next(t for t in group.architecture.tensors if t.role == "weight")
    part = group.weights[:, first.offset : first.offset + first.size]
    turned = part.unflatten(1, first.shape).flip(2).flatten(1)
    weights = torch.cat([turned, group.weights[:, first.size :]], dim=1)
    assert first.offset == 0
    return [Group(architecture=group.architecture, weights=weights)]


__all__ = ["CNN", "INR", "SIREN", "inputs_reversed", "made", "moved_by", "permuted", "spread"]
