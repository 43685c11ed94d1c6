"""SNE and batches of networks as a training has them, for driving the encoder without a run.

Networks have real architectures and random weights: what a weight is makes no difference to the
speed.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from benchmarks.jobs import SEED
from benchmarks.reference_walk import encode
from benchmarks.timing import require
from sne.encoder import Encoder
from sne.model import Batch, Group, Preparation, prepare
from sne.pool import Pool
from sne.scaling import no_scaling
from sne.settings import SneConfig
from sne.sne import KIND, Sne
from zoogen.archs import arch_family
from zoogen.description import Architecture

ARCHITECTURES: Mapping[str, Architecture] = {
    "arch1": arch_family("arch1").describe(input_shape=(1, 28, 28), classes=10),
    "arch2": arch_family("arch2").describe(input_shape=(1, 28, 28), classes=10),
    "siren": arch_family("siren").describe(input_shape=(1,), classes=1),
}
BATCH = 64
CLOSE = 1e-5
"""Distance of two encodings, against the largest number in one."""


def sne(*architectures: Architecture, config: SneConfig | None = None) -> Sne:
    """The model with its defaults, fresh."""
    preparation = Preparation(architectures=architectures, scaling=no_scaling(), task="number")
    module = prepare(KIND, preparation, config=config, seed=SEED)
    assert isinstance(module, Sne)
    return module


def networks(architecture: Architecture, count: int) -> Group:
    """Networks that nobody trained."""
    generator = torch.Generator().manual_seed(SEED)
    weights = torch.randn(count, architecture.parameters, generator=generator)
    return Group(architecture=architecture, weights=weights)


def pool(group: Group) -> Pool:
    """Networks of one architecture as `sne.predict` takes them."""
    count = len(group.weights)
    members = pa.table({"zoo": ["bench"] * count, "member": list(range(count))})
    return Pool(
        architectures=(group.architecture,),
        weights=(group.weights,),
        target=np.zeros(count),
        zoo=np.zeros(count, dtype=np.int64),
        rows=members,
    )


def encodings(encoder: Encoder, batch: Batch) -> Tensor:
    """Without gradients, all at once."""
    with torch.no_grad():
        return encoder(batch)


def walked(module: Sne, batch: Batch) -> Tensor:
    """The same by the reference: network by network, chunk by chunk."""
    with torch.no_grad():
        return torch.stack(
            [
                encode(module.encoder, module.config, group.architecture, weights)
                for group in batch
                for weights in group.weights
            ]
        )


def one_by_one(encoder: Encoder, batch: Batch) -> Tensor:
    """The same by the encoder, in batches of one network."""
    singles = [
        [Group(architecture=g.architecture, weights=w[None])] for g in batch for w in g.weights
    ]
    return torch.cat([encodings(encoder, single) for single in singles])


def require_encodings(found: Tensor, expected: Tensor, what: str) -> None:
    """Encodings are those of the reference.

    Raises:
        WrongAnswer: they are not.
    """
    apart = float((found - expected).abs().max() / expected.abs().max())
    require(apart < CLOSE, f"encodings are {apart:.2g} of the largest apart from those of {what}")
