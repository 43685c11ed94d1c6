"""State dicts in files: safetensors, or PyTorch's read as tensors only; code in them is not run."""

import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from torch import Tensor

from zoogen.bounds import Oversized, most_bytes
from zoogen.description import Architecture
from zoogen.errors import SourceError
from zoogen.layer_names import SKIPPED
from zoogen.torch_files import BROKEN_TORCH, check_torch_file, is_pickle

SAFETENSORS = ".safetensors"
TORCH = (".pt", ".pth", ".ckpt", ".bin")
NESTED = ("state_dict", "model_state_dict", "model", "net", "weights", "ema")
"""Where training scripts put the state dict in their checkpoints."""
Allowed: TypeAlias = Sequence[tuple[Callable[..., Any], str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What a state dict looks like, without its numbers."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    dtypes: tuple[tuple[str, str], ...]
    ordered: bool
    """Whether the names come in the order of the layers: safetensors files sort them."""


def read_header(path: Path) -> Header:
    """Names, shapes and dtypes of the state dict in a file.

    Raises:
        SourceError: there is none, or it cannot be read safely.
    """
    state = read_state(path)
    return Header(
        shapes=tuple((name, tuple(t.shape)) for name, t in state.items()),
        dtypes=tuple((n, str(t.dtype).removeprefix("torch.")) for n, t in state.items()),
        ordered=path.suffix != SAFETENSORS,
    )


def read_state(path: Path) -> Mapping[str, Tensor]:
    """The state dict in a file; a training script's checkpoint may hold it.

    Raises:
        SourceError: there is none, or it cannot be read safely.
    """
    if path.suffix == SAFETENSORS:
        return _read_safetensors(path)
    return state_of(read_torch(path), path)


def state_of(value: Any, path: Path) -> Mapping[str, Tensor]:
    """The tensors by name in what a PyTorch file holds.

    Raises:
        SourceError: it holds none.
    """
    if not _has_tensors(value) and isinstance(value, Mapping):
        value = next((value[k] for k in NESTED if _has_tensors(value.get(k))), value)
    if not _has_tensors(value):
        raise SourceError(
            f"{path} holds no state dict (names to tensors) but a {type(value).__name__}: save "
            "model.state_dict() in it"
        )
    found = {str(name): t for name, t in value.items() if isinstance(t, Tensor)}
    check_tensors(found, path)
    return found


def check_tensors(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not plain numbers, or of more numbers than their file can hold.

    A pickle may describe a tensor of any shape over one number, or over memory that is not filled.

    Raises:
        SourceError: one of them.
    """
    size = path.stat().st_size
    for name, tensor in state.items():
        plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
        if not plain or tensor.is_quantized or tensor.is_complex():
            raise SourceError(f"{path}: tensor {name!r} is not of plain numbers but {tensor.dtype}")
        becomes = tensor.numel() * max(4, tensor.element_size())
        if becomes > most_bytes(size):
            shape = tuple(tensor.shape)
            raise SourceError(
                f"{path}: tensor {name!r} says it has the shape {shape}, {becomes:,} bytes, in a "
                f"file of {size:,}"
            )


def read_torch(path: Path, allowed: Allowed = ()) -> Any:
    """What a PyTorch file holds, read with `weights_only=True`.

    Args:
        path: the file.
        allowed: inert classes, and the names in the file that mean them.

    Raises:
        SourceError: it is damaged, or holds something else than tensors and plain values.
    """
    try:
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals([*allowed]):
            check_torch_file(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except Oversized as error:
        raise SourceError(f"{path} is no state dict: {error}") from error
    except pickle.UnpicklingError as error:
        if not is_pickle(path):
            raise SourceError(f"{path} is no PyTorch file, or a damaged one") from error
        raise SourceError(
            f"{path} holds more than tensors ({_reason(error)}), and code in files is never run: "
            "convert it where it was made, to a file of model.state_dict()"
        ) from error
    except BROKEN_TORCH as error:
        raise SourceError(f"{path} is no PyTorch file, or a damaged one: {error}") from error


def flat_weights(
    state: Mapping[str, Tensor], architecture: Architecture, path: Path
) -> Float32[np.ndarray, " p"]:
    """A state dict as one vector in the order of a description.

    Raises:
        SourceError: a tensor is missing or of another shape.
    """
    flat = np.empty(architecture.parameters, dtype=np.float32)
    for tensor in architecture.tensors:
        got = tuple(state[tensor.name].shape) if tensor.name in state else None
        if got != tensor.shape:
            raise SourceError(
                f"{path}: tensor {tensor.name!r} should have the shape {tensor.shape}, got {got}"
            )
        values = state[tensor.name].detach().to(torch.float32).reshape(-1).numpy()
        flat[tensor.offset : tensor.offset + tensor.size] = values
    return flat


def in_order(
    state: Mapping[str, Tensor], architecture: Architecture, path: Path
) -> Float32[np.ndarray, " p"]:
    """A state dict as one vector: by name where the description has its names, else in order.

    Raises:
        SourceError: it has other tensors than the description.
    """
    wanted = list(architecture.tensors)
    if wanted[0].name in state:
        tensors = [state.get(t.name) for t in wanted]
    else:
        tensors = [t for name, t in state.items() if not name.endswith(SKIPPED)]
    shapes = [None if t is None else tuple(t.shape) for t in tensors]
    if shapes != [t.shape for t in wanted]:
        raise SourceError(
            f"{path}: wanted tensors of the shapes {[t.shape for t in wanted]}, got {shapes}: it "
            "is of another network than the first checkpoint"
        )
    return np.concatenate(
        [t.detach().float().reshape(-1).numpy() for t in tensors if t is not None]
    )


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, TypeError, RuntimeError) as error:
        raise SourceError(f"{path} is no safetensors file, or a damaged one: {error}") from error


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values())


def _reason(error: Exception) -> str:
    """The name that was refused, from torch's long text."""
    text = str(error)
    marked = "GLOBAL "
    if marked in text:
        return text.partition(marked)[2].split()[0]
    return "a pickle that is not of tensors alone"
