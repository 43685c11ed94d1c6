"""A training's module, fresh: made for the architectures that it is to take, nothing learnt yet."""

from torch import nn

from sne.canonical import put_in_order
from sne.config import Symmetry, TrainConfig
from sne.errors import SettingError
from sne.model import FittedModel, Preparation, ProbedModel, prepare
from sne.models import model_kind


def new_module(config: TrainConfig, preparation: Preparation) -> nn.Module:
    """A fresh module as a training wants it, for these architectures.

    Raises:
        ModelError: the model cannot take one of the architectures.
        SettingError: a model that is fitted at once, with symmetries to train on.
    """
    kind = model_kind(config.model)
    module = prepare(kind, preparation, config=config.settings, seed=config.training.seed)
    if isinstance(module, FittedModel) and config.symmetry != Symmetry():
        raise SettingError(
            f"{config.model} is fitted at once, not in steps: leave out --invariance, --augment "
            "and --canonical"
        )
    if isinstance(module, ProbedModel) and config.symmetry.invariance:
        raise SettingError(
            f"{config.model} learns without predictions that a penalty could compare: leave out "
            "--invariance"
        )
    if config.symmetry.canonical:
        put_in_order(module)
    return module
