"""The description of any PyTorch network: from a module, or from names and shapes alone.

What is certain is described: tensors, their layers, types, roles and order. What feeds what is not
known, so no edge and no permutable space is declared. Everything that was concluded, changed or
left out is said in `Inferred.assumed`. A module is only asked for its names: nothing here imports
torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, runtime_checkable

from zoogen.description import (
    Architecture,
    Axis,
    Factor,
    Node,
    Operation,
    Role,
    Space,
    TensorSpec,
)
from zoogen.errors import PlanError
from zoogen.layer_names import (
    ROOT,
    SKIPPED,
    Place,
    Shape,
    depth_key,
    layer_type,
    place,
    projection,
    role,
)

FAMILY = "state dict"
FLOATS = ("float32", "float64", "float16", "bfloat16")
_CLASSES: Mapping[Operation, str] = {
    "conv2d": ("Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d"),
    "linear": "Linear",
    "embedding": "Embedding EmbeddingBag",
    "batch_norm": (
        "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm "
        "InstanceNorm1d InstanceNorm2d InstanceNorm3d"
    ),
    "layer_norm": "LayerNorm GroupNorm RMSNorm PReLU",
    "attention": "MultiheadAttention",
}
MODULES: Mapping[str, Operation] = {
    name: kind for kind, names in _CLASSES.items() for name in names.split()
}
"""Classes of torch.nn and the layer type that each is described as."""


@runtime_checkable
class ModuleLike(Protocol):
    """What is used of a `torch.nn.Module`."""

    def named_modules(self) -> Iterable[tuple[str, Any]]:
        """Dotted names and modules."""
        ...

    def named_buffers(self) -> Iterable[tuple[str, Any]]:
        """Dotted names and tensors."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Parameters and persistent buffers."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Inferred:
    """A description, and what it rests on."""

    architecture: Architecture
    """Its tensors are named as the state dict's; those left out are not among them."""
    assumed: tuple[str, ...]
    """One sentence for each thing that was concluded, changed or left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What a module says beyond names and shapes."""

    kinds: Mapping[str, Operation]
    buffers: frozenset[str]
    classes: tuple[str, ...]
    """Classes that own tensors and that torch.nn does not have."""


def infer_module(module: ModuleLike) -> Inferred:
    """The description of a `torch.nn.Module`, whose classes say what its layers are.

    Raises:
        PlanError: it has no tensor that can be described.
    """
    kinds: dict[str, Operation] = {}
    for name, part in module.named_modules():
        if (kind := _kind_of(part)) is not None:
            kinds[name or ROOT] = kind
    state = module.state_dict()
    known = _Known(
        kinds=kinds,
        buffers=frozenset(name for name, _ in module.named_buffers()),
        classes=tuple(
            sorted({type(m).__name__ for n, m in module.named_modules() if _owns(n, m, kinds)})
        ),
    )
    return _infer(
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        dtypes={name: str(tensor.dtype).removeprefix("torch.") for name, tensor in state.items()},
        family=type(module).__name__,
        known=known,
        ordered=True,
    )


def infer_architecture(
    shapes: Mapping[str, Shape],
    *,
    dtypes: Mapping[str, str] | None = None,
    family: str = FAMILY,
    ordered: bool = True,
) -> Inferred:
    """The description of a state dict.

    Args:
        shapes: of each tensor by name, in the order of the network's layers.
        dtypes: names such as `float16`; missing ones are float32.
        family: what the network is called.
        ordered: False: the names come in no order (a safetensors file sorts them).

    Raises:
        PlanError: no tensor can be described.
    """
    return _infer(shapes, dtypes=dtypes or {}, family=family, known=None, ordered=ordered)


def _infer(
    shapes: Mapping[str, Shape],
    *,
    dtypes: Mapping[str, str],
    family: str,
    known: _Known | None,
    ordered: bool,
) -> Inferred:
    names = list(shapes) if ordered else sorted(shapes, key=depth_key)
    left_out = {n: why for n in names if (why := _why_not(n, shapes[n], dtypes.get(n)))}
    kept = [name for name in names if name not in left_out]
    if not kept:
        raise PlanError(
            f"{family} has no tensor of floating-point numbers; its {len(names)} tensors: "
            f"{_some(names) or 'none'}"
        )
    places = {name: place(name, shapes) for name in kept}
    kinds = _kinds(places, shapes, known)
    tensors = _tensors(kept, shapes, places=places, kinds=kinds, known=known)
    assumed = (
        *_about_types(known, ordered=ordered),
        "what feeds what is not known: no symmetry and no connection is described",
        *_about_dtypes(kept, dtypes),
        *_about_left_out(left_out),
    )
    return Inferred(architecture=_architecture(family, tensors, kinds), assumed=assumed)


