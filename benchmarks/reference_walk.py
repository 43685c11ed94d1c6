"""The slow reference: one network, layer by layer, tensor by tensor, chunk by chunk.

Written from the paper's formulas and Set Transformer's published blocks; of the code under test it
uses parameters and the sinusoid only. The tests hold the encoder against it, `walk` its speed.
"""

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from sne.encoder import Encoder, SetEncoder
from sne.positions import sinusoid
from sne.settings import SneConfig
from sne.tokens import LAYER_TYPES, ROLES
from zoogen.description import Architecture, TensorSpec


def encode(encoder: Encoder, config: SneConfig, architecture: Architecture, w: Tensor) -> Tensor:
    """The encoding of one network's flat weights."""
    return _Walk(encoder, config).network(architecture, w)


def mab(x: Tensor, y: Tensor, parts: Sequence[nn.Linear], heads: int) -> Tensor:
    """Set Transformer's MAB without LayerNorm, for two sets (n, ·) and (m, ·)."""
    into_q, into_k, into_v, out = parts
    q, k, v = into_q(x), into_k(y), into_v(y)
    width = q.shape[1] // heads
    found = []
    for h in range(heads):
        own = slice(h * width, (h + 1) * width)
        attention = torch.softmax(q[:, own] @ k[:, own].T / math.sqrt(q.shape[1]), dim=1)
        found.append(q[:, own] + attention @ v[:, own])
    o = torch.cat(found, dim=1)
    return o + torch.relu(out(o))


def third(linear: nn.Linear, number: int) -> nn.Linear:
    """Queries', keys' or values' share of a fused projection."""
    part = nn.Linear(linear.in_features, linear.out_features // 3)
    part.weight = nn.Parameter(linear.weight.chunk(3)[number])
    part.bias = nn.Parameter(linear.bias.chunk(3)[number])
    return part


def roles(architecture: Architecture) -> dict[str, int]:
    """The role of each tensor; further ones of one role in a layer count on behind the list."""
    codes: dict[str, int] = {}
    for tensor in architecture.tensors:
        like = [t for t in architecture.tensors if (t.layer, t.role) == (tensor.layer, tensor.role)]
        codes[tensor.name] = ROLES.index(tensor.role) + len(ROLES) * like.index(tensor)
    return codes


class _Walk:
    def __init__(self, encoder: Encoder, config: SneConfig) -> None:
        self.encoder, self.config = encoder, config
        self.roles: dict[str, int] = {}

    def network(self, architecture: Architecture, w: Tensor) -> Tensor:
        self.roles = roles(architecture)
        chunks, tensors, layers = [], {}, {}
        for tensor in architecture.tensors:
            rows = self.chunks(tensor, w[tensor.offset : tensor.offset + tensor.size])
            chunks += rows
            tensors.setdefault(tensor.layer, []).append((tensor, rows))
        if "positional_and_hierarchical" in self.config.without:
            z = self.in_groups(self.encoder.network, torch.stack(chunks), 0)
            return self.encoder.bridge(z)
        for name, owned in tensors.items():
            encodings = []
            for tensor, rows in owned:
                level = self.code("level", tensor.level)
                x = self.in_groups(self.encoder.tensor, torch.stack(rows), level)
                encodings.append(x + self.code("role", self.roles[tensor.name]))
            level = self.code("level", owned[0][0].level)
            layers[name] = self.set(self.encoder.layer, torch.stack(encodings), 0) + level
        z = self.set(self.encoder.network, torch.stack(list(layers.values())), 0)
        return self.encoder.bridge(z)

    def chunks(self, tensor: TensorSpec, values: Tensor) -> list[Tensor]:
        """Encodings of a tensor's chunks, kernel position by kernel position."""
        index = LAYER_TYPES.index(
            tensor.layer_type if tensor.layer_type in LAYER_TYPES else "other"
        )
        role = ROLES.index(tensor.role)
        scale = self.encoder.scale
        values = values.abs() if scale.absolute else values
        if scale.knee is not None:
            x = values / scale.knee[index, role]
            values = torch.sign(x) * torch.log(x.abs() + torch.sqrt(1 + x**2))
        values = (values - scale.mean[index, role]) / scale.std[index, role]
        added = self.code("layer_type", index) + self.code("level", tensor.level)
        encodings = []
        for row, column, flat in self._positions(tensor, values.view(tensor.shape)):
            for place, chunk in enumerate(self._cut(tensor, flat)):
                elements = [self.code("element", i) for i in range(len(chunk))]
                inner = added + self.code("role", self.roles[tensor.name]) + torch.stack(elements)
                w = self.set(self.encoder.chunk, chunk[:, None], inner)
                w = w + self.code("place", place)
                encodings.append(w + self.code("row", row) + self.code("column", column))
        return encodings

    def _positions(self, tensor: TensorSpec, values: Tensor):
        if not tensor.layer_type.startswith("conv") or values.ndim < 3:
            yield 0, 0, values
            return
        kernel = values.flatten(2, -2) if values.ndim > 4 else values
        kernel = kernel[:, :, None] if kernel.ndim == 3 else kernel
        for row in range(kernel.shape[2]):
            for column in range(kernel.shape[3]):
                yield row, column, kernel[:, :, row, column]

    def _cut(self, tensor: TensorSpec, values: Tensor) -> list[Tensor]:
        c = self.config.chunk
        if self.config.chunking == "neuron" and values.ndim > 1:
            return [part for row in values for part in row.flatten().split(c)]
        return list(values.flatten().split(c))

    def in_groups(self, encoder: SetEncoder, x: Tensor, added: Tensor | int) -> Tensor:
        """A set, from `layer_group` elements on in equal groups, which form a second set."""
        if len(x) < self.config.layer_group:
            return self.set(encoder, x, added)
        groups = x.split(math.ceil(len(x) / (len(x) // self.config.layer_group + 1)))
        rows = [self.set(encoder, g, added) + self.code("place", i) for i, g in enumerate(groups)]
        return self.set(encoder, torch.stack(rows), added)

    def set(self, encoder: SetEncoder, x: Tensor, added: Tensor | int) -> Tensor:
        """SABs, what is added, SABs, PMA."""
        for block in encoder.first:
            x = self.sab(block, x)
        x = x + added
        for block in encoder.second:
            x = self.sab(block, x)
        return self.pma(encoder.pool, x)

    def sab(self, block, x: Tensor) -> Tensor:
        if "set_functions" in self.config.without:
            h = block.enter(x)
            return h + torch.relu(block.feed(h))
        parts = [*(third(block.project, i) for i in range(3)), block.feed]
        return mab(x, x, parts, self.config.heads)

    def pma(self, pool, x: Tensor) -> Tensor:
        x = torch.relu(pool.before(x))
        if "set_functions" in self.config.without:
            return x.mean(0)
        parts = (pool.query, pool.key, pool.value, pool.feed)
        return mab(pool.seed, x, parts, self.config.heads)[0]

    def code(self, kind: str, index: int) -> Tensor:
        if kind not in self.config.positions:
            return torch.zeros(self.config.width)
        return self.config.position_scale * _sinusoid(kind, index, self.config.width)


@cache
def _sinusoid(kind: str, index: int, width: int) -> Tensor:
    return sinusoid(torch.tensor([index]), width=width, kind=kind)[0]
