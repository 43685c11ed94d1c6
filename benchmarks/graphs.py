"""Training steps of graph baselines, dense over levels, beside the published form of computation.

The published code concatenates the graphs of a batch into one list of nodes and one of edges,
gathers both ends of every edge, computes each message's layers for edges, and scatters them. The
same is done here with the same weights, by torch's own gather and scatter, and must give the same
predictions.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.encoders import ARCHITECTURES, networks
from benchmarks.jobs import SEED
from benchmarks.table import Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Contender, race, require, speedup
from sne.baselines.graphs import Link
from sne.baselines.messages import SMALLEST_VARIANCE
from sne.model import Batch, Preparation, prepare
from sne.models import model_kind
from sne.scaling import no_scaling
from sne.schedule import OptimizerConfig, make_optimizer

NETWORKS = 16
WIDTH = 64
ROUNDS = 3
CLOSE = 1e-4


def messages(family: str) -> Iterator[Row]:
    """NG-GNN: dense products over levels, against a list of edges."""
    architecture = ARCHITECTURES[family]
    preparation = Preparation(architectures=(architecture,), scaling=no_scaling(), task="number")
    kind = model_kind("neuralgraph")
    config = kind.config(width=WIDTH)
    dense: Any = prepare(kind, preparation, config=config, seed=SEED)
    listed = copy.deepcopy(dense)
    listed.graph = ListedGraph(listed.graph)
    yield compared(f"neuralgraph-{family}", f"NG-GNN, {family}", dense, listed, architecture)


def compared(name: str, what: str, dense: nn.Module, listed: nn.Module, architecture: Any) -> Row:
    """A step of each on the same networks."""
    group = networks(architecture, NETWORKS)
    batch = [group.with_weights(0.3 * group.weights)]

    def check() -> None:
        with torch.no_grad():
            found, expected = dense(batch).prediction, listed(batch).prediction
        apart = float((found - expected).abs().max() / expected.abs().max())
        require(apart < CLOSE, f"predictions are {apart:.2g} of the largest apart")

    contenders = [
        Contender(label=label, run=step(module, batch), work=NETWORKS)
        for label, module in (("dense", dense), ("list of edges", listed))
    ]
    ours, other = race(contenders, check=check, rounds=ROUNDS, clock=time.process_time).values()
    return Row(
        name=f"graphs/{name}",
        what=f"{what}, training step on {NETWORKS} networks at width {WIDTH}: dense / edge list",
        reached=speedup(ours, other),
        samples=(ours, other),
        note=f"{ours.median:.2f} against {other.median:.2f} s",
    )


def step(module: nn.Module, batch: Batch) -> Callable[[], None]:
    """One step on a loss of the predictions alone."""
    optimizer = make_optimizer(OptimizerConfig(), module.parameters())

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        module(batch).prediction.square().mean().backward()
        optimizer.step()

    return run


class ListedGraph(nn.Module):
    """The layers of a `GraphNetwork`, on nodes and edges of all graphs in two lists."""

    def __init__(self, graph: Any) -> None:
        super().__init__()
        self.graph = graph

    def forward(
        self, nodes: Tensor, links: Sequence[Link], absent: Tensor, sizes: Sequence[int]
    ) -> Tensor:
        """See `GraphNetwork`."""
        count, number, width = nodes.shape
        source, target, edges = edge_list(links, sizes, number)
        x = nodes.reshape(-1, width)
        degree = torch.zeros(len(x)).index_add(0, target, torch.ones(len(target)))
        layers, norms, updates = self.graph.layers, self.graph.norms, self.graph.updates
        for place, layer in enumerate(layers):
            x = layer.last(layer.update(self._gathered(layer, x, source, target, edges, degree)))
            if place < len(updates):
                x = F.silu(norms[place](x.view(count, number, width))).reshape(-1, width)
                update = updates[place]
                ends = update.source(x)[source] + update.target(x)[target]
                edges = update.last(F.silu(update.edge(edges) + ends))
        return x.view(count, number, width)

    def _gathered(
        self, layer: Any, x: Tensor, source: Tensor, target: Tensor, edges: Tensor, degree: Tensor
    ) -> Tensor:
        scale, shift = layer.modulate(edges).chunk(2, dim=1)
        found = scale * layer.message(torch.cat([x[target], x[source]], dim=1)) + shift
        index = target[:, None].expand_as(found)
        reduced = [
            torch.zeros_like(x).scatter_reduce(0, index, values, how, include_self=False)
            for values, how in (
                (found, "mean"), (found, "amin"), (found, "amax"), (found.square(), "mean")
            )
        ]  # fmt: skip
        mean, least, most, squares = reduced
        variance = squares - mean.square()
        spread = torch.where(
            variance > SMALLEST_VARIANCE, variance.clamp(min=SMALLEST_VARIANCE).sqrt(), 0.0
        )
        gathered = torch.cat([mean, least, most, spread], dim=1)
        amplified = (degree.log1p() / layer.log_degree)[:, None]
        return torch.cat([x, gathered, gathered * amplified], dim=1)


def edge_list(
    links: Sequence[Link], sizes: Sequence[int], number: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Source, target and feature of each edge of all graphs, whose nodes follow one another."""
    starts = [0, *accumulate(sizes)]
    sources, targets, features = [], [], []
    for link in links:
        count, rows, columns, width = link.features.shape
        first = number * torch.arange(count)[:, None, None]
        target = first + starts[link.target] + torch.arange(rows)[:, None]
        source = first + starts[link.source] + torch.arange(columns)
        shape = (count, rows, columns)
        sources.append(source.expand(shape).reshape(-1))
        targets.append(target.expand(shape).reshape(-1))
        features.append(link.features.reshape(math.prod(shape), width))
    return torch.cat(sources), torch.cat(targets), torch.cat(features)


ROWS: Mapping[str, Measure] = {
    "neuralgraph-arch1": partial(messages, "arch1"),
    "neuralgraph-siren": partial(messages, "siren"),
}

if __name__ == "__main__":
    main("graphs", ROWS, long={})
