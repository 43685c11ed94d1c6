"""Input scaling: one mean and one standard deviation for each kind (layer type, role) of weight.

Learnt from a run's training split, never by layer index, so it holds for networks of any depth.
A kind that the training networks lack takes its nearest role's numbers: its role's in other layer
types, else those of all roles that act alike. `unseen` names such kinds, for a command to print.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sne.tokens import LAYER_TYPES, ROLES, layer_type_index
from sne.zoo import Architecture

LIKE = (("weight", "embedding", "token"), ("bias", "shift"), ("scale", "buffer"))
"""Roles that act alike: factors, summands, and what stands near one."""
SMALLEST_STD = 1e-5
"""Below it a kind is constant (fresh norms), and its values are only centred."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InputScaling:
    """What a run learnt about its inputs."""

    mean: Float[Tensor, "types roles"]
    std: Float[Tensor, "types roles"]
    seen: Bool[Tensor, "types roles"]
    """Kinds that the training networks have."""

    def unseen(self, architecture: Architecture) -> tuple[str, ...]:
        """Kinds of the architecture that were never seen in training, by name."""
        kinds = {
            (layer_type_index(t.layer_type), ROLES.index(t.role)) for t in architecture.tensors
        }
        return tuple(
            f"{LAYER_TYPES[layer_type]} {ROLES[role]}"
            for layer_type, role in sorted(kinds)
            if not self.seen[layer_type, role]
        )


def no_scaling() -> InputScaling:
    """Weights as they are."""
    shape = (len(LAYER_TYPES), len(ROLES))
    return InputScaling(
        mean=torch.zeros(shape), std=torch.ones(shape), seen=torch.ones(shape, dtype=torch.bool)
    )


def learn_scaling(parts: Iterable[tuple[Architecture, Float[Tensor, "b p"]]]) -> InputScaling:
    """Mean and standard deviation of each kind over all networks, every weight counted once."""
    shape = (len(LAYER_TYPES), len(ROLES))
    sums = torch.zeros(3, *shape, dtype=torch.float64)  # count, Σw, Σw²
    for architecture, weights in parts:
        for tensor in architecture.tensors:
            values = weights[:, tensor.offset : tensor.offset + tensor.size].double()
            moments = torch.stack(
                (values.new_tensor(values.numel()), values.sum(), values.square().sum())
            )
            sums[:, layer_type_index(tensor.layer_type), ROLES.index(tensor.role)] += moments.cpu()
    return _scaling(sums)


class ScaleInputs(nn.Module):
    """`InputScaling` as buffers of a model, saved with it."""

    mean: Tensor
    std: Tensor
    seen: Tensor

    def __init__(self, scaling: InputScaling) -> None:
        super().__init__()
        self.register_buffer("mean", scaling.mean.float().clone())
        self.register_buffer("std", scaling.std.float().clone())
        self.register_buffer("seen", scaling.seen.clone())

    @property
    def scaling(self) -> InputScaling:
        """What the buffers hold, on the CPU."""
        return InputScaling(mean=self.mean.cpu(), std=self.std.cpu(), seen=self.seen.cpu())

    def of_kinds(
        self, layer_type: Int[Tensor, " n"], role: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Mean and standard deviation for kinds given as indices."""
        return self.mean[layer_type, role], self.std[layer_type, role]

    def forward(
        self, architecture: Architecture, weights: Float[Tensor, "b p"]
    ) -> Float[Tensor, "b p"]:
        """Whole networks, scaled."""
        tensors = architecture.tensors
        device = self.mean.device
        layer_type = torch.tensor([layer_type_index(t.layer_type) for t in tensors], device=device)
        role = torch.tensor([ROLES.index(t.role) for t in tensors], device=device)
        sizes = torch.tensor([t.size for t in tensors], device=device)
        # The size is given, so that it need not be read back from the device.
        mean, std = (
            part.repeat_interleave(sizes, output_size=architecture.parameters)
            for part in self.of_kinds(layer_type, role)
        )
        return (weights - mean) / std


def _scaling(sums: Float[Tensor, "three types roles"]) -> InputScaling:
    count, total, squares = _filled(sums)
    mean = total / count.clamp(min=1)
    std = (squares / count.clamp(min=1) - mean**2).clamp(min=0).sqrt()
    std = torch.where(std < SMALLEST_STD, 1.0, std)
    return InputScaling(mean=mean.float(), std=std.float(), seen=sums[0] > 0)


def _filled(sums: Float[Tensor, "three types roles"]) -> Float[Tensor, "three types roles"]:
    """Each kind's own sums, else its role's, else its like roles', else everything's."""
    by_role = sums.sum(1)
    like = torch.zeros_like(by_role)
    for names in LIKE:
        roles = [ROLES.index(name) for name in names]
        like[:, roles] = by_role[:, roles].sum(1, keepdim=True)
    result = sums
    for wider in _wider(by_role, like):
        result = torch.where(result[0] > 0, result, wider[:, None, :])
    return result


def _wider(
    by_role: Float[Tensor, "three roles"], like: Float[Tensor, "three roles"]
) -> Sequence[Float[Tensor, "three roles"]]:
    everything = by_role.sum(1, keepdim=True).expand_as(by_role)
    return by_role, like, everything
