"""Write the C++ of one sequential network: a list of calls whose sizes are constants.

Left out, and refused with a reason: anything but convolutions without padding, linear layers,
2-d pooling, relu, tanh, sigmoid, gelu and sine, one behind the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from zoogen.description import Architecture, Node, TensorSpec

SUPPORTED_OPS = frozenset(
    {"input", "conv2d", "linear", "max_pool", "mean_pool", "flatten", "output"}
)
ACTIVATIONS = {"relu": 0, "tanh": 1, "sine": 2, "identity": 3, "sigmoid": 4, "gelu": 5}
"""Numbers of `enum Activation` in stages.hpp."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One call of the forward pass and its inverse, with the shapes it joins."""

    kind: Literal["conv", "max_pool", "mean_pool"]
    node: Node
    shape_in: tuple[int, int, int]
    """(channels, height, width)."""
    shape_out: tuple[int, int, int]
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    offset: int = 0
    """Where the stage's weights begin; its biases follow them."""

    @property
    def units(self) -> int:
        """Entries of the output."""
        channels, height, width = self.shape_out
        return channels * height * width

    @property
    def weights(self) -> int:
        """Entries of the kernel."""
        return self.shape_out[0] * self.shape_in[0] * self.kernel[0] * self.kernel[1]


def refusal(arch: Architecture) -> str | None:
    """Why no C++ can be written for this architecture, in one clause."""
    return next(_objections(arch), None)


def _objections(arch: Architecture) -> Iterator[str]:
    for node in arch.nodes:
        if node.op not in SUPPORTED_OPS:
            yield f"it has no {node.op}"
        if node.padding not in {None, (0, 0)}:
            yield f"it has no padded convolution ({node.name})"
        if node.stride is not None and node.stride[0] != node.stride[1]:
            yield f"it wants equal strides ({node.name})"
        if node.activation not in {None, *ACTIVATIONS, "config.activation"}:
            yield f"it has no activation {node.activation!r} ({node.name})"
        if node.op == "max_pool" and node.kernel != node.stride:
            yield f"it wants pools that do not overlap ({node.name})"
    chain = len(arch.edges) == len(arch.nodes) - 1
    if not chain or any(edge.kind == "residual" for edge in arch.edges):
        yield "it runs sequential networks only"
    if any(tensor.role not in {"weight", "bias"} for tensor in arch.tensors):
        yield "it has weights and biases only"


def stages(arch: Architecture) -> tuple[Stage, ...]:
    """The network as calls; a linear layer is a convolution whose kernel covers its map."""
    found: list[Stage] = []
    shape = _as_map(arch.input_shape)
    for node in arch.nodes:
        if node.op in {"input", "output", "flatten"}:
            continue
        stage = _stage(arch, node, shape)
        found.append(stage)
        shape = stage.shape_out
    return tuple(found)


def _as_map(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[0], *shape[1:], 1, 1)[:3]  # pyright: ignore[reportReturnType]


