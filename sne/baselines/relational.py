"""The relational transformer of NG-T: attention over all pairs of neurons, with edges in it.

    q_ij = q_i + q(e_ij), k_ij = k_j + k(e_ij), v_ij = v_j ⊙ m(e_ij) + v(e_ij)
    x_i ← LN(x_i + linear(Σ_j softmax_j(q_ij·k_ij / √width) v_ij)), then LN(x_i + MLP(x_i))
    e_ij ← LN(e_ij + MLP[e_ij, e_ji, x_i, x_j]), then LN(e_ij + MLP(e_ij))

Pairs without an edge are attended to like others, as published; i is an edge's source.

Source: Diao and Loynd 2023 (arXiv:2210.05062); Kofinas et al. 2024 (arXiv:2403.12143), its code.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sne.baselines.graphs import Link


class RelationalTransformer(nn.Module):
    """Layers of attention, edges updated between them."""

    def __init__(self, width: int, *, layers: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(NodeLayer(width, heads, dropout) for _ in range(layers))
        self.updates = nn.ModuleList(EdgeLayer(width, dropout) for _ in range(layers - 1))

    def forward(
        self,
        nodes: Float[Tensor, "b n d"],
        links: Sequence[Link],
        absent: Float[Tensor, " e"],
        sizes: Sequence[int],
    ) -> Float[Tensor, "b n d"]:
        """Nodes of all levels in a row; edges, and the feature of pairs that have none."""
        pairs = all_pairs(links, absent, sizes)
        for number, layer in enumerate(self.layers):
            nodes = layer(nodes, pairs)
            if number < len(self.updates):
                pairs = self.updates[number](nodes, pairs)
        return nodes


class NodeLayer(nn.Module):
    """Attention and an MLP, each added and normalised."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.of_nodes = nn.Linear(width, 3 * 2 * width, bias=False)
        self.of_edges = nn.Linear(width // 2, 4 * 2 * width, bias=False)
        self.join = nn.Linear(2 * width, width)
        self.after = nn.Linear(width, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.wide = nn.Linear(width, 2 * width, bias=False)
        self.narrow = nn.Linear(2 * width, width)

    def forward(
        self, nodes: Float[Tensor, "b n d"], pairs: Float[Tensor, "b n n e"]
    ) -> Float[Tensor, "b n d"]:
        """The nodes' next features."""
        found = self._dropped(self.after(self.join(self._attended(nodes, pairs))))
        nodes = self.first(nodes + found)
        return self.second(nodes + self._dropped(self.narrow(F.gelu(self.wide(nodes)))))

    def _attended(
        self, nodes: Float[Tensor, "b n d"], pairs: Float[Tensor, "b n n e"]
    ) -> Float[Tensor, "b n a"]:
        parts = (self.heads, -1)
        q, k, v = (t.unflatten(2, parts) for t in self.of_nodes(nodes).chunk(3, dim=2))
        of_edges = self.of_edges(pairs).chunk(4, dim=3)
        q_edge, k_edge, v_edge, m_edge = (t.unflatten(3, parts) for t in of_edges)
        scale = (q.shape[2] * q.shape[3]) ** -0.5
        scores = ((q[:, :, None] + q_edge) * (k[:, None] + k_edge)).sum(4) * scale
        values = torch.addcmul(v_edge, v[:, None], m_edge)
        return torch.einsum("bijh,bijhd->bihd", scores.softmax(2), values).flatten(2)

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class EdgeLayer(nn.Module):
    """Pairs by themselves, their reverse and their ends."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        edge = width // 2
        self.dropout = dropout
        self.pair = nn.Linear(2 * edge, width)
        self.source, self.target = nn.Linear(width, width), nn.Linear(width, width)
        self.back = nn.Linear(width, edge)
        self.wide = nn.Linear(edge, width, bias=False)
        self.narrow = nn.Linear(width, edge)
        self.first, self.second = nn.LayerNorm(edge), nn.LayerNorm(edge)

    def forward(
        self, nodes: Float[Tensor, "b n d"], pairs: Float[Tensor, "b n n e"]
    ) -> Float[Tensor, "b n n e"]:
        """The pairs' next features."""
        both = self.pair(torch.cat([pairs, pairs.transpose(1, 2)], dim=3))
        both = both + self.source(nodes)[:, :, None] + self.target(nodes)[:, None]
        pairs = self.first(pairs + self._dropped(self.back(F.gelu(both))))
        return self.second(pairs + self._dropped(self.narrow(F.gelu(self.wide(pairs)))))

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def all_pairs(
    links: Sequence[Link], absent: Float[Tensor, " e"], sizes: Sequence[int]
) -> Float[Tensor, "b n n e"]:
    """Edge features by (source, target); those that are not there alike."""
    count, starts = sum(sizes), [0, *accumulate(sizes)]
    pairs = absent.expand(len(links[0].features), count, count, -1).clone()
    for link in links:
        if link.alike:
            places = torch.arange(link.count, device=pairs.device)
            at = starts[link.source] + places, starts[link.target] + places
            pairs[:, *at] = link.features[:, :, 0]
            continue
        rows = slice(starts[link.source], starts[link.source + 1])
        columns = slice(starts[link.target], starts[link.target + 1])
        pairs[:, rows, columns] = link.features.transpose(1, 2)
    return pairs


def xavier(module: nn.Module) -> None:
    """Initial weights as published: Glorot's uniform ones, and no bias."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
