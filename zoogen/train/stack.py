"""Many members as one: stacked weights, one batched forward pass, one merged update.

A member's row of every tensor depends on that member alone: a weight that is not a number stays in
its row. Members with the same activation form one run of rows and pass through the network
together; all rows share the update, whatever their optimizers.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from zoogen.description import CONFIG_PREFIX, Architecture
from zoogen.forward import Network, parameters_of, plan_forward
from zoogen.members import Member, Value
from zoogen.operations import Statistics
from zoogen.train.hyperparameters import Hyperparameters
from zoogen.train.init import initial_weights
from zoogen.train.inputs import DTYPES
from zoogen.train.job import Job
from zoogen.train.optimizers import FlatOptimizer, kernel_mask
from zoogen.train.torch_dropout import keys_tensor, levels_tensor, masks


class Stack:
    """Members that train in step on one device.

    Args:
        job: architecture and precision.
        members: any order; the stack's own is `self.members`.
        device: where everything lies.
    """

    def __init__(self, job: Job, members: Sequence[Member], device: str) -> None:
        self.architecture, self.device = job.architecture, device
        self.members = sorted(members, key=self._activations)
        rows = [initial_weights(job.architecture, m) for m in self.members]
        self.weights = torch.from_numpy(np.stack(rows)).to(device, DTYPES[job.precision])
        hyperparameters = [Hyperparameters.of(m) for m in self.members]
        self._trained = job.architecture.trained
        kernels = kernel_mask(job.architecture, device=device)[: self._trained]
        self._optimizer = FlatOptimizer(hyperparameters, kernels, dtype=self.weights.dtype)
        self._keys = keys_tensor([m.dropout_key for m in self.members], device=device)
        self._levels = levels_tensor([h.dropout for h in hyperparameters], device=device)
        self._pending: list[tuple[slice, Mapping[str, Tensor]]] = []
        self._sites = _site_shapes(job.architecture, members[0].config)
        self._arrange()

    def logits(
        self,
        x: Float[Tensor, "..."],
        *,
        shared: bool,
        dropped: Sequence[Tensor] = (),
        training: bool = False,
    ) -> Float[Tensor, "m b o"]:
        """The outputs of all members.

        Args:
            x: (m, b, …), or (b, …) that all members see.
            shared: whether x is the same for all.
            dropped: a mask for each dropout site, from `masks_of_step`; empty in eval mode.
            training: batch norms go by the batch, and their running statistics by it.
        """
        outputs = []
        for rows, network, leaves in self._runs:
            inputs = x if shared else x[rows]
            dims = (0, None if shared else 0, 0)
            batched = torch.func.vmap(_member_forward(network, training), in_dims=dims)
            named = {**leaves, **self._buffers(rows)}
            output, statistics = batched(named, inputs, tuple(d[rows] for d in dropped))
            if statistics:
                self._pending.append((rows, statistics))
            outputs.append(output)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def masks_of_step(self, step: int, batch: int) -> tuple[Tensor, ...]:
        """All members' dropout masks of one step; empty where no member has dropout."""
        if not self._drops:
            return ()
        return tuple(
            masks(
                self._keys,
                self._levels,
                step=step,
                site=site,
                shape=(batch, *shape),
                dtype=self.weights.dtype,
            )
            for site, shape in enumerate(self._sites)
        )

    def step(
        self, losses: Float[Tensor, " m"], *, active: Bool[Tensor, " m"] | None = None
    ) -> None:
        """One step of every (active) member down the gradient of its own loss."""
        leaves = [leaf for _, _, named in self._runs for leaf in named.values()]
        gradients = iter(torch.autograd.grad(losses.sum(), leaves))
        rows = [
            torch.cat([next(gradients).flatten(1) for _ in named], dim=1)
            for _, _, named in self._runs
        ]
        stacked = rows[0] if len(rows) == 1 else torch.cat(rows)
        self._optimizer.step(self.weights[:, : self._trained], stacked, active=active)
        self._remember()

    @property
    def rates(self) -> list[float]:
        """The members' learning rates as configured."""
        return [Hyperparameters.of(m).learning_rate for m in self.members]

    def set_rates(self, rates: Sequence[float]) -> None:
        """The members' learning rates from now on."""
        self._optimizer.set_rates(rates)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only, in ascending order; the others' work is saved."""
        index = torch.tensor(rows, dtype=torch.int64, device=self.device)
        self.members = [self.members[row] for row in rows]
        self.weights = self.weights[index]
        self._keys, self._levels = self._keys[index], self._levels[index]
        self._optimizer.keep(index)
        self._arrange()

    def _arrange(self) -> None:
        """Cut the rows into runs of equal activations; leaves share the memory of the weights."""
        self._drops = bool((self._levels > 0).any())
        self._runs: list[tuple[slice, Network, dict[str, Tensor]]] = []
        start = 0
        for _, run in groupby(self.members, key=self._activations):
            run_members = list(run)
            rows = slice(start, start + len(run_members))
            start = rows.stop
            network = plan_forward(self.architecture, run_members[0].config)
            views = parameters_of(self.architecture, self.weights[rows])
            leaves = {
                t.name: views[t.name].detach().requires_grad_()
                for t in self.architecture.tensors
                if t.role != "buffer"
            }
            self._runs.append((rows, network, leaves))

    def _buffers(self, rows: slice) -> dict[str, Tensor]:
        views = parameters_of(self.architecture, self.weights[rows])
        return {t.name: views[t.name] for t in self.architecture.tensors if t.role == "buffer"}

    @torch.no_grad()
    def _remember(self) -> None:
        """Put new running statistics where the old ones stand: only when no gradient needs them."""
        for rows, statistics in self._pending:
            for name, view in self._buffers(rows).items():
                view.copy_(statistics[name])
        self._pending.clear()

    def _activations(self, member: Member) -> tuple[str, ...]:
        columns = (n.activation for n in self.architecture.nodes if n.activation)
        drawn = {c.removeprefix(CONFIG_PREFIX) for c in columns if c.startswith(CONFIG_PREFIX)}
        return tuple(str(member.config[name]) for name in sorted(drawn))


def _member_forward(network: Network, training: bool):
    def forward(
        parameters: Mapping[str, Tensor], x: Tensor, dropped: tuple[Tensor, ...]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        statistics: Statistics = {}
        drop = (lambda site, y: y * dropped[site]) if dropped else None
        y = network(parameters, x, drop, statistics if training else None)
        return y, statistics

    return forward


def _site_shapes(
    architecture: Architecture, config: Mapping[str, Value]
) -> tuple[tuple[int, ...], ...]:
    """The shape of one image's activation at each dropout site; nothing is computed for it."""
    shapes: list[tuple[int, ...]] = []

    def note(_: int, y: Tensor) -> Tensor:
        shapes.append(tuple(y.shape[1:]))
        return y

    weights = torch.empty(architecture.parameters, device="meta")
    x = torch.empty((1, *architecture.input_shape), device="meta")
    plan_forward(architecture, config)(parameters_of(architecture, weights), x, note)
    return tuple(shapes)
