"""How one member is trained, read from its configuration; and the optimizers' constants.

A hyperparameter that a recipe leaves out has the value at which it does nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zoogen.members import Member, Value

ADAM_BETAS = (0.9, 0.999)
RMSPROP_ALPHA = 0.9
"""Keras' default (its rho); torch's is 0.99."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameters:
    """The part of a configuration that engines act on."""

    optimizer: str
    learning_rate: float
    beta1: float
    """Share of the running first moment that is carried on; of sgd: its momentum."""
    beta2: float
    """Share of the running second moment that is carried on; sgd has none."""
    epsilon: float
    l2: float
    """The loss has the term l2·Σw² over kernels: a gradient of 2·l2·w, whatever optimizer."""
    weight_decay: float
    """Coupled: weight_decay·w joins the gradient of every parameter before the optimizer."""
    decoupled_decay: float
    """adamw: the weights shrink by learning rate · decay in each step, beside the gradient."""
    dropout: float

    @classmethod
    def of(cls, member: Member) -> "Hyperparameters":
        """The member's."""
        config: Mapping[str, Value] = member.config
        optimizer = str(config["optimizer"])
        beta1, beta2 = _moments(optimizer, float(config.get("momentum", 0.0)))
        decay = float(config.get("weight_decay", 0.0))
        return cls(
            optimizer=optimizer,
            learning_rate=float(config["learning_rate"]),
            beta1=beta1,
            beta2=beta2,
            epsilon=float(config.get("epsilon", 1e-8)),
            l2=float(config.get("l2reg", 0.0)),
            weight_decay=0.0 if optimizer == "adamw" else decay,
            decoupled_decay=decay if optimizer == "adamw" else 0.0,
            dropout=float(config.get("dropout", 0.0)),
        )


def _moments(optimizer: str, momentum: float) -> tuple[float, float]:
    moments = {
        "sgd": (momentum, 0.0),
        "adam": ADAM_BETAS,
        "adamw": ADAM_BETAS,
        "rmsprop": (0.0, RMSPROP_ALPHA),
    }
    return moments[optimizer]
