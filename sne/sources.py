"""A network from anywhere as one flat float32 vector and its description.

A source is a state dict in a file (PyTorch or safetensors), a torchvision model by name, a row of a
zoo, or a torch module in Python. Files are read as tensors only (`weights_only=True`): no code in
them is run. What was concluded from names and shapes is said in `Source.notes`.
"""

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sne.errors import DataError
from sne.model import Batch, Group, own_activations
from sne.networks import activation_numbers
from sne.zoo import (
    BROKEN_TORCH,
    Architecture,
    Inferred,
    ZooError,
    check_torch_file,
    infer_architecture,
    infer_module,
    is_pickle,
    most_bytes,
    open_zoo,
)

FORMS = (
    "a .safetensors file, a PyTorch file with a state dict, ZOO#MEMBER or ZOO#MEMBER@EPOCH, "
    "torchvision:NAME, torchvision:NAME/WEIGHTS, torchvision:NAME/seedN"
)
SAFETENSORS = ".safetensors"
TORCHVISION = "torchvision:"
NESTED = ("state_dict", "model_state_dict", "model", "net", "weights", "ema")
"""Where training scripts put the state dict in their checkpoints."""
PARALLEL = "module."
"""What `DataParallel` puts before every name."""
_ROW = re.compile(r"^(?P<zoo>.+)#(?P<member>\d+)(?:@(?P<epoch>\d+))?$")
_SEED = re.compile(r"^seed(\d+)$")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Source:
    """One network, ready to be encoded."""

    name: str
    architecture: Architecture
    weights: Float32[Tensor, " p"]
    """Buffers last."""
    notes: tuple[str, ...] = ()
    """What was assumed, changed or left out."""
    activations: Mapping[str, int] = field(default_factory=dict[str, int])
    """As `model.Group` has them, of one network."""

    def batch(self, device: torch.device, *, predicted: str) -> Batch:
        """The network alone, on a device; of a column that is predicted nothing is known."""
        known = {
            name: torch.tensor([number])
            for name, number in self.activations.items()
            if name != predicted
        }
        weights = self.weights[None].to(device)
        return [Group(architecture=self.architecture, weights=weights, activations=known)]


def read_source(text: str) -> Source:
    """The network that a word on the command line means.

    Raises:
        DataError: there is no such network, or it is no network.
        ZooError: the zoo cannot be read.
    """
    if text.startswith(TORCHVISION):
        return _torchvision(text)
    if row := _ROW.match(text):
        return _zoo_row(text, row)
    path = Path(text)
    if not path.exists():
        raise DataError(f"there is no {text}; a network is {FORMS}")
    if path.is_dir():
        raise DataError(
            f"{text} is a folder, not a network; if it is a zoo, its first network is {text}#0"
        )
    if path.suffix == SAFETENSORS:
        return from_state_dict(_safetensors(path), name=text, ordered=False)
    state, notes = _state_dict(_torch_file(path), text)
    _check_tensors(state, path)
    return from_state_dict(state, name=text, notes=notes)


def from_module(module: nn.Module, *, name: str | None = None) -> Source:
    """A torch module.

    Raises:
        DataError: it has no tensor that can be described.
    """
    return _source(infer_module(module), module.state_dict(), name or type(module).__name__)


def from_state_dict(
    state: Mapping[str, Tensor],
    *,
    name: str = "state dict",
    ordered: bool = True,
    notes: tuple[str, ...] = (),
) -> Source:
    """Named tensors.

    Args:
        state: tensors by name.
        name: what the network is called.
        ordered: whether the names come in the order of the layers.
        notes: what was done to the state dict before.

    Raises:
        DataError: none of them can be described.
    """
    try:
        inferred = infer_architecture(
            {key: tuple(tensor.shape) for key, tensor in state.items()},
            dtypes={key: str(t.dtype).removeprefix("torch.") for key, t in state.items()},
            ordered=ordered,
        )
    except ZooError as error:
        raise DataError(f"{name}: {error}") from error
    return _source(inferred, state, name, notes)


