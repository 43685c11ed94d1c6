"""Losses of a task, and logit invariance: what a prediction may not depend on.

The penalty is ½‖f(x) − f(g·x)‖² over networks x and symmetries g of theirs (Eq. 16). The paper
leaves open where it sits: at what the head gives (`logit`, its name says so), at the encoding, or
behind the sigmoid (`probability`).

Source: Andreis et al. 2024 (arXiv:2305.16625), Eqs. (10), (15), (16).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sne.model import Outputs

Penalty: TypeAlias = Literal["logit", "encoding", "probability"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A kind of target: how predictions are judged and read."""

    loss: Callable[[Tensor, Tensor], Tensor]
    """(prediction (b, o), target (b,)) to the mean loss."""
    read: Callable[[Tensor], Tensor]
    """Prediction to shares, numbers or probabilities, in the same shape."""


def soft_cross_entropy(
    prediction: Float[Tensor, "b 1"], target: Float[Tensor, " b"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy of a share in [0, 1], such as an accuracy (Table 14)."""
    return F.binary_cross_entropy_with_logits(prediction[:, 0], target)


def squared_error(
    prediction: Float[Tensor, "b 1"], target: Float[Tensor, " b"]
) -> Float[Tensor, ""]:
    """Of a number."""
    return F.mse_loss(prediction[:, 0], target)


def class_cross_entropy(
    prediction: Float[Tensor, "b classes"], target: Float[Tensor, " b"]
) -> Float[Tensor, ""]:
    """Of a category, given by number."""
    return F.cross_entropy(prediction, target.long())


TASKS: Mapping[str, Task] = {
    "share": Task(loss=soft_cross_entropy, read=torch.sigmoid),
    "number": Task(loss=squared_error, read=torch.clone),
    "category": Task(loss=class_cross_entropy, read=lambda x: torch.softmax(x, dim=1)),
}


def logit_invariance(
    outputs: Outputs, moved: Outputs, *, place: Penalty, task: str
) -> Float[Tensor, ""]:
    """½‖f(x) − f(g·x)‖², averaged over networks and the symmetries drawn for each.

    Args:
        outputs: of the networks.
        moved: of their copies under symmetries, all networks once, then all again, …
    """
    plain, other = (_at(place, given, task) for given in (outputs, moved))
    copies = other.unflatten(0, (-1, len(plain)))
    return (copies - plain).square().sum(-1).mean() / 2


def invariance_error(plain: Float[Tensor, "b o"], moved: Float[Tensor, "kb o"]) -> float:
    """E‖f(x) − f(g·x)‖² / Var f(x): 0 for an invariant model, about 2 for one that is at a loss.

    Returns:
        NaN for a constant model, which is no more invariant than it is anything else.
    """
    difference = (moved.unflatten(0, (-1, len(plain))) - plain).double().square().sum(-1).mean()
    variance = plain.double().var(0, correction=0).sum()
    return float(difference / variance) if variance > 0 else float("nan")


def _at(place: Penalty, outputs: Outputs, task: str) -> Float[Tensor, "b o"]:
    if place == "encoding":
        return outputs.encoding
    if place == "probability":
        return TASKS[task].read(outputs.prediction)
    return outputs.prediction
