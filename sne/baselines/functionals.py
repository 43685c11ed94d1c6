"""What neural functionals share: networks as weight-space features, pools over neurons, the head.

The layers themselves are those of the authors' package, `nfn`, which reads a network as weights
(b, channels, out, in[, rows, columns]) and biases (b, channels, out) and computes all networks of a
batch at once. Which axes are which follows from the description alone (`stages`).

Source: Zhou et al. 2023 (arXiv:2302.14040), their code for predicting generalization.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from nfn.common import NetworkSpec, WeightSpaceFeatures
from nfn.common.data import ArraySpec
from nfn.layers import HNPPool, NPPool, TupleOp
from torch import Tensor, nn

from sne.baselines.stages import Stage, describe, read_stages, stage_weights
from sne.errors import ModelError, SettingError
from sne.model import Batch, Outputs, Preparation, Usual, check_taken
from sne.predictor import Predictor
from sne.scaling import ScaleInputs
from sne.tokens import check_weights
from sne.zoo import Architecture

Pool: TypeAlias = Literal["hnp", "np"]
POOLS: Mapping[Pool, type[HNPPool] | type[NPPool]] = {"hnp": HNPPool, "np": NPPool}
"""Means over neurons: all but the network's inputs and outputs, or over these as well."""

AS_PUBLISHED: Mapping[str, Usual] = dict.fromkeys(
    ("inr", "cnn"),
    Usual(
        training={"batch": 8, "epochs": 50},
        optimizer={"learning_rate": 1e-3, "milestones": ()},
    ),
)
"""How NFN was trained to predict accuracies: Adam, all the time with one step size."""


@runtime_checkable
class Sizes(Protocol):
    """Of NP and HNP."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the features that each equivariant layer gives."""
        ...

    @property
    def head(self) -> tuple[int, ...]:
        """Hidden layers of the head; the last one is the encoding."""
        ...


def check_sizes(name: str, sizes: Sizes) -> None:
    """Raises SettingError for a size below 1."""
    if min(sizes.channels, default=0) < 1 or min(sizes.head, default=0) < 1:
        raise SettingError(f"{name} has channels and head of at least 1, got {sizes}")


class ReadFeatures(nn.Module):
    """Networks of one architecture as scaled features of one channel."""

    def __init__(self, name: str, preparation: Preparation) -> None:
        super().__init__()
        self._name, self._wanted = name, preparation.architectures[0]
        if (reason := why_no_features(name, self._wanted)) is not None:
            raise ModelError(reason)
        self.stages = read_stages(self._wanted)
        self.spec = network_spec(self.stages)
        self.scale = ScaleInputs(preparation.scaling)

    def forward(self, batch: Batch) -> WeightSpaceFeatures:
        """Weights and biases of all networks, one after another."""
        for group in batch:
            check_taken(self, group.architecture)
            check_weights(group.architecture, group.weights)
        scaled = torch.cat([self.scale(group.architecture, group.weights) for group in batch])
        weights, biases = stage_weights(self.stages, scaled)
        kernels = [
            (weight[..., 0, 0] if stage.kernel is None else weight)[:, None]
            for stage, weight in zip(self.stages, weights, strict=True)
        ]
        return WeightSpaceFeatures(kernels, [bias[:, None] for bias in biases])

    def refusal(self, architecture: Architecture) -> str | None:
        """Networks that are no chain of layers, or one of other sizes."""
        if (reason := why_no_features(self._name, architecture)) is not None:
            return reason
        stages = read_stages(architecture)
        if [s.place for s in stages] == [s.place for s in self.stages]:
            return None
        return (
            f"{self._name} has weights for each layer of {self._wanted.family} "
            f"({describe(self.stages)}); {architecture.family} has {describe(stages)}: choose a "
            "model that takes any architecture, or a zoo of one"
        )


class PooledHead(nn.Module):
    """Means over neurons, then linear layers; the last hidden one is the encoding."""

    def __init__(
        self,
        spec: NetworkSpec,
        channels: int,
        *,
        pool: Pool,
        hidden: Sequence[int],
        outputs: int,
    ) -> None:
        super().__init__()
        self.pool = POOLS[pool](spec)
        *before, encoding = hidden
        self.encode = Predictor(channels * POOLS[pool].get_num_outs(spec), before, encoding)
        self.predict = nn.Linear(encoding, outputs)

    def forward(self, features: WeightSpaceFeatures) -> Outputs:
        """One row for each network."""
        pooled: Float[Tensor, "b channels pooled"] = self.pool(features)
        encoding = torch.relu(self.encode(pooled.flatten(1)))
        return Outputs(encoding=encoding, prediction=self.predict(encoding))


class Functional(nn.Module):
    """Networks, as features, through equivariant layers, to a head that no neuron's order moves."""

    def __init__(self, read: ReadFeatures, layers: Sequence[nn.Module], head: PooledHead) -> None:
        super().__init__()
        self.read = read
        self.layers = nn.Sequential(*layers)
        self.head = head

    def forward(self, batch: Batch) -> Outputs:
        """Encode and predict."""
        return self.head(self.layers(self.read(batch)))

    def refusal(self, architecture: Architecture) -> str | None:
        """See `ReadFeatures`."""
        return self.read.refusal(architecture)


def stacked(
    read: ReadFeatures,
    layer: Callable[[NetworkSpec, int, int], nn.Module],
    config: Sizes,
    *,
    pool: Pool,
    outputs: int,
) -> Functional:
    """Equivariant layers with ReLU, a pool and a head: what NP and HNP have in common.

    Args:
        layer: (spec, channels that come in, channels that go out) to one layer.
    """
    layers: list[nn.Module] = []
    before = 1
    for channels in config.channels:
        layers += [layer(read.spec, before, channels), TupleOp(nn.ReLU())]
        before = channels
    head = PooledHead(read.spec, before, pool=pool, hidden=config.head, outputs=outputs)
    return Functional(read, layers, head)


def network_spec(stages: Sequence[Stage]) -> NetworkSpec:
    """Sizes as `nfn` has them."""
    shapes = [stage.shape if stage.kernel is not None else stage.shape[:2] for stage in stages]
    return NetworkSpec(
        weight_spec=[ArraySpec(shape) for shape in shapes],
        bias_spec=[ArraySpec(shape[:1]) for shape in shapes],
    )


def why_no_features(name: str, architecture: Architecture) -> str | None:
    """Why a functional cannot take an architecture; None if it can."""
    try:
        stages = read_stages(architecture)
    except ModelError as error:
        why = str(error)
    else:
        if (count := len(stages)) < 2:
            why = f"{architecture.family} has {count}"
        elif stages[0].inputs.permutable or stages[-1].outputs.permutable:
            why = f"inputs or outputs of {architecture.family} come in no order"
        else:
            return None
    return (
        f"{name} takes chains of at least two linear or conv2d layers with inputs and outputs at "
        f"fixed places, and {why}: choose a model that takes any architecture"
    )