def _stage(arch: Architecture, node: Node, shape: tuple[int, int, int]) -> Stage:
    channels, height, width = shape
    if node.op == "mean_pool":
        return Stage(kind="mean_pool", node=node, shape_in=shape, shape_out=(channels, 1, 1))
    if node.op == "max_pool":
        assert node.kernel is not None
        side = node.kernel[0]
        out = (channels, height // side, width // side)
        return Stage(kind="max_pool", node=node, shape_in=shape, shape_out=out, kernel=node.kernel)
    kernel = node.kernel if node.op == "conv2d" else (height, width)
    stride = node.stride[0] if node.op == "conv2d" and node.stride else 1
    assert kernel is not None
    assert node.out_features is not None
    out = (
        node.out_features,
        (height - kernel[0]) // stride + 1,
        (width - kernel[1]) // stride + 1,
    )
    return Stage(
        kind="conv",
        node=node,
        shape_in=shape,
        shape_out=out,
        kernel=kernel,
        stride=stride,
        offset=_weight(arch, node).offset,
    )


def _weight(arch: Architecture, node: Node) -> TensorSpec:
    return next(t for t in arch.tensors_of(node.name) if t.role == "weight")


def write(arch: Architecture) -> str:
    """The whole translation unit."""
    calls = stages(arch)
    inputs = stages_inputs(calls)
    offsets = _offsets(calls, inputs)
    lines = [
        f"// {arch.family}, {arch.parameters} parameters: written by zoogen.train.native.source.",
        '#include "train.hpp"',
        "namespace {",
        "struct Net {",
        f"  static constexpr int CHANNELS = {calls[0].shape_in[0]}, INPUTS = {inputs};",
        f"  static constexpr int OUTPUTS = {calls[-1].units}, UNITS = {offsets[-1]};",
        "  // Slopes that only GELU writes take memory, but no place in the caches of the others.",
        f"  static constexpr int TILE_UNITS = {offsets[-1] - _gelu_units(calls)};",
        f"  static constexpr int PARAMETERS = {arch.parameters};",
        f"  static constexpr double OUTPUT_OFFSET = {calls[-1].node.output_offset or 0.0};",
        "  static constexpr Piece PIECES[] = {",
        *(
            f"    {{{t.offset}, {t.size}, {'true' if t.role == 'weight' else 'false'}}},"
            for t in arch.tensors
        ),
        "  };",
        *(f"  using K{i} = {_conv_type(s)};" for i, s in enumerate(calls) if s.kind == "conv"),
        "  static vec* output_slopes(int64_t T, vec* g) {",
        f"    return g + {offsets[len(calls)]} * T;",
        "  }",
        "  static const vec* forward(const Tile& t, int64_t T, const vec* in, vec* a) {",
        "    const real* w = t.member->weights;",
        *(f"    {line}" for line in _forward(calls, offsets)),
        f"    return a + {offsets[len(calls)]} * T;",
        "  }",
        "  static void backward(const Tile& t, int64_t T, const vec* in, const vec* a, vec* g,",
        "                       real* gw) {",
        "    const real* w = t.member->weights;",
        *(f"    {line}" for line in _backward(calls, offsets)),
        "  }",
        "};",
        "}  // namespace",
        '#include "entry.hpp"',
    ]
    return "\n".join(lines) + "\n"


def stages_inputs(calls: tuple[Stage, ...]) -> int:
    """Entries of one input."""
    channels, height, width = calls[0].shape_in
    return channels * height * width


def _offsets(calls: tuple[Stage, ...], inputs: int) -> list[int]:
    """Units before each buffer: input, each stage's output, each sine's or gelu's slopes, the end.

    Drawn activations may be gelu, so they have room for slopes, behind all others.
    """
    sizes = [inputs, *(s.units for s in calls)]
    sizes += [s.units if s.node.activation == "sine" else 0 for s in calls]
    sizes += [s.units if _keeps_slopes(s) else 0 for s in calls]
    total, offsets = 0, list[int]()
    for size in sizes:
        offsets.append(total)
        total += size
    return [*offsets, total]


def _keeps_slopes(stage: Stage) -> bool:
    return stage.node.activation in {"gelu", "config.activation"}


def _gelu_units(calls: tuple[Stage, ...]) -> int:
    return sum(s.units for s in calls if _keeps_slopes(s))


def _conv_type(stage: Stage) -> str:
    (ci, h, w), co = stage.shape_in, stage.shape_out[0]
    return f"Conv<{ci}, {h}, {w}, {co}, {stage.kernel[0]}, {stage.kernel[1]}, {stage.stride}>"


def _place(index: int, offsets: list[int], buffer: str = "a") -> str:
    return "in" if index == 0 and buffer == "a" else f"{buffer} + {offsets[index]} * T"


def _map_type(stage: Stage) -> str:
    channels, height, width = stage.shape_in
    return f"{channels}, {height}, {width}"


def _sites(calls: tuple[Stage, ...]) -> list[int | None]:
    """The number of each stage's dropout, counted in node order; None where it has none."""
    counter = iter(range(len(calls)))
    return [next(counter) if s.node.dropout else None for s in calls]


def _forward(calls: tuple[Stage, ...], offsets: list[int]) -> Iterator[str]:
    for i, (stage, site) in enumerate(zip(calls, _sites(calls), strict=True)):
        source, target = _place(i, offsets), _place(i + 1, offsets)
        if stage.kind == "conv":
            bias = stage.offset + stage.weights
            yield (
                f"conv_forward<K{i}>(t.groups, {source}, w + {stage.offset}, w + {bias}, {target});"
            )
        else:
            extra = f", {stage.kernel[0]}" if stage.kind == "max_pool" else ""
            yield f"{stage.kind}<{_map_type(stage)}{extra}>(t, {source}, {target});"
        if stage.node.activation == "sine":
            slopes = _place(len(calls) + 1 + i, offsets)
            yield f"sine<{stage.units}>(t, {stage.node.w0}, {target}, {slopes});"
        elif stage.node.activation:
            slopes = _place(2 * len(calls) + 1 + i, offsets)
            kind = f"activate<{stage.units}, {_site(site)}>"
            yield f"{kind}(t, {_activation(stage)}, {target}, {slopes});"


def _backward(calls: tuple[Stage, ...], offsets: list[int]) -> Iterator[str]:
    sites = _sites(calls)
    for i in reversed(range(len(calls))):
        stage = calls[i]
        source, target = _place(i, offsets), _place(i + 1, offsets)
        slope_in, slope = _place(i, offsets, "g"), _place(i + 1, offsets, "g")
        if stage.node.activation == "sine":
            kept = _place(len(calls) + 1 + i, offsets)
            yield f"sine_backward<{stage.units}>(t, {kept}, {slope});"
        elif stage.node.activation:
            kind = f"activate_backward<{stage.units}, {_site(sites[i])}>"
            kept = _place(2 * len(calls) + 1 + i, offsets)
            yield f"{kind}(t, {_activation(stage)}, {target}, {kept}, {slope});"
        if stage.kind == "conv":
            bias = stage.offset + stage.weights
            yield (
                f"conv_weight_gradient<K{i}>(t.groups, {source}, {slope}, gw + {stage.offset}, "
                f"gw + {bias});"
            )
            if i > 0:
                yield (
                    f"conv_input_gradient<K{i}>(t.groups, {slope}, w + {stage.offset}, {slope_in});"
                )
        elif stage.kind == "max_pool":
            kind = f"max_pool_backward<{_map_type(stage)}, {stage.kernel[0]}>"
            yield f"{kind}(t, {source}, {slope}, {slope_in});"
        else:
            yield f"mean_pool_backward<{_map_type(stage)}>(t, {slope}, {slope_in});"


def _site(site: int | None) -> str:
    return "NO_DROPOUT" if site is None else str(site)


def _activation(stage: Stage) -> str:
    name = stage.node.activation
    return "t.member->activation" if name == "config.activation" else str(ACTIVATIONS[str(name)])
