"""Message passing between levels of neurons: PNA with edges that modulate messages (NG-GNN).

    m_ij = scale_ij ⊙ (W[x_i, x_j] + c) + shift_ij,   (scale, shift) = linear(e_ij)
    x_i ← linear(linear[x_i, a_i, a_i·log(1 + d_i)/δ]),   a_i = [mean, min, max, std of m_ij over j]
    e_ij ← linear(silu(linear(e_ij) + linear(x_j) + linear(x_i)))

δ is the mean of log(1 + degree) over the neurons that are trained on. W[x_i, x_j] is computed for
neurons, not for edges: as two products whose sum every pair has.

Source: Corso et al. 2020 (arXiv:2004.05718); Kofinas et al. 2024 (arXiv:2403.12143), its code.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sne.baselines.graphs import Link

SMALLEST_VARIANCE = 1e-5
"""Below it a deviation counts as 0, where its root has no gradient."""
NORM_EPS = 1e-5


class GraphNetwork(nn.Module):
    """Layers of messages, edges updated between them."""

    def __init__(
        self,
        width: int,
        *,
        layers: int,
        degrees: Sequence[int],
        dropout: float = 0.0,
    ) -> None:
        """With how many messages the neurons get that are trained on."""
        super().__init__()
        self.dropout = dropout
        mean = sum(map(math.log1p, degrees)) / len(degrees)
        self.layers = nn.ModuleList(Pna(width, log_degree=mean) for _ in range(layers))
        self.norms = nn.ModuleList(GraphNorm(width) for _ in range(layers - 1))
        self.updates = nn.ModuleList(EdgeUpdate(width) for _ in range(layers - 1))

    def forward(
        self,
        nodes: Float[Tensor, "b n d"],
        links: Sequence[Link],
        absent: Float[Tensor, " d"],
        sizes: Sequence[int],
    ) -> Float[Tensor, "b n d"]:
        """Nodes of all levels in a row, and edges; those that are absent bring no message."""
        for number, layer in enumerate(self.layers):
            nodes = layer(nodes, links, sizes)
            if number < len(self.updates):
                nodes = F.silu(self.norms[number](nodes))
                nodes = F.dropout(nodes, self.dropout, self.training)
                links = self.updates[number](nodes, links, sizes)
        return nodes


class Pna(nn.Module):
    """One round of messages."""

    def __init__(self, width: int, *, log_degree: float) -> None:
        super().__init__()
        self.log_degree = log_degree
        self.modulate = nn.Linear(width, 2 * width)
        self.message = nn.Linear(2 * width, width)
        self.update = nn.Linear(9 * width, width)
        self.last = nn.Linear(width, width)

    def forward(
        self, nodes: Float[Tensor, "b n d"], links: Sequence[Link], sizes: Sequence[int]
    ) -> Float[Tensor, "b n d"]:
        """The nodes' next features."""
        own, other = self.message.weight.chunk(2, dim=1)
        targets = F.linear(nodes, own, self.message.bias).split(list(sizes), dim=1)
        sources = F.linear(nodes, other).split(list(sizes), dim=1)
        found: list[Tensor] = []
        for level, size in enumerate(sizes):
            into = [link for link in links if link.target == level]
            messages = [self._messages(x, targets[level], sources[x.source]) for x in into]
            # Neurons that the same edges reach are aggregated at once.
            for first, end in pairwise(sorted({0, size, *(link.count for link in into)})):
                reached = [m[:, first:end] for m in messages if m.shape[1] > first]
                found.append(self._gathered(reached, nodes, end - first))
        return self.last(self.update(torch.cat([nodes, torch.cat(found, dim=1)], dim=2)))

    def _gathered(
        self,
        messages: Sequence[Float[Tensor, "b t _ d"]],
        nodes: Float[Tensor, "b n d"],
        count: int,
    ) -> Float[Tensor, "b t eight"]:
        """What `count` neurons get, by itself and amplified by how much it is."""
        if not messages:
            return nodes.new_zeros(len(nodes), count, 8 * nodes.shape[2])
        together = torch.cat(list(messages), dim=2) if len(messages) > 1 else messages[0]
        gathered = gather(together)
        return torch.cat([gathered, gathered * self._amplified(together.shape[2])], dim=2)

    def _messages(
        self, link: Link, target: Float[Tensor, "b t d"], source: Float[Tensor, "b s d"]
    ) -> Float[Tensor, "b _ _ d"]:
        scale, shift = self.modulate(link.features).chunk(2, dim=3)
        return torch.addcmul(shift, scale, link.ends(target, source))

    def _amplified(self, degree: int) -> float:
        return math.log1p(degree) / self.log_degree


class EdgeUpdate(nn.Module):
    """Edges by themselves and their ends."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edge = nn.Linear(width, width)
        self.source = nn.Linear(width, width)
        self.target = nn.Linear(width, width)
        self.last = nn.Linear(width, width)

    def forward(
        self, nodes: Float[Tensor, "b n d"], links: Sequence[Link], sizes: Sequence[int]
    ) -> list[Link]:
        """The same edges with their next features."""
        sources = self.source(nodes).split(list(sizes), dim=1)
        targets = self.target(nodes).split(list(sizes), dim=1)
        return [
            replace(
                link,
                features=self.last(
                    F.silu(
                        self.edge(link.features)
                        + link.ends(targets[link.target], sources[link.source])
                    )
                ),
            )
            for link in links
        ]


class GraphNorm(nn.Module):
    """Centred and scaled over all neurons and features of a network, each by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, nodes: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Networks of one architecture."""
        plain = F.layer_norm(nodes, nodes.shape[1:], eps=NORM_EPS)
        return torch.addcmul(self.bias, plain, self.weight)


def gather(messages: Float[Tensor, "b t s d"]) -> Float[Tensor, "b t four"]:
    """Mean, minimum, maximum and deviation of what reaches each neuron."""
    variance, mean = torch.var_mean(messages, dim=2, correction=0)
    spread = torch.where(
        variance > SMALLEST_VARIANCE, variance.clamp(min=SMALLEST_VARIANCE).sqrt(), 0.0
    )
    return torch.cat([mean, messages.amin(2), messages.amax(2), spread], dim=2)
