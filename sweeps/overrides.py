"""`--set GROUP.NAME=VALUE`: single settings of a training, for models that have them."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from sne.config import TrainConfig
from sne.models import MODELS
from sne.recipes import default_config, recipe_for
from sweeps.errors import PlanError
from sweeps.zoos import SweepZoo

GROUPS = ("data", "training", "optimizer", "symmetry")
OWN_FLAGS = ("data.zoo", "data.target", "training.epochs", "training.seed")
"""What commands have flags for."""
FORM = "--set is GROUP.NAME=VALUE, for example sne.chunk=16 or optimizer.learning_rate=3e-4"


def configured(
    zoos: Sequence[SweepZoo], given: Sequence[str], *, model: str = "sne", **training: int
) -> TrainConfig:
    """A model's usual training on zoos like these, with these settings.

    Args:
        zoos: what the recipe follows from.
        given: as `--set` takes them.
        model: a key of `sne.models.MODELS`.
        training: of the training group, such as epochs.

    Raises:
        PlanError, SettingError: as `override`; no such model.
    """
    config = default_config((), model=model, recipe=recipe_for([one.zoo for one in zoos]))
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, **training))
    return override(config, given)


def override(config: TrainConfig, given: Sequence[str]) -> TrainConfig:
    """The training with these settings; those of other models leave it as it is.

    Raises:
        PlanError: no such group or name; the sentence lists those there are.
        SettingError: a value that the setting cannot have.
    """
    for text in given:
        config = _one(config, text)
    return config


def _one(config: TrainConfig, text: str) -> TrainConfig:
    path, equals, value = text.partition("=")
    group, dot, name = path.partition(".")
    if not equals or not dot:
        raise PlanError(f"{FORM}; got {text!r}")
    if path in OWN_FLAGS:
        raise PlanError(f"--set {text}: there is a flag for {name}")
    if group in MODELS:
        if group != config.model:
            return config
        return dataclasses.replace(config, settings=_changed(config.settings, name, value, text))
    if group not in GROUPS:
        known = ", ".join((*GROUPS, *MODELS))
        raise PlanError(f"no group {group!r} in --set {text}; there are: {known}")
    own = getattr(config, group)
    return dataclasses.replace(config, **{group: _changed(own, name, value, text)})


def _changed(settings: Any, name: str, value: str, text: str) -> Any:
    names = [field.name for field in dataclasses.fields(settings)]
    if name not in names:
        raise PlanError(f"no setting {name!r} in --set {text}; there are: {', '.join(names)}")
    before, found = getattr(settings, name), _parsed(value)
    alike = isinstance(before, bool) == isinstance(found, bool)
    numbers = isinstance(before, (int, float)) and isinstance(found, (int, float))
    if before is not None and not (alike and (numbers or isinstance(found, type(before)))):
        raise PlanError(f"--set {text}: {name} is like {before!r}, got {found!r}")
    return dataclasses.replace(settings, **{name: found})


def _parsed(value: str) -> Any:
    """JSON where it is that, else the text itself."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return tuple(found) if isinstance(found, list) else found
