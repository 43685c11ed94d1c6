"""SNE: chunks → tensors → layers → network, each a set of what came before.

    chunk      w̃ = PMA[Φ2(PosEnc(Φ1(w)))]        Eqs. (2)-(6)   all chunks of all networks at once
    tensor     𝐰 = PMA[PosEnc(Φ3(w̃))]           Eq. (7)        weights and biases apart
    layer      PMA[Φ(𝐰)]                         Appendix J     "separated layer encoder"
    network    z = PMA[Φ4(PosEnc(𝐰))]            Eqs. (8), (9)

Every Φ is a stack of SABs. What is computed in which call is planned in `batching`, how much at
once is bounded by `slabs`, so a network of any size is encoded within a fixed memory, beside its
chunks' encodings.

Parameters with the defaults and one output: 75,328 for the chunk encoder, 87,424 for each of the
other three, 2,080 for 64 → 32, 17,409 for the head: 357,089. The paper says 358K; what remains may
be its rounding, or learnt encodings of types, which are fixed here.

Source: Andreis et al. 2024 (arXiv:2305.16625), sections 3.3-3.5 and Appendix J.
"""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sne.batching import Planner
from sne.blocks import Mean, Pma, Rows, Sab
from sne.initial import preserve
from sne.model import Batch
from sne.plan import Chunks, Plan, Sets
from sne.positions import Positions, sinusoid
from sne.scaling import InputScaling, ScaleInputs
from sne.settings import SneConfig
from sne.slabs import Slabs, in_slabs, slabs_for
from sne.tokens import check_weights, entries


class SetEncoder(nn.Module):
    """SABs, an encoding added to every element, SABs, PMA."""

    def __init__(self, config: SneConfig, *, sizes: tuple[int, int], sabs: tuple[int, int]) -> None:
        """With (elements' width, result's width) and so many SABs before and after the encoding."""
        super().__init__()
        width_in, width_out = sizes
        widths = [width_in, *[config.width] * (sum(sabs) - 1)]
        attends = "set_functions" not in config.without
        stack = [
            Sab(w, config.width, heads=config.heads) if attends else Rows(w, config.width)
            for w in widths
        ]
        self.first = nn.ModuleList(stack[: sabs[0]])
        self.second = nn.ModuleList(stack[sabs[0] :])
        self.pool = (
            Pma(config.width, width_out, heads=config.heads)
            if attends
            else Mean(config.width, width_out)
        )

    def forward(
        self,
        x: Float[Tensor, "r n w"],
        mask: Bool[Tensor, "r n"] | None,
        added: Float[Tensor, "#r #n d"] | None,
    ) -> Float[Tensor, "r e"]:
        """One vector for each set."""
        for block in self.first:
            x = block(x, mask)
        if added is not None:
            x = x + added
        for block in self.second:
            x = block(x, mask)
        return self.pool(x, mask)


class CodeBook:
    """Encodings of rows of a plan's code table: looked up, or summed anew where that is less."""

    def __init__(self, plan: Plan, positions: Positions) -> None:
        codes = plan.codes
        self._codes, self._positions = codes, positions
        self._tables = positions.tables(plan.greatest, rows=len(codes), device=codes.device)
        few = len(codes) <= sum(len(bucket.start) for bucket in plan.chunks)
        self._table = positions(codes, self._tables) if few else None

    def __call__(self, index: Int[Tensor, " r"] | None) -> Float[Tensor, "r d"] | None:
        """The encodings of some rows; None where nothing is added."""
        if index is None or not self._positions.kinds:
            return None
        if self._table is not None:
            return self._table[index]
        return self._positions(self._codes[index], self._tables)


