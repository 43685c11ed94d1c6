"""The one interface of all models: what a batch is, what a model gives for it, what it can take.

A model is an `nn.Module`: prepared for the architectures of its training zoos, called with a batch,
it gives an encoding and a prediction for each network. Training, evaluation, encoding and the
memory plan know nothing else of it. `sne.models.MODELS` holds the models by name.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sne.errors import ModelError, SettingError
from sne.scaling import InputScaling
from sne.zoo import Architecture

ACTIVATIONS = ("relu", "tanh", "sine", "gelu", "sigmoid", "silu", "leaky_relu")
"""Activations by number; their order is part of trained models."""
CONFIG_COLUMN = "config."
"""What a description names for an activation that each network has of its own."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Group:
    """Networks of one architecture, on the model's device."""

    architecture: Architecture
    weights: Float[Tensor, "b p"]
    """Unscaled; buffers included."""
    activations: Mapping[str, Int[Tensor, " b"]] = field(default_factory=dict[str, Tensor])
    """Where the description leaves an activation to the network: by config column, its place in
    ACTIVATIONS, or -1; on the CPU, since it decides what is computed. A column that is missing is
    not known."""

    def rows(self, index: slice | Int[Tensor, " c"]) -> "Group":
        """Some of the networks; an index lies on the CPU."""
        chosen = {name: values[index] for name, values in self.activations.items()}
        there = index if isinstance(index, slice) else index.to(self.weights.device)
        return dataclasses.replace(self, weights=self.weights[there], activations=chosen)

    def with_weights(self, weights: Float[Tensor, "b p"]) -> "Group":
        """The same networks with weights that make the same functions, or other ones."""
        return dataclasses.replace(self, weights=weights)


Batch: TypeAlias = Sequence[Group]
"""Networks of any architectures. What comes out has one row for each, group after group."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outputs:
    """What a model says of each network in a batch."""

    encoding: Float[Tensor, "b e"]
    prediction: Float[Tensor, "b o"]
    """Before any sigmoid or softmax."""


@runtime_checkable
class Model(Protocol):
    """What every model's `nn.Module` offers beyond torch's own methods."""

    def __call__(self, batch: Batch) -> Outputs:
        """Encode and predict; raises ModelError for an architecture that is refused."""
        ...

    def refusal(self, architecture: Architecture) -> str | None:
        """Why the model, as it was prepared, cannot take these networks; None if it can."""
        ...


@runtime_checkable
class FittedModel(Model, Protocol):
    """A model that is fitted at once, not by gradients: its state dict is empty before `fit`."""

    def fit(self, batch: Batch, target: Float[Tensor, " b"], validation: "Labelled | None") -> None:
        """Learn from all training networks; the validation networks decide when to stop."""
        ...


Labelled: TypeAlias = tuple[Batch, Float[Tensor, " v"]]
Encoded: TypeAlias = tuple[Float[Tensor, "_ _"], Float[Tensor, " _"]]
"""Encodings of networks, (n, e), and their targets, (n,)."""


@runtime_checkable
class ProbedModel(Model, Protocol):
    """A model whose encodings are learnt without labels; what predicts from them is then fitted.

    The probe is fitted anew after each epoch, so that epochs are compared, saved and measured as
    those of any other model.
    """

    def teach(self, batch: Batch, *, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Losses of a step by name; `loss` is minimised. Views are drawn from the generator."""
        ...

    def fit_probe(self, training: Encoded, validation: Encoded | None) -> None:
        """Learn to predict from encodings, on the CPU; what is learnt is in the state dict."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What a model is made for."""

    architectures: tuple[Architecture, ...]
    """All that occur in the training zoos."""
    scaling: InputScaling
    task: str
    """A key of `losses.TASKS`."""
    outputs: int = 1
    """Numbers to predict; of a category, its classes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usual:
    """A model's own defaults for one kind of network, as published: fields to plain values."""

    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    optimizer: Mapping[str, Any] = field(default_factory=dict[str, Any])
    symmetry: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelKind:
    """One entry of `--model`."""

    summary: str
    config: type[Any]
    """A frozen dataclass; every field has a default."""
    make: Callable[[Any, Preparation], nn.Module]
    """(config, preparation) to a module that satisfies `Model`; see `prepare`."""
    usual: Mapping[str, Usual] = field(default_factory=dict[str, Usual])
    """By recipe (`sne.recipes`); what is not named has the recipe's default, or the field's."""
    invariant: bool = False
    """Whatever is learnt, predictions are the same for neurons in another order."""
    independent: bool = False
    """In training too, what comes out for a network depends on that network alone and on no chance
    (no dropout, no norm over a batch): its parts may be computed side by side."""


def own_activations(architecture: Architecture) -> tuple[str, ...]:
    """Config columns that hold an activation of each network."""
    names = (node.activation or "" for node in architecture.nodes)
    return tuple(dict.fromkeys(name for name in names if name.startswith(CONFIG_COLUMN)))


def prepare(
    kind: ModelKind, preparation: Preparation, *, config: Any = None, seed: int = 0
) -> nn.Module:
    """A fresh module for these architectures.

    Args:
        config: an instance of `kind.config`; None: its defaults.
        seed: of the initial weights; the global generator is left as it was.

    Raises:
        ModelError: the model cannot take one of the architectures, and why.
    """
    config = kind.config() if config is None else config
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = kind.make(config, preparation)
    for architecture in preparation.architectures:
        check_taken(module, architecture)
    return module


def check_taken(module: Any, architecture: Architecture) -> None:
    """Whether a prepared module takes these networks.

    Raises:
        ModelError: it does not; the sentence says why.
    """
    if (reason := module.refusal(architecture)) is not None:
        raise ModelError(reason)


def read_config(kind: ModelKind, values: Mapping[str, Any]) -> Any:
    """A config from plain values, as JSON keeps them; what is missing has its default.

    Raises:
        SettingError: a name that the model does not have.
    """
    known = {field.name for field in dataclasses.fields(kind.config)}
    if unknown := sorted(set(values) - known):
        raise SettingError(f"no setting {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    changed = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return kind.config(**changed)


def layout(architecture: Architecture) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    """Layer type, role and shape of every tensor: what models of fixed inputs compare."""
    return tuple((t.layer_type, t.role, t.shape) for t in architecture.tensors)
