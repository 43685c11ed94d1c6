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
        chains: Sequence[Sequence[int]],
        reversed_edges: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """With level sizes of the graphs that are trained on, and whether edges go both ways."""
        super().__init__()
        self.dropout = dropout
        mean = mean_log_degree(chains, both=reversed_edges)
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
            messages = [
                self._messages(link, targets[level], sources[link.source])
                for link in links
                if link.target == level
            ]
            if not messages:
                found.append(nodes.new_zeros(len(nodes), size, 8 * nodes.shape[2]))
                continue
            gathered = gather(torch.cat(messages, dim=2) if len(messages) > 1 else messages[0])
            degree = sum(sizes[link.source] for link in links if link.target == level)
            found.append(torch.cat([gathered, gathered * self._amplified(degree)], dim=2))
        return self.last(self.update(torch.cat([nodes, torch.cat(found, dim=1)], dim=2)))

    def _messages(
        self, link: Link, target: Float[Tensor, "b t d"], source: Float[Tensor, "b s d"]
    ) -> Float[Tensor, "b t s d"]:
        scale, shift = self.modulate(link.features).chunk(2, dim=3)
        return torch.addcmul(shift, scale, target[:, :, None] + source[:, None])

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
            Link(
                source=link.source,
                target=link.target,
                features=self.last(
                    F.silu(
                        self.edge(link.features)
                        + (targets[link.target][:, :, None] + sources[link.source][:, None])
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


def mean_log_degree(chains: Sequence[Sequence[int]], *, both: bool) -> float:
    """Of log(1 + messages that a neuron gets), over all neurons; input neurons get none."""
    logs: list[float] = []
    for sizes in chains:
        before, after = [0, *sizes[:-1]], [*sizes[1:], 0]
        for size, earlier, later in zip(sizes, before, after, strict=True):
            logs += [math.log1p(earlier + (later if both else 0))] * size
    return sum(logs) / len(logs)
