"""Torch modules for single nodes of a description: what chains and graphs are made of."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zoogen.description import Architecture, Node
from zoogen.errors import PlanError

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
}


class Sine(nn.Module):
    """sin(w0·x)."""

    def __init__(self, w0: float) -> None:
        super().__init__()
        self.w0 = w0

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Elementwise."""
        return torch.sin(self.w0 * x)


class Offset(nn.Module):
    """x + a constant that is not trained."""

    def __init__(self, constant: float) -> None:
        super().__init__()
        self.constant = constant

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Elementwise."""
        return x + self.constant


def operation(architecture: Architecture, node: Node) -> nn.Module:
    """What a node of a chain computes.

    Raises:
        PlanError: the operation is none of a chain.
    """
    if node.op in {"conv2d", "linear"}:
        return _affine(architecture, node)
    if node.op == "max_pool":
        return nn.MaxPool2d(node.kernel or (2, 2), node.stride, node.padding or (0, 0))
    if node.op == "mean_pool":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if node.op == "flatten":
        return nn.Flatten()
    raise PlanError(
        f"{architecture.family}: no module for {node.op!r} (node {node.name!r}): "
        "the family must build it"
    )


def _affine(architecture: Architecture, node: Node) -> nn.Module:
    tensors = {t.role: t for t in architecture.tensors_of(node.name)}
    outputs, inputs = tensors["weight"].shape[:2]
    if node.op == "linear":
        return nn.Linear(inputs, outputs, bias="bias" in tensors)
    return nn.Conv2d(
        inputs,
        outputs,
        node.kernel or (1, 1),
        stride=node.stride or (1, 1),
        padding=node.padding or (0, 0),
        bias="bias" in tensors,
    )
