"""SNE's settings: what the paper fixes, and what it leaves open as named choices.

Each has one default. The reasons stand with each field; `docs/decisions/` says what was measured.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from sne.errors import SettingError
from sne.plan import Grouping
from sne.tokens import Chunking

Bridge: TypeAlias = Literal["linear", "pma"]
Initial: TypeAlias = Literal["preserving", "torch"]
COMPONENTS = (
    "level_encoder",
    "type_encoder",
    "set_functions",
    "positional_and_hierarchical",
)
"""What Table 6 leaves out, by name; the invariance loss, its fifth row, is left out by λ = 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SneConfig:
    """How the encoder and its head are built."""

    chunk: int = 32
    """Weights in a chunk (Table 14)."""
    chunking: Chunking = "flat"
    """`flat` is the paper's formula; with `neuron` no chunk crosses a neuron."""
    width: int = 64
    """Hidden size of all blocks (Table 14)."""
    heads: int = 4
    """Attention heads; the paper says multi-head, not how many."""
    chunk_sabs: int = 4
    """SABs of the chunk encoder, half of them before type and level are added (Eqs. 2-6)."""
    sabs: int = 4
    """SABs of each later encoder: 4 by Appendix J and the 358K parameters; 2 by Eqs. 7, 9."""
    element_positions: bool = True
    """The element's place in its chunk, added with type and level; in the prose, in no formula."""
    chunk_positions: bool = True
    """The chunk's place in its tensor; in no formula."""
    kernel_positions: bool = True
    """Row and column of the kernel position that a chunk is of; ours, as chunks are."""
    role_encoding: bool = True
    """Weight or bias, where chunks have their layer type; without it the two look alike."""
    position_scale: float = 0.1
    """What all these sinusoids, which have a norm of √(width/2), are multiplied with. The paper
    says nothing of it; at 1 they outweigh what an untrained block passes on of the weights."""
    without: tuple[str, ...] = ()
    """Left out: level_encoder, type_encoder, set_functions, positional_and_hierarchical."""
    layer_group: int = 4096
    """From so many chunks on a tensor is encoded in groups; never used below."""
    encoding: int = 32
    """Size of a network's encoding: 32 for INRs (section 4.1), 1024 for CNNs (Table 15)."""
    bridge: Bridge = "linear"
    """From the width to the encoding: a linear layer, or a last PMA of that width."""
    head: tuple[int, ...] = (512,)
    """Hidden layers of the predictor: (512,) for INRs, (1000, 1000) for CNNs (Table 15)."""
    initial: Initial = "preserving"
    """Initial weights: torch's own let an encoding forget what it encodes, see `initial`."""

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.without) - set(COMPONENTS)):
            raise SettingError(f"no component {unknown[0]!r}; there are: {', '.join(COMPONENTS)}")
        if self.width % self.heads or (self.bridge == "pma" and self.encoding % self.heads):
            raise SettingError(
                f"the width (and with a pma bridge the encoding) must be a multiple of the heads, "
                f"got width {self.width}, encoding {self.encoding}, heads {self.heads}"
            )
        counts = (self.chunk, self.sabs, self.encoding, *self.head)
        if min(counts) < 1 or self.chunk_sabs < 2 or self.layer_group < 2:
            raise SettingError(
                f"sizes are at least 1, chunk_sabs and layer_group at least 2, got {self}"
            )

    @property
    def grouping(self) -> Grouping:
        """What a batch's plan depends on."""
        return Grouping(
            chunk=self.chunk,
            chunking=self.chunking,
            layer_group=self.layer_group,
            hierarchical="positional_and_hierarchical" not in self.without,
            width=self.width,
        )

    @property
    def positions(self) -> tuple[str, ...]:
        """Kinds of encodings that are switched on, of `positions.KINDS`."""
        if "positional_and_hierarchical" in self.without:
            return ()
        switches = {
            "layer_type": "type_encoder" not in self.without,
            "level": "level_encoder" not in self.without,
            "role": self.role_encoding,
            "place": self.chunk_positions,
            "row": self.kernel_positions,
            "column": self.kernel_positions,
            "element": self.element_positions,
        }
        return tuple(kind for kind, on in switches.items() if on)
