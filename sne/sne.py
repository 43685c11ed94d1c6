"""SNE as a model: the set-based encoder and its predictor, trained together (Eq. 15)."""

from torch import nn

from sne.encoder import Encoder
from sne.model import Batch, ModelKind, Outputs, Preparation, Usual
from sne.predictor import Predictor
from sne.settings import SneConfig
from sne.zoo import Architecture


class Sne(nn.Module):
    """Takes networks of any architecture."""

    def __init__(self, config: SneConfig, preparation: Preparation) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config, preparation.scaling)
        self.predictor = Predictor(config.encoding, config.head, preparation.outputs)

    def forward(self, batch: Batch) -> Outputs:
        """Encode and predict."""
        encoding = self.encoder(batch)
        return Outputs(encoding=encoding, prediction=self.predictor(encoding))

    def refusal(self, architecture: Architecture) -> str | None:
        """None, save for a network without weights."""
        if not architecture.parameters:
            return f"sne encodes weights, and {architecture.family} has none"
        return None


KIND = ModelKind(
    summary="set-based encoder of chunks, tensors, layers: any architecture (357,089 parameters)",
    config=SneConfig,
    make=Sne,
    usual={
        # Section 4.1; λ is ours, the paper prints none. Without clipping the published size loses
        # on INRs, with λ, what it has learnt (decision 6).
        "inr": Usual(
            settings={"encoding": 32, "head": (512,)},
            symmetry={"invariance": 0.1},
            optimizer={"clip_norm": 1.0},
        ),
        # Table 15; no penalty by App. E.1.
        "cnn": Usual(settings={"encoding": 1024, "head": (1000, 1000)}),
    },
    independent=True,
)
