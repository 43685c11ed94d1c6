"""What the name and shape of a tensor say about it: layer, type, role, and its place in depth.

PyTorch's own names are certain (`running_mean`, `in_proj_weight`); others are conventions of the
field's libraries, and what was concluded from a convention is said by `zoogen.infer`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from zoogen.description import Operation, Role

RUNNING = ("running_mean", "running_var")
SKIPPED = "num_batches_tracked"
ROOT = "module"
"""Name of the layer that is the whole module, whose tensors have no prefix."""

_OWN = re.compile(r"^(weight|bias|gamma|beta|running_mean|running_var|num_batches_tracked)$")
_PACKED = re.compile(r"^(in_proj_weight|in_proj_bias|[qkv]_proj_weight|bias_[kv])$")
_RECURRENT = re.compile(r"^(weight|bias)_(ih|hh|hr)_(l\d+(?:_reverse)?)$")
_ATTENTION_LAYER = re.compile(
    r"^(qkv|[qkv]|[qkvo]_proj|out_proj|in_proj|c_attn|query|key|value|to_(q|k|v|qkv|out))$"
)
_EMBEDDING = re.compile(r"emb|^wte$|^wpe$|relative_position_bias", re.IGNORECASE)
_TOKEN = re.compile(r"tokens?$|^cls$|register", re.IGNORECASE)

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a tensor belongs."""

    layer: str
    last: str
    """Its name within the layer."""


def place(name: str, names: Collection[str]) -> Place:
    """The layer that owns a tensor, among all names of the network."""
    prefix, _, last = name.rpartition(".")
    if recurrent := _RECURRENT.match(last):
        kind, gate, depth = recurrent.groups()
        return Place(layer=_joined(prefix, f"{gate}_{depth}"), last=kind)
    if _PACKED.match(last):
        return Place(layer=prefix or ROOT, last=last)
    outer, _, inner = prefix.rpartition(".")
    if inner == "out_proj" and _joined(outer, "in_proj_weight") in names:
        return Place(layer=outer or ROOT, last=f"out_proj.{last}")
    if _OWN.match(last):
        return Place(layer=prefix or ROOT, last=last)
    return Place(layer=name, last=last)


def layer_type(layer: str, tensors: Mapping[str, Shape]) -> Operation:
    """What a layer computes, from its name and its tensors by their names within it."""
    if any(_PACKED.match(name) for name in tensors):
        return "attention"
    if any(name in tensors for name in RUNNING):
        return "batch_norm"
    ranks = {name: len(shape) for name, shape in tensors.items()}
    weight = ranks.get("weight", max(ranks.values()))
    if _is_embedding(layer, tensors, weight):
        return "embedding"
    if weight == 2:
        return projection(layer)
    return "layer_norm" if weight < 2 else "conv2d"


def _is_embedding(layer: str, tensors: Collection[str], rank: int) -> bool:
    """A lone tensor named as a table or token, or a matrix without bias in a layer named so."""
    path = layer.split(".")
    if path[-1] in tensors:
        return bool(_EMBEDDING.search(path[-1]) or _TOKEN.search(path[-1]))
    named = any(_EMBEDDING.search(part) for part in path[-2:])
    return named and rank == 2 and "bias" not in tensors


def projection(layer: str) -> Operation:
    """Linear, or the projection of an attention: by the layer's name."""
    path = layer.split(".")
    inside = any("attn" in part.lower() or "attention" in part.lower() for part in path)
    return "attention" if inside or _ATTENTION_LAYER.match(path[-1]) else "linear"


def role(last: str, shape: Shape, kind: Operation) -> Role:
    """What a tensor is in its layer."""
    if last in RUNNING:
        return "buffer"
    if kind in ("batch_norm", "layer_norm"):
        return "shift" if last in ("bias", "beta") else "scale"
    if kind == "embedding":
        return "token" if _TOKEN.search(last) else "embedding"
    if last.rpartition(".")[2] == "bias" or last == "in_proj_bias":
        return "bias"
    return "weight" if len(shape) > 1 else "bias"


def depth_key(name: str) -> tuple[tuple[int, float, int, str], ...]:
    """Sorts names that come without an order roughly as data flows through the network.

    Part by part of the dotted name: stems, then numbered parts, heads last; of one number the
    convolution before its norm; attention between the first and the second of a block's parts.
    """
    return tuple(_part_key(part) for part in name.split("."))


_STEM = re.compile(r"stem|token|emb|^conv_proj$|^wte$|^wpe$|^conv_first$")
_HEAD = re.compile(r"^(aux\d*|fc|heads?|classifier|pre_logits|logits|outputs?|lm_head)$")
_NUMBER = re.compile(r"(\d+)$")
_NORM = re.compile(r"^(bn|norm|ln)")
_FIRST = re.compile(r"^(conv|q$|qkv|query)|weight")
_SECOND = re.compile(r"^(bn|norm|ln|k$|key)|bias")


def _part_key(part: str) -> tuple[int, float, int, str]:
    low = part.lower()
    if _STEM.search(low):
        return 0, 0.0, 0, low
    rank = 2 if _HEAD.match(low) else 1
    found = _NUMBER.search(low)
    if found is None and _NORM.match(low):
        return rank, float("inf"), 3, low
    number = float(found.group(1)) if found else _unnumbered(low)
    # What is convolved is then normalised, then handed to deeper parts.
    kind = 0 if _FIRST.search(low) else 1 if _SECOND.search(low) else 2
    return rank, number, kind, low


def _unnumbered(part: str) -> float:
    if re.search(r"attn|attention", part):
        return 1.5
    return 2.5 if re.search(r"mlp|ffn|feed_forward", part) else float("inf")


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
