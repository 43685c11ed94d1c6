"""Input scaling: by kind (layer type, role) of weight, compressed, centred and with a spread of 1.

Networks of one zoo differ in size by factors of hundreds: one with a strong L2 term beside one that
nearly diverged. Divided by a common standard deviation, all but the largest would look like zeros;
asinh(w/knee) is linear in small weights and logarithmic in large ones. The knee is the geometric
mean of a kind's |w|, which no few large networks can move.

Learnt from a run's training split, never by layer index, so it holds for networks of any depth.
A kind that the training networks lack takes its nearest role's numbers: its role's in other layer
types, else those of all roles that act alike. `unseen` names such kinds, for a command to print.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sne.tokens import LAYER_TYPES, ROLES, layer_type_index
from sne.zoo import Architecture

Scaling: TypeAlias = Literal["compressed", "standard", "magnitude", "none"]
"""`standard` leaves the compression out; `magnitude` is standard scaling of |w|."""
LIKE = (("weight", "embedding", "token"), ("bias", "shift"), ("scale", "buffer"))
"""Roles that act alike: factors, summands, and what stands near one."""
SMALLEST_STD = 1e-5
"""Below it a kind is constant (fresh norms), and its values are only centred."""
SMALLEST_KNEE = 1e-6
"""Of a kind whose weights are all next to nothing."""
SHAPE = (len(LAYER_TYPES), len(ROLES))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InputScaling:
    """What a run learnt about its inputs."""

    mean: Float[Tensor, "types roles"]
    """Of compressed weights, as is the standard deviation."""
    std: Float[Tensor, "types roles"]
    seen: Bool[Tensor, "types roles"]
    """Kinds that the training networks have."""
    knee: Float[Tensor, "types roles"] | None = None
    """Where compression sets in; None: nothing is compressed."""
    absolute: bool = False
    """|w| is scaled, so that no sign is seen."""

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


def no_scaling(how: Scaling = "none") -> InputScaling:
    """Weights as they are; or a place for the numbers of such a scaling that a state dict holds."""
    return InputScaling(
        mean=torch.zeros(SHAPE),
        std=torch.ones(SHAPE),
        seen=torch.ones(SHAPE, dtype=torch.bool),
        knee=torch.ones(SHAPE) if how == "compressed" else None,
        absolute=how == "magnitude",
    )


def learn_scaling(
    parts: Iterable[tuple[Architecture, Float[Tensor, "b p"]]], *, how: Scaling = "compressed"
) -> InputScaling:
    """Knee, mean and standard deviation of each kind over all networks, every weight counted once.

    Args:
        parts: networks by architecture.
        how: what is learnt.
    """
    given, knee = tuple(parts), None
    if how == "none":
        return no_scaling()
    if how == "compressed":
        logs = _filled(_sums(given, lambda w, _: w[w != 0].abs().log()))
        knee = (logs[1] / logs[0].clamp(min=1)).exp().clamp(min=SMALLEST_KNEE)

    def change(weights: Tensor, kind: tuple[int, int]) -> Tensor:
        if knee is not None:
            return (weights / knee[kind].item()).asinh()
        return weights.abs() if how == "magnitude" else weights

    sums = _sums(given, change)
    count, total, squares = _filled(sums)
    mean = total / count.clamp(min=1)
    std = (squares / count.clamp(min=1) - mean**2).clamp(min=0).sqrt()
    std = torch.where(std < SMALLEST_STD, 1.0, std)
    return InputScaling(
        mean=mean.float(),
        std=std.float(),
        seen=sums[0] > 0,
        knee=None if knee is None else knee.float(),
        absolute=how == "magnitude",
    )


class ScaleInputs(nn.Module):
    """`InputScaling` as buffers of a model, saved with it."""

    mean: Tensor
    std: Tensor
    seen: Tensor
    knee: Tensor | None

    def __init__(self, scaling: InputScaling) -> None:
        super().__init__()
        self.absolute = scaling.absolute
        self.register_buffer("knee", None if scaling.knee is None else scaling.knee.float().clone())
        self.register_buffer("mean", scaling.mean.float().clone())
        self.register_buffer("std", scaling.std.float().clone())
        self.register_buffer("seen", scaling.seen.clone())

    @property
    def scaling(self) -> InputScaling:
        """What the buffers hold, on the CPU."""
        knee = None if self.knee is None else self.knee.cpu()
        return InputScaling(
            mean=self.mean.cpu(),
            std=self.std.cpu(),
            seen=self.seen.cpu(),
            knee=knee,
            absolute=self.absolute,
        )

    def of_kinds(
        self,
        weights: Float[Tensor, "*n"],
        layer_type: Int[Tensor, "*#n"],
        role: Int[Tensor, "*#n"],
    ) -> Float[Tensor, "*n"]:
        """Weights, scaled, whose kinds are given as indices."""
        if self.absolute:
            weights = weights.abs()
        if self.knee is not None:
            weights = torch.asinh(weights / self.knee[layer_type, role])
        return (weights - self.mean[layer_type, role]) / self.std[layer_type, role]

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
        layer_type, role = (
            index.repeat_interleave(sizes, output_size=architecture.parameters)[None]
            for index in (layer_type, role)
        )
        return self.of_kinds(weights, layer_type, role)


def _sums(
    parts: Iterable[tuple[Architecture, Float[Tensor, "_ _"]]],
    change: Callable[[Tensor, tuple[int, int]], Tensor],
) -> Float[Tensor, "three types roles"]:
    """Count, Σx and Σx² of each kind's weights, changed."""
    sums = torch.zeros(3, *SHAPE, dtype=torch.float64)
    for architecture, weights in parts:
        for tensor in architecture.tensors:
            kind = layer_type_index(tensor.layer_type), ROLES.index(tensor.role)
            values = weights[:, tensor.offset : tensor.offset + tensor.size].double()
            x = change(values, kind)
            moments = torch.stack((x.new_tensor(x.numel()), x.sum(), x.square().sum()))
            sums[:, *kind] += moments.cpu()
    return sums


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
