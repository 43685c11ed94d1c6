"""Norms, residual sums and attention fit the description: one tiny block of each, by hand.

The two blocks below are torch modules of the plain kind and their descriptions, written out. That
a drawn symmetry leaves their output alone shows that the description can say what later families
(ResNets, transformers) need.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from math import prod

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoogen.description import Architecture, Axis, Edge, Factor, Node, Role, Space, TensorSpec
from zoogen.permute import Symmetry, draw_symmetry, permute


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


class ResidualBlock(nn.Module):
    """Stem, then conv-BN-ReLU-conv-BN added to the stem's output, ReLU, mean, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(6)
        self.first = nn.Conv2d(6, 5, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(5)
        self.second = nn.Conv2d(5, 6, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        stream = torch.relu(self.stem_norm(self.stem(x)))
        y = torch.relu(self.first_norm(self.first(stream)))
        y = torch.relu(self.second_norm(self.second(y)) + stream)
        return self.head(y.mean((2, 3)))


class AttentionBlock(nn.Module):
    """A pre-norm transformer block: 2 heads of 3 channels, q, k and v in one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 6)
        self.position = nn.Parameter(torch.zeros(5, 6))
        self.norm1 = nn.LayerNorm(6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm2 = nn.LayerNorm(6)
        self.up = nn.Linear(6, 8)
        self.down = nn.Linear(8, 6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        stream = self.embed(x) + self.position
        y = self.norm1(stream)
        stream = stream + self.attention(y, y, y, need_weights=False)[0]
        stream = stream + self.down(torch.nn.functional.gelu(self.up(self.norm2(stream))))
        return self.head(stream.mean(1))


def _axis(*spaces: Space) -> Axis:
    """The product of spaces, the last one fastest."""
    sizes = [space.size for space in spaces]
    factors = tuple(
        Factor(space=space.name, stride=prod(sizes[i + 1 :])) for i, space in enumerate(spaces)
    )
    return Axis(size=prod(sizes), factors=factors)


def _blocks(*axes: Axis) -> Axis:
    return Axis(size=sum(axis.size for axis in axes), blocks=axes)


Rows = Mapping[str, tuple[Role, tuple[Axis, ...]]]


def _tensors(nodes: tuple[Node, ...], rows: Rows) -> tuple[TensorSpec, ...]:
    tensors: list[TensorSpec] = []
    levels: dict[str, int] = {}
    for name, (role, axes) in rows.items():
        layer = name.split(".")[0]
        tensors.append(
            TensorSpec(
                name=name,
                shape=tuple(axis.size for axis in axes),
                offset=sum(t.size for t in tensors),
                dtype="float32",
                role=role,
                layer=layer,
                layer_type=next(node.op for node in nodes if node.name == layer),
                level=levels.setdefault(layer, len(levels)),
                axes=axes,
            )
        )
    return tuple(tensors)


def residual_nodes() -> tuple[Node, ...]:
    conv = {"op": "conv2d", "kernel": (3, 3), "stride": (1, 1), "padding": (1, 1)}
    return (
        Node(name="input", op="input"),
        Node(name="stem", **conv),
        Node(name="stem_norm", op="batch_norm", activation="relu"),
        Node(name="first", **conv),
        Node(name="first_norm", op="batch_norm", activation="relu"),
        Node(name="second", **conv),
        Node(name="second_norm", op="batch_norm", activation="relu"),
        Node(name="pool", op="mean_pool"),
        Node(name="head", op="linear", out_features=4),
    )


def residual_description() -> Architecture:
    image = Space(name="image", size=3, permutable=False)
    stream = Space(name="stream", size=6, permutable=True)
    hidden = Space(name="hidden", size=5, permutable=True)
    kernel = Space(name="kernel", size=3, permutable=False)
    classes = Space(name="classes", size=4, permutable=False)
    nodes = residual_nodes()
    norms = {"stem_norm": _axis(stream), "first_norm": _axis(hidden), "second_norm": _axis(stream)}

    def conv_weight(out: Space, into: Space) -> tuple[Role, tuple[Axis, ...]]:
        return "weight", (_axis(out), _axis(into), _axis(kernel), _axis(kernel))

    def norm(name: str) -> Rows:
        return {
            f"{name}.weight": ("scale", (norms[name],)),
            f"{name}.bias": ("shift", (norms[name],)),
        }

    def statistics(name: str) -> Rows:
        return {
            f"{name}.running_mean": ("buffer", (norms[name],)),
            f"{name}.running_var": ("buffer", (norms[name],)),
        }

    rows: Rows = {
        "stem.weight": conv_weight(stream, image),
        **norm("stem_norm"),
        "first.weight": conv_weight(hidden, stream),
        **norm("first_norm"),
        "second.weight": conv_weight(stream, hidden),
        **norm("second_norm"),
        "head.weight": ("weight", (_axis(classes), _axis(stream))),
        "head.bias": ("bias", (_axis(classes),)),
        **statistics("stem_norm"),
        **statistics("first_norm"),
        **statistics("second_norm"),
    }
    feeds = pairwise(nodes)
    return Architecture(
        family="by hand",
        input_shape=(3, 6, 6),
        output_size=4,
        spaces=(image, stream, hidden, kernel, classes),
        tensors=_tensors(nodes, rows),
        nodes=nodes,
        edges=(
            *(Edge(source=source.name, target=target.name) for source, target in feeds),
            Edge(source="stem_norm", target="second_norm", kind="residual"),
        ),
    )


def attention_description() -> Architecture:
    features = Space(name="features", size=3, permutable=False)
    token = Space(name="token", size=5, permutable=False)
    stream = Space(name="stream", size=6, permutable=True)
    head = Space(name="head", size=2, permutable=True)
    asked = Space(name="asked", size=3, permutable=True, within="head")
    given = Space(name="given", size=3, permutable=True, within="head")
    hidden = Space(name="hidden", size=8, permutable=True)
    classes = Space(name="classes", size=4, permutable=False)
    qkv = _blocks(_axis(head, asked), _axis(head, asked), _axis(head, given))
    nodes = (
        Node(name="input", op="input"),
        Node(name="embed", op="linear", out_features=6),
        Node(name="position", op="embedding"),
        Node(name="norm1", op="layer_norm"),
        Node(name="attention", op="attention", heads=2),
        Node(name="norm2", op="layer_norm"),
        Node(name="up", op="linear", activation="gelu", out_features=8),
        Node(name="down", op="linear", out_features=6),
        Node(name="pool", op="mean_pool"),
        Node(name="head", op="linear", out_features=4),
    )
    rows: Rows = {
        "position": ("embedding", (_axis(token), _axis(stream))),
        "embed.weight": ("weight", (_axis(stream), _axis(features))),
        "embed.bias": ("bias", (_axis(stream),)),
        "norm1.weight": ("scale", (_axis(stream),)),
        "norm1.bias": ("shift", (_axis(stream),)),
        "attention.in_proj_weight": ("weight", (qkv, _axis(stream))),
        "attention.in_proj_bias": ("bias", (qkv,)),
        "attention.out_proj.weight": ("weight", (_axis(stream), _axis(head, given))),
        "attention.out_proj.bias": ("bias", (_axis(stream),)),
        "norm2.weight": ("scale", (_axis(stream),)),
        "norm2.bias": ("shift", (_axis(stream),)),
        "up.weight": ("weight", (_axis(hidden), _axis(stream))),
        "up.bias": ("bias", (_axis(hidden),)),
        "down.weight": ("weight", (_axis(stream), _axis(hidden))),
        "down.bias": ("bias", (_axis(stream),)),
        "head.weight": ("weight", (_axis(classes), _axis(stream))),
        "head.bias": ("bias", (_axis(classes),)),
    }
    feeds = pairwise(nodes)
    return Architecture(
        family="by hand",
        input_shape=(5, 3),
        output_size=4,
        spaces=(features, token, stream, head, asked, given, hidden, classes),
        tensors=_tensors(nodes, rows),
        nodes=nodes,
        edges=(
            *(Edge(source=source.name, target=target.name) for source, target in feeds),
            Edge(source="position", target="attention", kind="residual"),
            Edge(source="attention", target="down", kind="residual"),
        ),
    )


Block = tuple[Architecture, Callable[[], nn.Module]]
BLOCKS: Mapping[str, Block] = {
    "residual": (residual_description(), ResidualBlock),
    "attention": (attention_description(), AttentionBlock),
}


@pytest.fixture(params=BLOCKS)
def block(request) -> Block:
    return BLOCKS[request.param]


def _weights(architecture: Architecture, rng: np.random.Generator) -> np.ndarray:
    """Drawn wide enough that attention is sharp; running variances must be positive."""
    weights = rng.normal(scale=0.7, size=architecture.parameters)
    for tensor in architecture.tensors:
        if tensor.name.endswith("running_var"):
            weights[tensor.offset : tensor.offset + tensor.size] = rng.uniform(0.5, 2, tensor.size)
    return weights


def _output(block: Block, rng: np.random.Generator, dtype=np.float64) -> Callable:
    """Weights to the block's output on one drawn input, by plain torch."""
    architecture, build = block
    x = torch.from_numpy(rng.normal(size=(3, *architecture.input_shape)).astype(dtype))
    module = build().to(x.dtype).eval()

    def output(weights: np.ndarray) -> np.ndarray:
        state = {
            t.name: torch.from_numpy(weights[t.offset : t.offset + t.size].reshape(t.shape))
            for t in architecture.tensors
        }
        with torch.no_grad():
            return torch.func.functional_call(module, state, x).numpy()

    return output


def _change(output: Callable, old: np.ndarray, new: np.ndarray) -> float:
    before = output(old)
    return float(np.abs(output(new) - before).max() / np.abs(before).max())


def _lies_in(axis: Axis, space: str) -> bool:
    return any(f.space == space for part in axis.blocks or (axis,) for f in part.factors)


def test_blocks_describe_every_tensor_of_their_modules(block):
    architecture, build = block
    module = build()
    held = [(name, tuple(p.shape)) for name, p in module.named_parameters()]
    held += [(n, tuple(b.shape)) for n, b in module.named_buffers() if not n.endswith("tracked")]
    assert held == [(t.name, t.shape) for t in architecture.tensors]


def test_blocks_survive_json(block):
    architecture, _ = block
    again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert again == architecture
    assert again.content_id == architecture.content_id


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_drawn_symmetries_leave_a_block_alone(block, rng, dtype, tolerance):
    architecture, _ = block
    weights = _weights(architecture, rng).astype(dtype)
    output = _output(block, rng, dtype)
    for _ in range(5):
        moved = permute(architecture, draw_symmetry(architecture, rng), weights)
        assert (moved != weights).mean() > 0.5
        assert _change(output, weights, moved) < tolerance


@pytest.mark.parametrize(("name", "tensors"), [("residual", 12 + 6), ("attention", 14 + 11)])
def test_a_space_that_one_tensor_does_not_follow_changes_a_block(name, tensors, rng):
    """For each tensor and each permutable space: reorder the space everywhere but there."""
    block = BLOCKS[name]
    architecture, _ = block
    weights = _weights(architecture, rng)
    output = _output(block, rng)
    checked = 0
    for space in (s for s in architecture.spaces if s.permutable):
        shape = (space.size,) if space.within is None else (2, space.size)
        order = np.roll(np.broadcast_to(np.arange(space.size), shape), 1, axis=-1)
        moved = permute(architecture, Symmetry(orders={space.name: order}, signs={}), weights)
        assert _change(output, weights, moved) < 1e-10
        for tensor in architecture.tensors:
            if not any(_lies_in(axis, space.name) for axis in tensor.axes):
                continue
            left = moved.copy()
            part = slice(tensor.offset, tensor.offset + tensor.size)
            left[part] = weights[part]
            assert _change(output, weights, left) > 1e-4, (space.name, tensor.name)
            checked += 1
    assert checked == tensors


def test_channels_of_each_head_move_on_their_own(rng):
    block = BLOCKS["attention"]
    architecture, _ = block
    weights, output = _weights(architecture, rng), _output(block, rng)
    for space in ("asked", "given"):
        order = np.array([[0, 1, 2], [2, 0, 1]])  # only the second head's
        moved = permute(architecture, Symmetry(orders={space: order}, signs={}), weights)
        assert (moved != weights).any()
        assert _change(output, weights, moved) < 1e-10


def _with_qkv(architecture: Architecture, parts: tuple[tuple[str, str], ...]) -> Architecture:
    spaces = {s.name: s for s in architecture.spaces}
    qkv = _blocks(*(_axis(*(spaces[name] for name in part)) for part in parts))
    tensors = tuple(
        replace(t, axes=(qkv, *t.axes[1:])) if "in_proj" in t.name else t
        for t in architecture.tensors
    )
    return replace(architecture, tensors=tensors)


@pytest.mark.parametrize("parts", ["qkk", "kqq", "qqk"])
def test_q_and_k_must_share_their_channels_and_v_must_not(rng, parts):
    block = BLOCKS["attention"]
    right, _ = block
    names = {"q": ("head", "asked"), "k": ("head", "given")}
    described = _with_qkv(right, tuple(names[part] for part in parts))
    orders = {"asked": np.array([[1, 2, 0]] * 2), "given": np.array([[1, 0, 2]] * 2)}
    moved = permute(described, Symmetry(orders=orders, signs={}), weights := _weights(right, rng))
    change = _change(_output(block, rng), weights, moved)
    assert change < 1e-10 if parts == "qqk" else change > 1e-4
