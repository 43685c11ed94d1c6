"""Torch modules from descriptions, and weights in and out of modules.

A chain becomes an `nn.Sequential` of torch's layers, any other graph a `GraphModule`. Parameters
are named as the description's tensors are, in the same order. It is what users get from a zoo; the
engines train without it.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from zoogen.archs.graph import GraphModule
from zoogen.archs.parts import ACTIVATIONS, Offset, Sine, operation
from zoogen.description import CONFIG_PREFIX, Architecture, Node
from zoogen.errors import PlanError
from zoogen.forward import activation_name


def to_module(
    architecture: Architecture, weights: Float[np.ndarray, " p"], config: Mapping[str, Any]
) -> nn.Module:
    """A network with these weights, in evaluation mode and with the weights' dtype.

    The weights are copied; no random number is drawn.

    Args:
        architecture: the description.
        weights: the flat vector of one row of a zoo, buffers included.
        config: the member's configuration: `config.*` without the prefix.

    Raises:
        PlanError: the weights do not have the description's length, or the module cannot be built.
    """
    if weights.shape != (architecture.parameters,):
        raise PlanError(
            f"{architecture.family} has {architecture.parameters:,} weights, "
            f"got an array of shape {weights.shape}"
        )
    with torch.device("meta"):  # no memory and no random initialisation
        module = build(architecture, config)
    flat = torch.tensor(weights)
    state = {
        t.name: flat[t.offset : t.offset + t.size].reshape(t.shape).clone()
        for t in architecture.tensors
    }
    module.load_state_dict(state, assign=True)
    return module.eval()


def flat_weights(module: nn.Module, architecture: Architecture) -> Float[np.ndarray, " p"]:
    """The module's parameters and buffers as one vector; the inverse of `to_module`.

    Raises:
        PlanError: the module lacks a tensor of the description, or has it in another shape.
    """
    state = module.state_dict()
    for tensor in architecture.tensors:
        got = tuple(state[tensor.name].shape) if tensor.name in state else None
        if got != tensor.shape:
            raise PlanError(
                f"{architecture.family}: tensor {tensor.name!r} should have the shape "
                f"{tensor.shape}, the module has {got}"
            )
    parts = [state[t.name].detach().cpu().reshape(-1) for t in architecture.tensors]
    return torch.cat(parts).numpy()


def build(architecture: Architecture, config: Mapping[str, Any]) -> nn.Module:
    """A fresh module, initialised as torch does it.

    Dropout layers are there where the description has a site and `config` a rate.

    Raises:
        PlanError: an operation or activation is not known.
    """
    names = [node.name for node in architecture.nodes]
    if list(pairwise(names)) != [(edge.source, edge.target) for edge in architecture.edges]:
        return GraphModule(architecture, config)
    parts = (part for node in architecture.nodes for part in _parts(architecture, node, config))
    module = nn.Sequential()
    for name, part in parts:
        module.add_module(name, part)
    return module


def _parts(
    architecture: Architecture, node: Node, config: Mapping[str, Any]
) -> Iterator[tuple[str, nn.Module]]:
    """The node's operation, activation, offset and dropout, each where there is one."""
    if node.op not in {"input", "output"}:
        yield node.name, operation(architecture, node)
    if (activation := activation_name(node, config)) == "sine":
        yield f"{node.name}_activation", Sine(1.0 if node.w0 is None else node.w0)
    elif activation is not None:
        yield f"{node.name}_activation", ACTIVATIONS[activation]()
    if node.output_offset is not None:
        yield f"{node.name}_offset", Offset(node.output_offset)
    rate = config.get(node.dropout.removeprefix(CONFIG_PREFIX)) if node.dropout else None
    if rate is not None:
        yield f"{node.name}_dropout", nn.Dropout(rate)
