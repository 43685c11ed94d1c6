"""What the nodes of a description compute: one function for each operation, from a node to a step.

A step takes all parameters, its inputs and, in training, a dictionary that batch norms leave their
new running statistics in. Everything works under `torch.func.vmap` with members in front.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from zoogen.description import Node
from zoogen.errors import PlanError

Parameters: TypeAlias = Mapping[str, Tensor]
Statistics: TypeAlias = dict[str, Tensor]
"""By buffer: what running statistics become with this batch; filled in training only."""
Operation: TypeAlias = Callable[[Parameters, list[Tensor], Statistics | None], Tensor]
NORM_EPSILON = 1e-5
"""Of layer and batch norms: torch's default."""
MOMENTUM = 0.1
"""Share of the batch in new running statistics: torch's default."""


def _same(_: Node) -> Operation:
    return lambda parameters, inputs, statistics: inputs[0]


def _conv2d(node: Node) -> Operation:
    weight, bias = f"{node.name}.weight", f"{node.name}.bias"
    stride, padding = node.stride or (1, 1), node.padding or (0, 0)
    if node.kernel == (1, 1) and padding == (0, 0) and stride != (1, 1):
        return _strided_points(weight, bias, stride)
    return lambda parameters, inputs, statistics: F.conv2d(
        inputs[0], parameters[weight], parameters.get(bias), stride, padding
    )


def _strided_points(weight: str, bias: str, stride: tuple[int, int]) -> Operation:
    """Kernels of one position: those that are stepped over are left out before.

    oneDNN's gradient of such weights, in channels-last memory and with more than one thread,
    damages memory and may end the process (seen with PyTorch 2.6 and 2.14, on CPUs with AVX-512).
    """
    down, right = stride
    return lambda parameters, inputs, statistics: F.conv2d(
        inputs[0][..., ::down, ::right], parameters[weight], parameters.get(bias)
    )


def _linear(node: Node) -> Operation:
    weight, bias = f"{node.name}.weight", f"{node.name}.bias"
    return lambda parameters, inputs, statistics: F.linear(
        inputs[0], parameters[weight], parameters.get(bias)
    )


def _max_pool(node: Node) -> Operation:
    kernel, padding = node.kernel or (2, 2), node.padding or (0, 0)
    return lambda parameters, inputs, statistics: F.max_pool2d(
        inputs[0], kernel, node.stride, padding
    )


def _mean_pool(_: Node) -> Operation:
    return lambda parameters, inputs, statistics: inputs[0].mean((2, 3))


def _flatten(_: Node) -> Operation:
    return lambda parameters, inputs, statistics: inputs[0].flatten(1)


def _add(_: Node) -> Operation:
    return lambda parameters, inputs, statistics: sum(inputs[1:], start=inputs[0])


def _embedding(node: Node) -> Operation:
    """A map (b, e, h, w) to tokens (b, 1 + h·w, e): the class token, then patches by their place.

    The class token gets no position embedding.
    """
    position, token = f"{node.name}.position", f"{node.name}.token"

    def embed(parameters: Parameters, inputs: list[Tensor], _: Statistics | None) -> Tensor:
        patches = inputs[0].flatten(2).transpose(1, 2) + parameters[position]
        first = parameters[token].expand(patches.shape[0], 1, -1)
        return torch.cat([first, patches], dim=1)

    return embed


def _class_token(_: Node) -> Operation:
    return lambda parameters, inputs, statistics: inputs[0][:, 0]


def _layer_norm(node: Node) -> Operation:
    scale, shift = f"{node.name}.weight", f"{node.name}.bias"

    def norm(parameters: Parameters, inputs: list[Tensor], _: Statistics | None) -> Tensor:
        size = parameters[scale].shape
        return F.layer_norm(inputs[0], size, parameters[scale], parameters[shift], NORM_EPSILON)

    return norm


def _mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q·kᵀ/√d)·v, fused on a GPU; torch's fused CPU kernel has no rule for vmap."""
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return scores.softmax(-1) @ v


def _attention(node: Node) -> Operation:
    """Self-attention of tokens (b, n, e)."""
    heads = node.heads
    if heads is None:
        raise PlanError(f"node {node.name!r}: attention needs a number of heads")

    def project(parameters: Parameters, which: str, x: Tensor) -> Tensor:
        name = f"{node.name}.{which}"
        return F.linear(x, parameters[f"{name}.weight"], parameters.get(f"{name}.bias"))

    def attend(parameters: Parameters, inputs: list[Tensor], _: Statistics | None) -> Tensor:
        q, k, v = (
            project(parameters, which, inputs[0]).unflatten(-1, (heads, -1)).transpose(-3, -2)
            for which in ("query", "key", "value")
        )
        mixed = _mix(q, k, v).transpose(-3, -2).flatten(-2)
        return project(parameters, "out", mixed)

    return attend


def _batch_norm(node: Node) -> Operation:
    """Normalises maps (b, c, h, w), by the batch if statistics are asked for."""
    scale, shift = f"{node.name}.weight", f"{node.name}.bias"
    running = (f"{node.name}.running_mean", f"{node.name}.running_var")

    def norm(parameters: Parameters, inputs: list[Tensor], statistics: Statistics | None) -> Tensor:
        x = inputs[0]
        mean, var = (parameters[name] for name in running)
        if statistics is not None:
            old = (mean, var)
            var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
            count = x.shape[0] * math.prod(x.shape[2:])
            unbiased = var.detach() * (count / max(1, count - 1))
            for name, before, now in zip(running, old, (mean.detach(), unbiased), strict=True):
                statistics[name] = before + MOMENTUM * (now - before)
        factor = parameters[scale] * torch.rsqrt(var + NORM_EPSILON)
        centred = x - mean[:, None, None]
        return centred * factor[:, None, None] + parameters[shift][:, None, None]

    return norm


OPERATIONS: Mapping[str, Callable[[Node], Operation]] = {
    "input": _same,
    "conv2d": _conv2d,
    "linear": _linear,
    "max_pool": _max_pool,
    "mean_pool": _mean_pool,
    "flatten": _flatten,
    "add": _add,
    "embedding": _embedding,
    "class_token": _class_token,
    "layer_norm": _layer_norm,
    "attention": _attention,
    "batch_norm": _batch_norm,
    "output": _same,
}
