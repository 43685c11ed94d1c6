"""A training as a value: which zoos, which target, which model, how long, with which symmetries.

Frozen, stored beside every result, and compared when a run is continued. What changes no number
(where files go, how often states are saved) is in `Machine`, which is not compared.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import tyro

from sne.cards import parse_card
from sne.errors import SettingError
from sne.losses import Penalty
from sne.model import ModelKind, read_config
from sne.networks import Nonfinite, Which
from sne.predict import Inference, Precision
from sne.scaling import Scaling
from sne.schedule import OptimizerConfig


def flag(metavar: str, default: str | None = None) -> Any:
    """A flag's placeholder, and what its default of None means."""
    hint = None if default is None else f"(default: {default})"
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint)


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """What is learnt from."""

    zoo: Annotated[tuple[str, ...], flag("ZOO"), tyro.conf.UseAppendAction]
    """A zoo's folder, or s3://BUCKET/PREFIX. Several --zoo: one model on all, balanced by zoo."""
    target: Annotated[str | None, flag("COLUMN", "test_accuracy; of waves frequency")] = None
    """Number or category to predict, such as learning_rate (in log10, as it was drawn)."""
    checkpoints: Annotated[str, flag("last|all|EPOCH")] = "last"
    """Which checkpoints of each network."""
    status: Annotated[tuple[str, ...], flag("STATUS …")] = ("ok",)
    """Networks of which status: ok, unfitted, diverged."""
    nonfinite: Nonfinite = "drop"
    """What becomes of networks with weights that are not finite; those dropped are counted."""

    @property
    def which(self) -> Which:
        """Networks of a zoo, besides their split."""
        return Which(checkpoints=self.checkpoints, status=self.status, nonfinite=self.nonfinite)


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How long, and in which steps."""

    epochs: int = 300
    """Passes over the training networks; of several zoos, over the largest."""
    batch: int = 64
    """Networks for each step."""
    seed: int = 0
    """Of initial weights, orders and drawn symmetries."""
    scaling: Scaling = "compressed"
    """Of weights by (layer type, role), as the training split has them; standard: only centred and
    divided by their deviation, which few large networks decide; magnitude: the same of |w|."""
    micro_batch: Annotated[int | None, flag("N", "a whole batch")] = None
    """Networks computed at once: less memory for the same step."""
    precision: Precision = "float32"
    """tf32: 10-bit mantissas in CUDA's products; bf16: autocast. Weights stay float32."""

    def __post_init__(self) -> None:
        for name, value in (("epochs", self.epochs), ("batch", self.batch)):
            if value < 1:
                raise SettingError(f"--{name} is at least 1, got {value}")
        if self.micro_batch is not None and self.micro_batch < 1:
            raise SettingError(f"--micro-batch is at least 1, got {self.micro_batch}")
        if self.seed < 0:
            raise SettingError(f"--seed is a whole number from 0, got {self.seed}")

    @property
    def inference(self) -> Inference:
        """How validation networks, and later others, are predicted."""
        return Inference(batch=self.micro_batch or self.batch, precision=self.precision)


@dataclass(frozen=True, kw_only=True, slots=True)
class Symmetry:
    """What neurons' order may not change: by a penalty, by augmentation, or kept from the model."""

    invariance: float = 0.0
    """λ in loss + λ·½‖f(x) − f(g·x)‖² over symmetries g of the networks (Eqs. 10, 16)."""
    invariance_at: Penalty = "logit"
    """What f is: what the head gives, the encoding, or what is behind the sigmoid."""
    invariance_copies: int = 1
    """Symmetries drawn for each network and step."""
    invariance_share: float = 1.0
    """Share of each batch that the penalty is computed on; less is faster."""
    augment: bool = False
    """Train on permuted copies, drawn anew for each step."""
    sign_flips: bool = False
    """Also flip signs of neurons that feed an odd function (SIRENs)."""
    canonical: bool = False
    """The model sees neurons in an order and with signs of their own, whatever order they have."""

    def __post_init__(self) -> None:
        if self.invariance < 0 or self.invariance_copies < 1 or not 0 < self.invariance_share <= 1:
            raise SettingError(
                "λ is from 0, its copies are at least 1, its share is in (0, 1], got "
                f"{self.invariance}, {self.invariance_copies}, {self.invariance_share}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Where and how the work is done; no number depends on it but by rounding."""

    device: Annotated[str, flag("NAME")] = "auto"
    """cpu, cuda, cuda:1 …; auto: CUDA where there is a device."""
    threads: Annotated[int | None, flag("N", "PyTorch's choice")] = None
    """Threads on the CPU."""
    compile: bool = False
    """torch.compile the model: a longer start, then faster steps on GPUs, slower ones on CPUs."""
    save_every: Annotated[float, flag("SECONDS")] = 30.0
    """How often a state to go on from is saved."""
    save_epochs: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Save one at the end of each epoch as well, so that a kill costs the running epoch at most."""
    card: Annotated[str | None, flag("SIZE", "a GPU's own memory; on a CPU nothing is checked")] = (
        None
    )
    """A training that needs more memory, such as 11GB, is refused before anything is allocated."""
    fit: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Instead, batches are computed in parts that fit; a run keeps the parts that it began with."""

    def __post_init__(self) -> None:
        if self.card is not None:
            parse_card(self.card)
        if self.save_every < 0 or (self.threads is not None and self.threads < 1):
            raise SettingError(
                f"--save-every is from 0, --threads at least 1, got {self.save_every}, "
                f"{self.threads}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One training."""

    data: Data
    model: str
    """A key of `sne.models.MODELS`."""
    settings: Any
    """The model's own config, of the class that its kind names."""
    training: Training = field(default_factory=Training)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    symmetry: Symmetry = field(default_factory=Symmetry)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], kind: ModelKind) -> "TrainConfig":
        """The inverse of `to_json`, also after a round trip through JSON text."""
        return cls(
            data=Data(**_tupled(value["data"])),
            model=value["model"],
            settings=read_config(kind, value["settings"]),
            training=Training(**value["training"]),
            optimizer=OptimizerConfig(**_tupled(value["optimizer"])),
            symmetry=Symmetry(**value["symmetry"]),
        )


def differences(old: Mapping[str, Any], new: Mapping[str, Any], *, path: str = "") -> list[str]:
    """Settings in which two configurations differ, one clause each."""
    found: list[str] = []
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        where = f"{path}{name}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, path=f"{where}.")
        elif _plain(before) != _plain(after):
            found.append(f"{where}: {before} there, {after} now")
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tupled(value: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