def _why_not(name: str, shape: Shape, dtype: str | None) -> str | None:
    if dtype is not None and dtype not in FLOATS:
        return dtype
    if name.rpartition(".")[2] == SKIPPED:
        return "a counter"
    return "empty" if prod(shape) == 0 else None


def _kinds(
    places: Mapping[str, Place], shapes: Mapping[str, Shape], known: _Known | None
) -> dict[str, Operation]:
    layers: dict[str, dict[str, Shape]] = {}
    for name, where in places.items():
        layers.setdefault(where.layer, {})[where.last] = shapes[name]
    found: dict[str, Operation] = {
        layer: layer_type(layer, tensors) for layer, tensors in layers.items()
    }
    for layer, kind in (known.kinds if known else {}).items():
        if layer in found:
            found[layer] = projection(layer) if kind == "linear" else kind
    return found


def _tensors(
    names: Sequence[str],
    shapes: Mapping[str, Shape],
    *,
    places: Mapping[str, Place],
    kinds: Mapping[str, Operation],
    known: _Known | None,
) -> tuple[TensorSpec, ...]:
    """Parameters in order, buffers last."""
    levels = {layer: level for level, layer in enumerate(kinds)}
    roles: dict[str, Role] = {
        n: role(places[n].last, shapes[n], kinds[places[n].layer]) for n in names
    }
    if known is not None:
        roles |= dict.fromkeys(known.buffers & roles.keys(), "buffer")
    found: list[TensorSpec] = []
    offset = 0
    for name in sorted(names, key=lambda n: roles[n] == "buffer"):
        layer, shape = places[name].layer, shapes[name]
        tensor = TensorSpec(
            name=name,
            shape=shape,
            offset=offset,
            dtype="float32",
            role=roles[name],
            layer=layer,
            layer_type=kinds[layer],
            level=levels[layer],
            axes=tuple(
                Axis(size=size, factors=(Factor(space=f"{name}.{axis}"),))
                for axis, size in enumerate(shape)
            ),
        )
        found.append(tensor)
        offset += tensor.size
    return tuple(found)


def _architecture(
    family: str, tensors: Sequence[TensorSpec], kinds: Mapping[str, Operation]
) -> Architecture:
    matrices = [t for t in tensors if t.role == "weight" and len(t.shape) > 1]
    # Of an input no more is known than the channels or features that the first weights take.
    inputs = matrices[0].shape[1] if matrices else tensors[0].size
    outputs = matrices[-1].shape[0] if matrices else tensors[-1].size
    inner = (Node(name=layer, op=kind) for layer, kind in kinds.items())
    return Architecture(
        family=family,
        input_shape=(inputs,),
        output_size=outputs,
        spaces=tuple(
            Space(name=factor.space, size=axis.size, permutable=False)
            for tensor in tensors
            for axis in tensor.axes
            for factor in axis.factors
        ),
        tensors=tuple(tensors),
        nodes=(Node(name="input", op="input"), *inner, Node(name="output", op="output")),
        edges=(),
        options={"inferred": True},
    )


def _about_types(known: _Known | None, *, ordered: bool) -> list[str]:
    if known is not None:
        if not known.classes:
            return []
        return [
            "tensors that these classes own themselves were read from names and shapes: "
            + _some(known.classes)
        ]
    said = ["layer types and roles were read from names and shapes, there is no code to ask"]
    if not ordered:
        said.append("the file keeps no order of layers: they were sorted by name, stem to head")
    return said


def _about_dtypes(names: Sequence[str], dtypes: Mapping[str, str]) -> list[str]:
    others = sorted({dtypes.get(name, "float32") for name in names} - {"float32"})
    return [
        f"{sum(dtypes.get(n) == dtype for n in names)} tensors of {dtype} are read as float32"
        for dtype in others
    ]


def _about_left_out(left_out: Mapping[str, str]) -> list[str]:
    if not left_out:
        return []
    reasons = ", ".join(sorted(set(left_out.values())))
    return [f"left out {len(left_out)} tensors ({reasons}): {_some(left_out)}"]


def _kind_of(module: Any) -> Operation | None:
    """By the nearest class of torch.nn."""
    for cls in type(module).__mro__:
        if cls.__name__ in MODULES and cls.__module__.startswith("torch.nn"):
            return MODULES[cls.__name__]
    return None


def _owns(name: str, module: Any, kinds: Mapping[str, Operation]) -> bool:
    return (name or ROOT) not in kinds and any(True for _ in module.parameters(recurse=False))


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
