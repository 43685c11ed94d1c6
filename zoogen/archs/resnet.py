"""`resnet`: the small residual networks for CIFAR, with batch norm; by default ResNet-8 of width 8.

A 3×3 stem, three stages of basic blocks of which the second and third halve the map and double the
width, the mean over the map, one linear layer: 6·blocks + 2 layers with weights. Where a stage
changes the shape, the shortcut is a 1×1 convolution with a norm of its own. Convolutions have no
bias. Running statistics are buffers of the description, behind all parameters.

What may be permuted: the stream of each stage, which its blocks, shortcut and norms share, and the
channels between the two convolutions of each block.

Source: He et al. 2016 (arXiv:1512.03385), section 4.2; the shortcut is their option B.
"""

from zoogen.archs.builder import GraphBuilder, axis, norm, running
from zoogen.archs.family import GraphFamily
from zoogen.description import Architecture, Node, Space
from zoogen.errors import PlanError

STAGES = 3
SMALLEST_SIDE = 4
"""Two stages halve the map."""


def _describe(
    input_shape: tuple[int, ...], classes: int, *, width: int, blocks: int
) -> Architecture:
    if len(input_shape) != 3 or min(input_shape[1:]) < SMALLEST_SIDE:
        raise PlanError(
            f"resnet wants images (channels, height, width) of at least {SMALLEST_SIDE} pixels a "
            f"side, got {input_shape}"
        )
    if width < 1 or blocks < 1:
        raise PlanError(f"resnet wants sizes of at least 1, got {width=} {blocks=}")
    net = GraphBuilder(family="resnet", input_shape=input_shape)
    stream = net.space("stage1", width)
    at = _conv(net, "stem", "input", (stream, net.spaces["input"]))
    at = _norm(net, "stem", at, stream, activation="relu")
    for stage in range(1, STAGES + 1):
        for block in range(1, blocks + 1):
            name, before = f"stage{stage}_{block}", stream
            if stage > 1 and block == 1:
                stream = net.space(f"stage{stage}", 2 * before.size)
            at = _block(net, name, at, (stream, before))
    at = net.add(Node(name="pool", op="mean_pool"), at, kind="pool")
    out = net.space("classes", classes, permutable=False)
    fc = Node(name="fc", op="linear", out_features=classes)
    at = net.linear(fc, at, (axis(out), axis(stream)))
    return net.describe(at, outputs=classes, options={"width": width, "blocks": blocks})


def _block(net: GraphBuilder, name: str, source: str, streams: tuple[Space, Space]) -> str:
    """Two convolutions, and the shortcut added before the last ReLU; from streams[1] to [0]."""
    stream, before = streams
    changes = stream is not before
    hidden = net.space(f"{name}.hidden", stream.size)
    shortcut = source
    if changes:
        shortcut = _conv(net, f"{name}_shortcut", source, (stream, before), kernel=1, stride=2)
        shortcut = _norm(net, f"{name}_shortcut", shortcut, stream)
    at = _conv(net, f"{name}_a", source, (hidden, before), stride=2 if changes else 1)
    at = _norm(net, f"{name}_a", at, hidden, activation="relu")
    at = _conv(net, f"{name}_b", at, (stream, hidden))
    return _norm(net, f"{name}_b", at, stream, activation="relu", residual=shortcut)


def _conv(
    net: GraphBuilder,
    name: str,
    source: str,
    spaces: tuple[Space, Space],
    *,
    kernel: int = 3,
    stride: int = 1,
) -> str:
    padding = kernel // 2
    node = Node(
        name=name, op="conv2d", kernel=(kernel, kernel), stride=(stride, stride),
        padding=(padding, padding), out_features=spaces[0].size,
    )  # fmt: skip
    return net.conv(node, source, (axis(spaces[0]), axis(spaces[1])), bias=False)


def _norm(
    net: GraphBuilder,
    name: str,
    source: str,
    of: Space,
    *,
    activation: str | None = None,
    residual: str | None = None,
) -> str:
    node = Node(name=f"{name}_norm", op="batch_norm", activation=activation)
    tensors = (*norm(axis(of)), *running(axis(of)))
    return net.add(node, source, residual=residual, tensors=tensors)


RESNET = GraphFamily(
    name="resnet",
    summary="a residual network with batch norm for small images: by default ResNet-8 of width 8",
    describe_graph=_describe,
    options={"width": 8, "blocks": 1},
)
