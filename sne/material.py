"""What a training learns from: zoos read into pools, the target fitted, the module prepared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sne.checkpoint import ZooUse
from sne.config import TrainConfig
from sne.errors import DataError
from sne.fresh import new_module
from sne.model import Preparation
from sne.networks import Networks, check_splits, check_values, open_zoos, read_networks
from sne.pool import Pool, pool_networks
from sne.scaling import learn_scaling
from sne.targets import Target, choose_target
from sne.zoo import Zoo

SPLITS: Mapping[str, str] = {"train": "training", "val": "validation"}
"""With what a sentence calls them."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Material:
    """Everything that a training is made of."""

    zoos: tuple[Zoo, ...]
    target: Target
    uses: tuple[ZooUse, ...]
    pools: Mapping[str, Pool]
    """By split."""


def read_material(config: TrainConfig, *, device: torch.device) -> Material:
    """Open and read the zoos; what is learnt about the target is learnt from training networks.

    Raises:
        DataError: a zoo that cannot be trained on, or a target that cannot be learnt.
        ZooError: a zoo that cannot be read.
    """
    data = config.data
    if not data.zoo:
        raise DataError("a training needs at least one --zoo")
    zoos = open_zoos(data.zoo)
    for zoo in zoos:
        check_splits(zoo)
    target = choose_target(zoos, data.target)
    chosen = {split: _read(zoos, config, target, split) for split in SPLITS}
    _check_different(chosen["train"])
    values = [value for networks in chosen["train"] for value in networks.column(target.column)]
    target = target.fitted(values, where=", ".join(data.zoo))
    uses = tuple(
        ZooUse(identity=train.identity, train=len(train), val=len(val), dropped=train.dropped)
        for train, val in zip(chosen["train"], chosen["val"], strict=True)
    )
    pools = {split: pool_networks(read, target, device=device) for split, read in chosen.items()}
    return Material(zoos=zoos, target=target, uses=uses, pools=pools)


def make_module(config: TrainConfig, material: Material) -> nn.Module:
    """A fresh module for a training.

    Raises:
        ModelError: the model cannot take one of the architectures.
        SettingError: a model that is fitted at once, with symmetries to train on.
    """
    pool = material.pools["train"]
    parts = zip(pool.architectures, pool.weights, strict=True)
    preparation = Preparation(
        architectures=pool.architectures,
        scaling=learn_scaling(parts, how=config.training.scaling),
        task=material.target.kind,
        outputs=material.target.outputs,
    )
    return new_module(config, preparation)


def summary_line(config: TrainConfig, material: Material, module: nn.Module) -> str:
    """What is about to be trained, in one line."""
    counts = {split: _counted(pool) for split, pool in material.pools.items()}
    parameters = sum(p.numel() for p in module.parameters())
    size = f" ({parameters:,} parameters)" if parameters else ""
    families = ", ".join(dict.fromkeys(a.family for a in material.pools["train"].architectures))
    return (
        f"{config.model}{size} predicts {material.target.label} of {families}: "
        f"{counts['train']} to train on, {counts['val']} to select by"
    )


def _counted(pool: Pool) -> str:
    networks = pool.count_networks()
    rows = f" ({len(pool)} checkpoints)" if len(pool) > networks else ""
    return f"{networks} networks{rows}"


def _read(
    zoos: Sequence[Zoo], config: TrainConfig, target: Target, split: str
) -> tuple[Networks, ...]:
    which, columns = config.data.which, (target.column,)
    found = tuple(read_networks(z, split=split, which=which, columns=columns) for z in zoos)
    for networks in found:
        check_values(networks, target.column, what=SPLITS[split])
    return found


def _check_different(zoos: Sequence[Networks]) -> None:
    for number, one in enumerate(zoos):
        if not len(one):
            raise DataError(
                f"{one.identity.uri} has no training networks of the chosen checkpoint and status"
            )
        for other in zoos[:number]:
            if one.identity.hash == other.identity.hash:
                raise DataError(
                    f"{one.identity.uri} and {other.identity.uri} are the same zoo: name it once"
                )
