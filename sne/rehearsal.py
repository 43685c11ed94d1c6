"""The memory plan: bytes on a device at the peak of a training, before anything is allocated there.

A step of the training itself (its loss, symmetries, penalty and gradients) is rehearsed on tensors
without data, whatever the model is, then a validation pass and the copy of better weights, while
`footprint` counts what they would take. Not planned: what CUDA's context takes, which `cards` keeps
free, and the networks of test splits, which are read when gradients and moments are gone.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sne.cards import Card
from sne.config import TrainConfig
from sne.footprint import FAKE, DeviceKind, Footprint, footprint
from sne.fresh import new_module
from sne.layout import Members
from sne.lesson import NetworkLesson, labels_of
from sne.model import ACTIVATIONS, FittedModel, Preparation, own_activations
from sne.models import model_kind
from sne.pool import Pool
from sne.predict import infer
from sne.scaling import no_scaling
from sne.slabs import Slabs, slabs_for, use_slabs
from sne.targets import Target
from sne.workload import Workload

WORKSPACES = 2 * 33 * 1024**2
"""What cuBLAS takes, once for each pass's thread: 32 MiB on recent cards, 8 MiB on older ones; and
one for what small kernels take: up to 0.8 MB in all on an H100, where the rest was planned to the
byte."""


PART_BYTES = 64 * 1024
"""What each part computed side by side takes for itself, in the libraries' small buffers."""
HEAVIEST = ACTIVATIONS.index("tanh")
"""The activation whose networks take most, where each has one of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """Bytes at the peak, by what they are of."""

    device: DeviceKind
    batch: int
    """Networks computed at once."""
    at_once: bool
    """A model without steps: it is fitted to all its training networks."""
    data_bytes: int
    """All training and validation networks."""
    weight_bytes: int
    """Of the model: the current ones and the best so far."""
    gradient_bytes: int
    moment_bytes: int
    activation_bytes: int
    """What is kept for the backward pass, and what is made and freed at the peak."""
    library_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of them."""
        return sum(value for name, value in asdict(self).items() if name.endswith("_bytes"))

    def fits(self, card: Card) -> bool:
        """Whether a card has room for it."""
        return self.total_bytes <= card.budget_bytes

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "total_bytes": self.total_bytes}


def plan_training(
    config: TrainConfig,
    workload: Workload,
    *,
    device: DeviceKind = "cuda",
    slabs: Slabs | None = None,
) -> MemoryPlan:
    """Plan a training whose batches are as heavy as they can be.

    Args:
        config: the training; its zoos are not read.
        workload: the networks that it holds, at least one to train on.
        device: what the training runs on; none need be there.
        slabs: how much is computed at once; None: what suits the device.

    Raises:
        ModelError: the model cannot take one of the architectures.
    """
    module = _module(config, workload)
    use_slabs(module, slabs or slabs_for(torch.device(device)))
    fitted = isinstance(module, FittedModel)
    training = config.training
    rows = workload.all if fitted else workload.worst(training.batch, training.micro_batch)
    pool = _pool(rows)
    with footprint(device) as counted:
        run = _fit if fitted else _step
        parts = run(module, pool, workload.target, config=config, counted=counted)
    residents = parts.weights + parts.gradients + parts.moments
    again = (workload.compositions - 1) * parts.left
    return MemoryPlan(
        device=device,
        batch=len(pool),
        at_once=fitted,
        data_bytes=workload.data_bytes,
        weight_bytes=parts.weights,
        gradient_bytes=parts.gradients,
        moment_bytes=parts.moments,
        activation_bytes=counted.peak - residents + again + _beside(config, parts, device),
        library_bytes=WORKSPACES if device == "cuda" else 0,
    )


def _beside(config: TrainConfig, parts: "_Parts", device: DeviceKind) -> int:
    """What parts of a batch take besides, where a CPU's threads compute them side by side."""
    threads = torch.get_num_threads() if device == "cpu" else 1
    if threads == 1:
        return 0
    gradients = parts.gradients if model_kind(config.model).independent else 0
    return parts.left + PART_BYTES + (threads - 1) * (gradients + PART_BYTES)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Parts:
    """What stays on the device, in bytes."""

    weights: int
    gradients: int = 0
    moments: int = 0
    left: int = 0
    """What a model keeps of a batch for the next one like it."""


def _step(
    module: nn.Module, pool: Pool, target: Target, *, config: TrainConfig, counted: Footprint
) -> _Parts:
    """Gradients of a batch, the validation pass on one, and better weights."""
    training = config.training
    weights = counted.keep(lambda: _best(module.to(FAKE)))
    parameters = list(module.parameters())
    moments = counted.keep(lambda: [_moments(p) for p in parameters])
    gradients = counted.keep(lambda: _fill_gradients(parameters))
    accumulates = training.micro_batch is not None and training.micro_batch < training.batch
    if not accumulates:
        module.zero_grad(set_to_none=True)
    if training.precision == "bf16":
        # Its copies of the weights; activations, half as large in truth, are counted as float32.
        counted.keep(lambda: [p.bfloat16() for p in parameters])
    whole = replace(training, batch=len(pool), micro_batch=None)
    lesson = NetworkLesson(
        module, target, train=pool, validation=None, training=whole, symmetry=config.symmetry
    )
    before = counted.live
    lesson.backward(0, 0)
    left = counted.live - before - (0 if accumulates else gradients)
    infer(module, pool.batch(np.arange(len(pool))), precision=training.precision)
    _best(module)
    return _Parts(weights=weights, gradients=gradients, moments=moments, left=max(0, left))


def _fit(
    module: nn.Module, pool: Pool, target: Target, *, config: TrainConfig, counted: Footprint
) -> _Parts:
    """For models without steps: up to where they read their inputs back to the CPU."""
    assert isinstance(module, FittedModel)
    weights = counted.keep(lambda: _best(module.to(FAKE)))
    with suppress(NotImplementedError):
        module.fit(pool.batch(np.arange(len(pool))), labels_of(target, pool.target), None)
    return _Parts(weights=weights)


def _module(config: TrainConfig, workload: Workload) -> nn.Module:
    preparation = Preparation(
        architectures=workload.architectures,
        scaling=no_scaling(config.training.scaling),
        task=workload.target.kind,
        outputs=workload.target.outputs,
    )
    return new_module(config, preparation)


def _pool(rows: Members) -> Pool:
    """Networks without data; those of a training are counted as a whole."""
    count = sum(count for _, count in rows)
    return Pool(
        architectures=tuple(architecture for architecture, _ in rows),
        weights=tuple(torch.empty(n, a.parameters, device=FAKE) for a, n in rows),
        activations=tuple(
            {name: torch.full((n,), HEAVIEST) for name in own_activations(a)} for a, n in rows
        ),
        target=np.zeros(count),
        zoo=np.zeros(count, dtype=np.int64),
        rows=None,
    )


def _best(module: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


def _moments(parameter: nn.Parameter) -> list[Tensor]:
    """Adam's two, and its count of steps."""
    step = torch.zeros((), device=parameter.device)
    return [torch.zeros_like(parameter), torch.zeros_like(parameter), step]


def _fill_gradients(parameters: Sequence[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
