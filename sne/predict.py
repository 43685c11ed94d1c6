"""Encodings and predictions of many networks by a prepared module, in the target's own unit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from sne.errors import SettingError
from sne.model import Batch, FittedModel, Model, Outputs
from sne.pool import Pool
from sne.side_by_side import side_by_side
from sne.targets import Target

Precision: TypeAlias = Literal["float32", "tf32", "bf16"]
BATCH = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """How predictions are computed."""

    batch: int = BATCH
    """Networks at once."""
    precision: Precision = "float32"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Predictions:
    """What a module says of the networks of a pool, in its order."""

    raw: Float64[np.ndarray, "n o"]
    """As the module gives them: logits, or centred and scaled numbers."""
    encoding: Float[np.ndarray, "n e"]


def predict(module: nn.Module, pool: Pool, *, how: Inference | None = None) -> Predictions:
    """Predict all networks of a pool; on a CPU's threads, parts of a batch side by side.

    Raises:
        ModelError: the module cannot take one of the architectures.
    """
    how = how or Inference()
    threads = _threads_for(module)
    batches = (batch for _, batch in pool.batches(-(-how.batch // threads)))
    work = partial(infer, module, precision=how.precision)
    raw, encoding = [], []
    for outputs in side_by_side(work, batches, threads=threads):
        raw.append(outputs.prediction.double().cpu().numpy())
        encoding.append(outputs.encoding.float().cpu().numpy())
    return Predictions(raw=np.concatenate(raw), encoding=np.concatenate(encoding))


def _threads_for(module: nn.Module) -> int:
    """How many batches at once; a fitted model has threads of its own."""
    if device_of(module).type != "cpu" or isinstance(module, FittedModel):
        return 1
    return torch.get_num_threads()


def infer(module: nn.Module, batch: Batch, *, precision: Precision = "float32") -> Outputs:
    """One batch without gradients."""
    module.eval()
    device = device_of(module)
    with torch.no_grad(), computing(precision, device):
        return as_model(module)(batch)


def in_units(target: Target, raw: Float64[np.ndarray, "n o"]) -> Float64[np.ndarray, "n ..."]:
    """Numbers in the target's unit; of a category the log-probability of each class."""
    if target.kind == "category":
        shifted = raw - raw.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    if target.kind == "share":
        # Stable for large logits of either sign.
        return np.exp(-np.logaddexp(0.0, -raw[:, 0]))
    return raw[:, 0] * target.scale + target.mean


def as_model(module: nn.Module) -> Model:
    """The module as what it is prepared to be; for the type checker."""
    found: Any = module
    return found


def device_of(module: nn.Module) -> torch.device:
    """Where a module's tensors are; the CPU for one without tensors."""
    tensors: Iterator[Tensor] = iter([*module.parameters(), *module.buffers()])
    first = next(tensors, None)
    return torch.device("cpu") if first is None else first.device


@contextmanager
def computing(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute in this precision for the time of the `with`; weights stay float32.

    tf32 concerns CUDA's products alone; bf16 is autocast, on any device but `meta`, which has none.
    """
    kind = "cpu" if device.type == "meta" else device.type
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else before)
    try:
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bf16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is a device, otherwise the CPU.

    Raises:
        SettingError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(f"there is no device {name!r} here; cpu is always there") from error
    return device
