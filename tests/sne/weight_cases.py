"""Architectures that the tests of models share: real ones, written out ones, and drawn ones."""

from collections.abc import Mapping
from math import prod

import torch
from hypothesis import strategies as st

from sne.model import Group, own_activations
from zoogen.archs import ARCHS
from zoogen.description import Architecture, Axis, Factor, Node, Role, Space, TensorSpec
from zoogen.infer import infer_architecture

ARCH1 = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
ARCH2 = ARCHS["arch2"].describe(input_shape=(3, 28, 28), classes=10)
GREY_ARCH2 = ARCHS["arch2"].describe(input_shape=(1, 28, 28), classes=10)
SIREN = ARCHS["siren"].describe(input_shape=(1,), classes=1, width=8)
INFERRED = infer_architecture(
    {
        "stem.weight": (6, 3, 5, 3),
        "stem_norm.weight": (6,),
        "stem_norm.bias": (6,),
        "stem_norm.running_mean": (6,),
        "stem_norm.running_var": (6,),
        "pos_embed": (1, 5, 6),
        "block.attn.in_proj_weight": (18, 6),
        "block.attn.in_proj_bias": (18,),
        "block.attn.out_proj.weight": (6, 6),
        "block.attn.out_proj.bias": (6,),
        "cls_token": (1, 1, 6),
        "head.weight": (4, 6),
        "head.bias": (4,),
    }
).architecture


def attention() -> Architecture:
    """A fused projection of q, k and v with heads, and the projection behind it."""
    spaces = (
        Space(name="stream", size=6, permutable=True),
        Space(name="head", size=2, permutable=True),
        Space(name="asked", size=3, permutable=True, within="head"),
        Space(name="given", size=3, permutable=True, within="head", sign_flips=True),
        Space(name="classes", size=4, permutable=False),
    )
    asked, given, stream, classes = (
        product(spaces, names)
        for names in (("head", "asked"), ("head", "given"), ("stream",), ("classes",))
    )
    qkv = Axis(size=18, blocks=(asked, asked, given))
    return written(
        spaces,
        {
            "attention.in_proj_weight": ("attention", "weight", (qkv, stream)),
            "attention.in_proj_bias": ("attention", "bias", (qkv,)),
            "attention.out_proj.weight": ("attention", "weight", (stream, given)),
            "head.weight": ("linear", "weight", (classes, stream)),
        },
    )


def product(spaces: tuple[Space, ...], names: tuple[str, ...]) -> Axis:
    """The product of spaces, the last one fastest."""
    sizes = [next(s.size for s in spaces if s.name == name) for name in names]
    factors = tuple(Factor(space=name, stride=prod(sizes[i + 1 :])) for i, name in enumerate(names))
    return Axis(size=prod(sizes), factors=factors)


def written(
    spaces: tuple[Space, ...], rows: Mapping[str, tuple[str, Role, tuple[Axis, ...]]]
) -> Architecture:
    """A description by hand: tensor names to layer type, role and axes."""
    tensors: list[TensorSpec] = []
    layers: dict[str, int] = {}
    for name, (layer_type, role, axes) in rows.items():
        layer = name.split(".")[0]
        tensors.append(
            TensorSpec(
                name=name,
                shape=tuple(axis.size for axis in axes),
                offset=sum(t.size for t in tensors),
                dtype="float32",
                role=role,
                layer=layer,
                layer_type=layer_type,
                level=layers.setdefault(layer, len(layers)),
                axes=axes,
            )
        )
    return Architecture(
        family="written",
        input_shape=(3,),
        output_size=4,
        spaces=spaces,
        tensors=tuple(tensors),
        nodes=tuple(Node(name=name, op="linear") for name in layers),
        edges=(),
    )


SHAPES: Mapping[tuple[str, Role], tuple[int, int]] = {
    ("linear", "weight"): (2, 2),
    ("linear", "bias"): (1, 1),
    ("conv2d", "weight"): (3, 5),
    ("layer_norm", "scale"): (1, 1),
    ("batch_norm", "buffer"): (1, 1),
    ("attention", "weight"): (2, 3),
    ("embedding", "embedding"): (1, 3),
    ("embedding", "token"): (1, 3),
    ("recurrent", "weight"): (2, 2),
}
"""Fewest and most axes of each kind; the last one's layer type is not on the published list."""


Row = tuple[int, tuple[str, Role], list[int]]
"""Layer, kind and shape of a tensor."""


@st.composite
def tensor_rows(draw: st.DrawFn) -> list[Row]:
    """Any tensors in any order; `drawn` makes an architecture of them."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(list(SHAPES)))
        fewest, most = SHAPES[kind]
        sizes = draw(st.lists(st.integers(1, 9), min_size=fewest, max_size=most))
        rows.append((draw(st.integers(0, number)), kind, sizes))
    return rows


def drawn(rows: list[Row]) -> Architecture:
    """The architecture; axes of one size share a space, so that symmetries tie them together.

    It is made outside the strategy, since checked types draw random numbers there.
    """
    sizes = sorted({size for _, _, shape in rows for size in shape})
    spaces = tuple(
        Space(name=f"space{size}", size=size, permutable=size % 3 > 0, sign_flips=size % 2 == 0)
        for size in sizes
    )
    return written(
        spaces,
        {
            f"{layer}.{number}": (*kind, tuple(product(spaces, (f"space{s}",)) for s in shape))
            for number, (layer, kind, shape) in enumerate(rows)
        },
    )


def networks(architecture: Architecture, count: int, *, seed: int = 0) -> Group:
    """Networks with random weights, every other one with tanh where each has its activation."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(count, architecture.parameters, generator=generator)
    activations = {name: torch.arange(count) % 2 for name in own_activations(architecture)}
    return Group(architecture=architecture, weights=weights, activations=activations)
