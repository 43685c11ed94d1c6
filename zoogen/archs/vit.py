"""`vit`: a small vision transformer, every size a setting.

Patches by a convolution, a class token and learned positions (none for the class token), blocks of
attention and a GELU layer, each behind a layer norm and added to the stream, a last norm, and on
the class token a tanh layer and the logits. Dropout behind the embedding and at the end of each
branch.

What may be permuted: the residual stream, since layer norms treat its channels alike; the heads;
in each head the channels that query and key share, and those of value and output; the hidden units
of each block and of the head. The order of patches is fixed by what they show.

Source: the network of s-chh/PyTorch-Scratch-Vision-Transformer-ViT (embedding 64 or 128, 6 blocks,
4 heads), described in words of our own; the default sizes are the recipe vit-tiny's.
"""

from zoogen.archs.builder import GraphBuilder, affine, axis, norm
from zoogen.archs.chain import DROPOUT
from zoogen.archs.family import GraphFamily
from zoogen.description import Architecture, Node, Space
from zoogen.errors import PlanError

OPTIONS = {"patch": 4, "embedding": 32, "blocks": 2, "heads": 2, "mlp_factor": 2}


def _check(input_shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    if min(sizes.values()) < 1:
        raise PlanError(f"vit wants sizes of at least 1, got {sizes}")
    patch = sizes["patch"]
    if len(input_shape) != 3 or any(side % patch for side in input_shape[1:]):
        raise PlanError(
            f"vit wants images (channels, height, width) that patches of {patch} pixels cover, "
            f"got {input_shape}: choose a recipe with another side or patch"
        )
    if sizes["embedding"] % sizes["heads"]:
        raise PlanError(
            f"vit wants an embedding that its heads divide, got {sizes['embedding']} channels "
            f"and {sizes['heads']} heads"
        )


def _describe(input_shape: tuple[int, ...], classes: int, **sizes: int) -> Architecture:
    _check(input_shape, sizes)
    net = GraphBuilder(family="vit", input_shape=input_shape)
    stream = net.space("stream", sizes["embedding"])
    at = _embed(net, stream, patch=sizes["patch"])
    for number in range(1, sizes["blocks"] + 1):
        at = _attend(net, stream, at, number=number, heads=sizes["heads"])
        at = _mix(net, stream, at, number=number, factor=sizes["mlp_factor"])
    at = net.add(Node(name="norm", op="layer_norm"), at, tensors=norm(axis(stream)))
    at = net.add(Node(name="class", op="class_token"), at)
    hidden = net.space("head", sizes["embedding"])
    width = sizes["embedding"]
    head = Node(name="head1", op="linear", activation="tanh", out_features=width)
    at = net.linear(head, at, (axis(hidden), axis(stream)))
    out = net.space("classes", classes, permutable=False)
    last = Node(name="head2", op="linear", out_features=classes)
    at = net.linear(last, at, (axis(out), axis(hidden)))
    return net.describe(at, outputs=classes, options=sizes)


def _embed(net: GraphBuilder, stream: Space, *, patch: int) -> str:
    _, height, width = net.input_shape
    square = (patch, patch)
    node = Node(
        name="patches", op="conv2d", kernel=square, stride=square, padding=(0, 0),
        out_features=stream.size,
    )  # fmt: skip
    at = net.conv(node, "input", (axis(stream), axis(net.spaces["input"])), bias=True)
    place = net.space("place", (height // patch) * (width // patch), permutable=False)
    tokens = Node(name="tokens", op="embedding", dropout=DROPOUT)
    return net.add(
        tokens,
        at,
        tensors=(
            ("position", "embedding", (axis(place), axis(stream))),
            ("token", "token", (axis(stream),)),
        ),
    )


def _attend(net: GraphBuilder, stream: Space, source: str, *, number: int, heads: int) -> str:
    """Norm, attention, sum."""
    name, size = f"attention{number}", stream.size // heads
    head = net.space(f"{name}.head", heads)
    # A head's channels are permuted in each head by itself.
    match = axis(head, net.space(f"{name}.match", size, within=head.name))
    value = axis(head, net.space(f"{name}.value", size, within=head.name))
    along = axis(stream)
    at = net.add(Node(name=f"norm{number}a", op="layer_norm"), source, tensors=norm(along))
    node = Node(name=name, op="attention", heads=heads, dropout=DROPOUT, out_features=stream.size)
    tensors = (
        *affine(match, along, "query."),
        *affine(match, along, "key."),
        *affine(value, along, "value."),
        *affine(along, value, "out."),
    )
    at = net.add(node, at, tensors=tensors)
    return net.add(Node(name=f"sum{number}a", op="add"), at, residual=source)


def _mix(net: GraphBuilder, stream: Space, source: str, *, number: int, factor: int) -> str:
    """Norm, two linear layers with GELU between them, sum."""
    hidden = net.space(f"hidden{number}", factor * stream.size)
    at = net.add(Node(name=f"norm{number}b", op="layer_norm"), source, tensors=norm(axis(stream)))
    up = Node(name=f"up{number}", op="linear", activation="gelu", out_features=hidden.size)
    at = net.linear(up, at, (axis(hidden), axis(stream)))
    down = Node(name=f"down{number}", op="linear", dropout=DROPOUT, out_features=stream.size)
    at = net.linear(down, at, (axis(stream), axis(hidden)))
    return net.add(Node(name=f"sum{number}b", op="add"), at, residual=source)


VIT = GraphFamily(
    name="vit",
    summary="a small vision transformer: by default embedding 32, 2 blocks of 2 heads, 20,682",
    describe_graph=_describe,
    options=OPTIONS,
)
