"""The one door to `zoogen`: descriptions and zoos, under the names that the rest of sne uses."""

from zoogen.contract import (
    MISUSED,
    RECIPES,
    Architecture,
    Axis,
    Column,
    Factor,
    Inferred,
    Node,
    Space,
    TensorSpec,
    Zoo,
    ZooError,
    checked,
    infer_architecture,
    infer_module,
    open_zoo,
)

__all__ = [
    "MISUSED",
    "RECIPES",
    "Architecture",
    "Axis",
    "Column",
    "Factor",
    "Inferred",
    "Node",
    "Space",
    "TensorSpec",
    "Zoo",
    "ZooError",
    "checked",
    "infer_architecture",
    "infer_module",
    "open_zoo",
]
