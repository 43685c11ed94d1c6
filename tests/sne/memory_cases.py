"""Trainings whose memory is planned and measured, and how both are done."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from sne.config import TrainConfig
from sne.fit import Fitted, Saving, fit
from sne.layout import Members
from sne.lesson import NetworkLesson
from sne.material import new_module
from sne.model import Preparation, own_activations
from sne.pool import Pool
from sne.recipes import default_config
from sne.scaling import no_scaling
from sne.slabs import Slabs, use_slabs
from sne.targets import Target
from sne.workload import Held, Workload
from zoogen.archs import ARCHS
from zoogen.contract import infer_module
from zoogen.description import Architecture


class SmallViT(nn.Module):
    """A transformer on 16 patches of grey images, as torch.nn has its parts: 25,184 parameters."""

    def __init__(self) -> None:
        super().__init__()
        width = 32
        self.patch = nn.Conv2d(1, width, 7, stride=7)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 17, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 107, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(width, 10)


ARCHITECTURES: dict[str, Architecture] = {
    "arch1": ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10),
    "arch2": ARCHS["arch2"].describe(input_shape=(3, 28, 28), classes=10),
    "siren": ARCHS["siren"].describe(input_shape=(1,), classes=1),
    "vit": infer_module(SmallViT()).architecture,
}
SHARE, NUMBER = Target(column="test_accuracy", kind="share"), Target(column="x", kind="number")


def workload(members: Members, target: Target = SHARE) -> Workload:
    """A zoo of each architecture, with as many networks to train on as to select by."""
    held = (
        Held(zoo=zoo, architecture=architecture, train=count, val=count)
        for zoo, (architecture, count) in enumerate(members)
    )
    return Workload(target=target, held=tuple(held))


def config(architecture: str, *, model: str = "sne", batch: int) -> TrainConfig:
    """The recipe's training of a model on such networks, two epochs long."""
    recipe = "inr" if architecture == "siren" else "cnn"
    found = default_config(["zoo"], model=model, recipe=recipe)
    return replace(found, training=replace(found.training, batch=batch, epochs=2))


def train_for_real(
    config: TrainConfig,
    members: Members,
    *,
    slabs: Slabs | None = None,
    device: str = "cpu",
    target: Target = SHARE,
) -> Fitted:
    """The loop itself, on random networks: everything is made here, nothing is kept."""
    preparation = Preparation(
        architectures=tuple(architecture for architecture, _ in members),
        scaling=no_scaling(config.training.scaling),
        task=target.kind,
        outputs=target.outputs,
    )
    module = new_module(config, preparation).to(device)
    use_slabs(module, slabs)
    lesson = NetworkLesson(
        module,
        target,
        train=_pool(members, device),
        validation=_pool(members, device),
        training=config.training,
        symmetry=config.symmetry,
    )
    return fit(
        lesson,
        config.optimizer,
        epochs=config.training.epochs,
        state=None,
        report=lambda progress: None,
        saving=Saving(every_s=3600.0, save=lambda state: None),
    )


def _pool(members: Members, device: str) -> Pool:
    count = sum(count for _, count in members)
    return Pool(
        architectures=tuple(architecture for architecture, _ in members),
        weights=tuple(torch.randn(n, a.parameters, device=device) for a, n in members),
        activations=tuple(
            {name: torch.arange(n) % 2 for name in own_activations(a)} for a, n in members
        ),
        target=np.linspace(0.1, 0.9, count),
        zoo=np.zeros(count, dtype=np.int64),
        rows=None,
    )