def _source(
    inferred: Inferred, state: Mapping[str, Tensor], name: str, notes: tuple[str, ...] = ()
) -> Source:
    architecture = inferred.architecture
    weights = torch.empty(architecture.parameters, dtype=torch.float32)
    for tensor in architecture.tensors:
        place = weights[tensor.offset : tensor.offset + tensor.size]
        place.copy_(state[tensor.name].detach().reshape(-1))
    return Source(
        name=name, architecture=architecture, weights=weights, notes=(*notes, *inferred.assumed)
    )


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{path} is no safetensors file: {error}") from error


def _torch_file(path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):
            check_torch_file(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, *BROKEN_TORCH) as error:
        if isinstance(error, pickle.UnpicklingError) and is_pickle(path):
            raise DataError(
                f"{path} holds more than tensors, which takes code to load, and code in files is "
                "never run: save model.state_dict() in it, or give the module in Python"
            ) from error
        raise DataError(
            f"{path} is no PyTorch file, or a damaged one; a network is {FORMS}"
        ) from error


def _state_dict(value: Any, name: str) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
    """The state dict in a file, which may lie inside a training script's checkpoint."""
    notes: list[str] = []
    if not _is_state_dict(value):
        inner = [
            key for key in NESTED if isinstance(value, Mapping) and _is_state_dict(value.get(key))
        ]
        if not inner:
            held = f"a {type(value).__name__}"
            if isinstance(value, Mapping):
                held += f" with {_first([str(key) for key in value]) or 'nothing in it'}"
            raise DataError(f"{name} holds no state dict (names to tensors) but {held}")
        value = value[inner[0]]
        notes.append(f"the state dict is what the file has under {inner[0]!r}")
    state = {str(key): tensor for key, tensor in value.items() if isinstance(tensor, Tensor)}
    if state and all(key.startswith(PARALLEL) for key in state):
        state = {key.removeprefix(PARALLEL): tensor for key, tensor in state.items()}
        notes.append(f"{PARALLEL!r} was removed from all names")
    return state, tuple(notes)


def _check_tensors(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors of more numbers than the file can hold, and what is not plain numbers."""
    size = path.stat().st_size
    for name, tensor in state.items():
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            raise DataError(f"{path}: tensor {name!r} is not of plain numbers but {tensor.dtype}")
        if 4 * tensor.numel() > most_bytes(size):
            shape = tuple(tensor.shape)
            raise DataError(
                f"{path}: tensor {name!r} says it has the shape {shape} in a file of {size:,} bytes"
            )


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values())


def _zoo_row(text: str, row: re.Match[str]) -> Source:
    zoo = open_zoo(row["zoo"])
    epoch = None if row["epoch"] is None else int(row["epoch"])
    found = zoo.row(int(row["member"]), epoch)
    weights = np.array(found["weights"], dtype=np.float32)
    architecture = zoo.architectures[found["arch"]]
    columns = own_activations(architecture)
    numbers = activation_numbers([found[column] for column in columns]).tolist()
    return Source(
        name=text,
        architecture=architecture,
        weights=torch.from_numpy(weights),
        activations=dict(zip(columns, numbers, strict=True)),
    )


def _torchvision(text: str) -> Source:
    from torchvision.models import get_model, get_model_weights, list_models

    name, _, weights = text.removeprefix(TORCHVISION).partition("/")
    if name not in list_models():
        near = [known for known in list_models() if known.startswith(name[:3])] or list_models()
        raise DataError(f"torchvision has no model {name!r}; some that it has: {_first(near)}")
    if seed := _SEED.match(weights):
        with torch.random.fork_rng():
            torch.manual_seed(int(seed[1]))
            module = get_model(name, weights=None)
        return from_module(module, name=text)
    known = [entry.name for entry in get_model_weights(name)]
    if weights not in ("", "DEFAULT", *known):
        raise DataError(
            f"torchvision's {name} has no weights {weights!r}; there are: "
            f"{', '.join([*known, 'seed0'])} (initialised, not trained)"
        )
    try:
        return from_module(get_model(name, weights=weights or "DEFAULT"), name=text)
    except OSError as error:
        raise DataError(
            f"torchvision could not download the weights of {name} ({error}); "
            f"{TORCHVISION}{name}/seed0 is the same network, initialised but not trained"
        ) from error


def _first(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
