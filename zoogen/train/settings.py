"""How one member is trained, read from its configuration; and the optimizers' constants.

A hyperparameter that a recipe leaves out has the value at which it does nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zoogen.members import Member, Value


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdateRule:
    """An optimizer as the coefficients of one formula (see `zoogen.train.optimizers`)."""

    first: float
    """Share of the running first moment that is carried on; of sgd: its momentum."""
    gain: float
    """What a new gradient is multiplied by when it joins the first moment."""
    second: float = 0.0
    """Share of the running second moment that is carried on."""
    adaptive: bool = False
    """True: the step is divided by the root of the second moment."""
    corrected: bool = False
    """True: both moments are corrected for their start at zero."""


ADAM_BETAS = (0.9, 0.999)
RMSPROP_ALPHA = 0.9
"""Keras' default (its rho); torch's is 0.99."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The part of a configuration that engines act on."""

    optimizer: str
    learning_rate: float
    momentum: float
    epsilon: float
    l2reg: float
    """The loss has the term l2reg·Σw² over kernels: a gradient of 2·l2reg·w, whatever optimizer."""
    weight_decay: float
    """Coupled: weight_decay·w joins the gradient of every parameter before the optimizer."""
    dropout: float
    train_fraction: float

    @property
    def rule(self) -> UpdateRule:
        """The optimizer as coefficients."""
        first, second = ADAM_BETAS
        return {
            "sgd": UpdateRule(first=self.momentum, gain=1.0),
            "adam": UpdateRule(
                first=first, gain=1 - first, second=second, adaptive=True, corrected=True
            ),
            "rmsprop": UpdateRule(first=0.0, gain=1.0, second=RMSPROP_ALPHA, adaptive=True),
        }[self.optimizer]


def settings(member: Member) -> Settings:
    """The member's settings."""
    config: Mapping[str, Value] = member.config
    return Settings(
        optimizer=str(config["optimizer"]),
        learning_rate=float(config["learning_rate"]),
        momentum=float(config.get("momentum", 0.0)),
        epsilon=float(config.get("epsilon", 1e-8)),
        l2reg=float(config.get("l2reg", 0.0)),
        weight_decay=float(config.get("weight_decay", 0.0)),
        dropout=float(config.get("dropout", 0.0)),
        train_fraction=float(config.get("train_fraction", 1.0)),
    )