class Encoder(nn.Module):
    """Networks to vectors of `config.encoding` numbers."""

    elements: Tensor

    def __init__(self, config: SneConfig, scaling: InputScaling) -> None:
        super().__init__()
        width, half = config.width, config.chunk_sabs // 2
        self.slabs: Slabs | None = None
        """How much is computed at once; None: what suits the device."""
        self.scale = ScaleInputs(scaling)
        self.positions = Positions(width, config.positions, scale=config.position_scale)
        chunk_sabs = (half, config.chunk_sabs - half)
        later = partial(SetEncoder, config, sabs=(config.sabs, 0))
        self.chunk = SetEncoder(config, sizes=(1, width), sabs=chunk_sabs)
        if config.grouping.hierarchical:
            self.tensor = later(sizes=(width, width))
            self.layer = later(sizes=(width, width))
        wide = config.encoding if config.bridge == "pma" else width
        self.network = later(sizes=(width, wide))
        linear = config.bridge == "linear"
        self.bridge = nn.Linear(width, config.encoding) if linear else nn.Identity()
        if config.initial == "preserving":
            preserve(self)
        self._planner = Planner(config.grouping)
        on = "element" in config.positions
        places = torch.arange(config.chunk) if on else torch.full((config.chunk,), -1)
        table = config.position_scale * sinusoid(places, width=width, kind="element")
        self.register_buffer("elements", table, persistent=False)

    def forward(self, batch: Batch) -> Float[Tensor, "b e"]:
        """The encodings of all networks, group after group."""
        run = self._run(batch)
        plan, rows = run.plan, run.chunks()
        if plan.tensors:
            rows = run.sets(self.tensor, rows, plan.tensors, plan.joins)
            rows = run.sets(self.layer, rows, plan.layers)
            rows = run.sets(self.network, rows, plan.networks)
        else:
            rows = run.sets(self.network, rows, plan.networks, plan.joins)
        return self.bridge(rows[plan.order])

    def chunks(self, batch: Batch) -> Float[Tensor, "n d"]:
        """The first stage alone: the encodings of all chunks, in the plan's order."""
        return self._run(batch).chunks()

    def plan(self, batch: Batch) -> Plan:
        """What is computed in which call."""
        members = [(group.architecture, len(group.weights)) for group in batch]
        return self._planner(members, self.elements.device)

    def _run(self, batch: Batch) -> "_Run":
        for group in batch:
            check_weights(group.architecture, group.weights)
        weights = torch.cat([group.weights.reshape(-1) for group in batch])
        slabs = self.slabs or slabs_for(weights.device)
        return _Run(self, self.plan(batch), weights, slabs=slabs)


class _Run:
    """One pass through the encoder."""

    def __init__(
        self, encoder: Encoder, plan: Plan, weights: Float[Tensor, " all"], *, slabs: Slabs
    ) -> None:
        self.encoder, self.plan, self.weights, self.slabs = encoder, plan, weights, slabs
        self.book = CodeBook(plan, encoder.positions)

    def chunks(self) -> Float[Tensor, "n d"]:
        """The first stage: weights gathered, scaled and encoded chunk by chunk."""
        return torch.cat(
            [
                in_slabs(
                    partial(self._chunks, bucket),
                    rows=len(bucket.start),
                    size=bucket.size,
                    slabs=self.slabs,
                )
                for bucket in self.plan.chunks
            ]
        )

    def sets(
        self,
        encoder: nn.Module,
        rows: Float[Tensor, "n d"],
        buckets: Sequence[Sets],
        joins: Sequence[Sets] = (),
    ) -> Float[Tensor, "m e"]:
        """A later stage; joins gather from its own result, and their rows follow."""
        given = torch.cat([self._bucket(encoder, rows, bucket) for bucket in buckets])
        if not joins:
            return given
        return torch.cat([given, *(self._bucket(encoder, given, bucket) for bucket in joins)])

    def _bucket(
        self, encoder: nn.Module, rows: Float[Tensor, "n d"], bucket: Sets
    ) -> Float[Tensor, "m e"]:
        count, size = bucket.members.shape
        # index_select, whose gradient is one sum; that of rows[members] sorts.
        elements = rows.index_select(0, bucket.members.flatten()).view(count, size, -1)
        stage = partial(self._sets, encoder, bucket)
        return in_slabs(stage, elements, rows=count, size=size, slabs=self.slabs)

    def _chunks(self, bucket: Chunks, here: slice) -> Float[Tensor, "r d"]:
        index, mask = entries(
            bucket.start[here], bucket.stride[here], bucket.length[here], width=bucket.size
        )
        x = self.encoder.scale.of_kinds(
            self.weights[index], bucket.layer_type[here, None], bucket.role[here, None]
        )
        added = self.encoder.elements[None, : bucket.size]
        if (inner := self.book(_rows(bucket.inner, here))) is not None:
            added = added + inner[:, None]
        given = self.encoder.chunk(x[:, :, None], mask if bucket.padded else None, added)
        outer = self.book(_rows(bucket.outer, here))
        return given if outer is None else given + outer

    def _sets(
        self, encoder: nn.Module, bucket: Sets, here: slice, x: Float[Tensor, "r n d"]
    ) -> Float[Tensor, "r e"]:
        mask = None if bucket.mask is None else bucket.mask[here]
        inner = self.book(_rows(bucket.inner, here))
        given = encoder(x, mask, None if inner is None else inner[:, None])
        outer = self.book(_rows(bucket.outer, here))
        return given if outer is None else given + outer


def _rows(index: Int[Tensor, " r"] | None, here: slice) -> Int[Tensor, " s"] | None:
    return None if index is None else index[here]
