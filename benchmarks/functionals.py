"""Training steps of neural functionals, DWSNet and HyperRep, beside plainer forms of the same.

Networks one after another show what computing them together gives. Two published codes compute
more than they need: DWSNet's takes maxima anew for each pair of tensors and repeats what is equal
for many neurons before it adds; HyperRep's embeds a neuron at a time. Both are done here with the
same weights and must give the same.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.encoders import ARCHITECTURES, networks
from benchmarks.jobs import SEED
from benchmarks.table import Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Contender, race, require, speedup
from sne.model import Batch, Group, Preparation, prepare
from sne.models import model_kind
from sne.scaling import no_scaling
from sne.schedule import OptimizerConfig, make_optimizer

NETWORKS = 16
ROUNDS = 3
CLOSE = 1e-3
"""Distance of two gradients, as a share of one."""
SMALL: Mapping[str, Mapping[str, Any]] = {
    "nft": {"width": 16},
    "dwsnet": {"width": 16},
    "hyperrep": {"width": 64, "feed": 128, "latent": 64, "dropout": 0.0},
}
"""Settings that are not the default."""


def singly(name: str, family: str) -> Iterator[Row]:
    """All networks of a step at once, against one after another."""
    module, batch = made(name, family)
    group = batch[0]
    singles = [
        [Group(architecture=group.architecture, weights=weights[None])] for weights in group.weights
    ]
    # As it predicts: batch norms see other networks in training.
    module.eval()
    other = copy.deepcopy(module)
    yield compared(
        f"{name}-{family}-at-once",
        f"{name}, {family}, training step on {NETWORKS} networks: together / one by one",
        [(module, partial(squares, module, [batch])), (other, partial(squares, other, singles))],
    )


def maxima() -> Iterator[Row]:
    """DWSNet: maxima once, against anew for each pair of tensors."""
    module, batch = made("dwsnet", "siren")
    other = copy.deepcopy(module)
    other.first = PairByPair(other.first)
    other.layers = nn.ModuleList(PairByPair(layer) for layer in other.layers)
    yield compared(
        "dwsnet-siren-published",
        f"dwsnet, siren, training step on {NETWORKS} networks: maxima once / for each pair",
        [(m, partial(squares, m, [batch])) for m in (module, other)],
    )


def neurons() -> Iterator[Row]:
    """HyperRep: a layer's neurons in one product, against one after another."""
    module, batch = made("hyperrep", "arch1")
    other = copy.deepcopy(module)
    other.encoder.enter = nn.ModuleList(NeuronByNeuron(part) for part in other.encoder.enter)
    other.decoder.leave = nn.ModuleList(NeuronByNeuron(part) for part in other.decoder.leave)
    yield compared(
        "hyperrep-arch1-published",
        f"hyperrep, arch1, training step on {NETWORKS} networks: layers / neurons one by one",
        [(m, partial(taught, m, batch)) for m in (module, other)],
    )


def made(name: str, family: str) -> tuple[Any, Batch]:
    """A model with networks for a step."""
    architecture = ARCHITECTURES[family]
    preparation = Preparation(architectures=(architecture,), scaling=no_scaling(), task="number")
    kind = model_kind(name)
    config = kind.config(**SMALL.get(name, {}))
    module = prepare(kind, preparation, config=config, seed=SEED)
    group = networks(architecture, NETWORKS)
    return module, [Group(architecture=architecture, weights=0.3 * group.weights)]


def compared(
    name: str, what: str, contenders: Sequence[tuple[nn.Module, Callable[[], None]]]
) -> Row:
    """A step of each; their gradients must be the same."""
    modules = [module for module, _ in contenders]

    def check() -> None:
        found, expected = (gradient(module, backward) for module, backward in contenders)
        apart = float((found - expected).norm() / expected.norm())
        require(apart < CLOSE, f"gradients are {apart:.2g} of their size apart")

    given = [
        Contender(label=label, run=step(module, backward), work=NETWORKS)
        for label, (module, backward) in zip(("ours", "plain"), contenders, strict=True)
    ]
    ours, plain = race(given, check=check, rounds=ROUNDS, clock=time.process_time).values()
    count = sum(p.numel() for p in modules[0].parameters())
    return Row(
        name=f"functionals/{name}",
        what=what,
        reached=speedup(ours, plain),
        samples=(ours, plain),
        note=f"{ours.median:.3f} against {plain.median:.3f} s; {count:,} parameters",
    )


def step(module: nn.Module, backward: Callable[[], None]) -> Callable[[], None]:
    """A step of the optimizer on what `backward` leaves."""
    optimizer = make_optimizer(OptimizerConfig(learning_rate=1e-6), module.parameters())

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        backward()
        optimizer.step()

    return run


def gradient(module: nn.Module, backward: Callable[[], None]) -> Tensor:
    """Of all parameters in a row."""
    module.zero_grad()
    backward()
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def squares(module: nn.Module, batches: Sequence[Batch]) -> None:
    """The gradient of the sum of squares of the predictions."""
    for batch in batches:
        module(batch).prediction.square().sum().backward()


def taught(module: Any, batch: Batch) -> None:
    """The gradient of a step without labels."""
    module.teach(batch, generator=torch.Generator().manual_seed(SEED))["loss"].backward()


class PairByPair(nn.Module):
    """A `DwsLayer` as published: each pair by itself, repeated to the target's shape."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """See `DwsLayer`."""
        along, maps = self.layer.along, iter(self.layer.maps)
        sizes = {
            name: x.shape[axis]
            for part, x in zip(along, features, strict=True)
            for axis, name in enumerate(part.neurons, 1)
        }
        found: list[Tensor] = []
        for target in along:
            total: Any = 0.0
            for source, x in zip(along, features, strict=True):
                for axis in reversed(range(len(source.neurons))):
                    x = x if source.neurons[axis] in target.neurons else x.amax(axis + 1)
                x = next(maps)(x)
                for axis, name in enumerate(target.neurons, 1):
                    if name not in source.neurons:
                        x = x.unsqueeze(axis).repeat_interleave(sizes[name], axis)
                total = total + x
            found.append(total / len(along))
        return found


class NeuronByNeuron(nn.Module):
    """A layer of HyperRep's as published: one product for each neuron."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Of each neuron's numbers."""
        return torch.stack([self.layer(neuron) for neuron in x.unbind(1)], dim=1)


ROWS: Mapping[str, Measure] = {
    "nfn_np-arch1-at-once": partial(singly, "nfn_np", "arch1"),
    "nfn_hnp-arch1-at-once": partial(singly, "nfn_hnp", "arch1"),
    "nft-arch1-at-once": partial(singly, "nft", "arch1"),
    "dwsnet-siren-at-once": partial(singly, "dwsnet", "siren"),
    "dwsnet-siren-published": maxima,
    "hyperrep-arch1-published": neurons,
}

if __name__ == "__main__":
    main("functionals", ROWS, long={})
