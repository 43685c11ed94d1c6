"""A run's folder: what it is of, its weights, and how to have the model again, from weights alone.

config.json         the frozen config, target, zoos with hashes, protocol and code version
architectures.json  descriptions of the networks that the model was prepared for
model.safetensors   weights of the epoch with the lowest validation loss, input scaling included
curves.parquet/png  losses by epoch
predictions.parquet of the training zoos' networks, each with its split
result.json         figures on the test splits, budget, whether anything was learnt
machine.json        where it ran
state/              where an interrupted training goes on
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from sne.config import TrainConfig, differences
from sne.errors import RunError
from sne.files import read_json, write_bytes, write_json
from sne.fresh import new_module
from sne.model import Preparation
from sne.models import model_kind
from sne.networks import ZooIdentity
from sne.predict import Inference
from sne.provenance import PROTOCOL_VERSION, code_version
from sne.scaling import InputScaling, ScaleInputs, no_scaling
from sne.targets import Target
from sne.zoo import MISUSED, Architecture, ZooError, checked

CONFIG = "config.json"
ARCHITECTURES = "architectures.json"
MODEL = "model.safetensors"
RESULT = "result.json"
MACHINE = "machine.json"
CURVES = "curves"
PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True, kw_only=True, slots=True)
class ZooUse:
    """A training zoo, and how many of its networks were used."""

    identity: ZooIdentity
    train: int
    val: int
    dropped: int
    """Networks left out since a weight is not finite."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        counts = {"train": self.train, "val": self.val, "dropped": self.dropped}
        return {**self.identity.to_json(), **counts}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ZooUse":
        """The inverse of `to_json`."""
        counts = {name: value[name] for name in ("train", "val", "dropped")}
        identity = {k: v for k, v in value.items() if k not in counts}
        return cls(identity=ZooIdentity(**identity), **counts)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Run:
    """A training's outcome, ready to predict."""

    path: Path
    config: TrainConfig
    target: Target
    zoos: tuple[ZooUse, ...]
    module: nn.Module
    result: Mapping[str, Any]
    """As result.json has it; empty while the training is not done."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.path.name

    @property
    def own_zoos(self) -> tuple[str, ...]:
        """Where the zoos were that it was trained on."""
        return tuple(use.identity.uri for use in self.zoos)

    @property
    def trained_on(self) -> str:
        """The same in words."""
        return ", ".join(f"{u.identity.dataset} × {u.identity.family}" for u in self.zoos)

    @property
    def inference(self) -> Inference:
        """How it predicts unless told otherwise: as in training."""
        return self.config.training.inference

    @property
    def budget(self) -> Mapping[str, Any]:
        """Epochs, steps and seconds that were spent."""
        return self.result.get("budget", {})


def begin_run(
    out: Path,
    config: TrainConfig,
    *,
    target: Target,
    zoos: Sequence[ZooUse],
    architectures: Sequence[Architecture],
) -> None:
    """Write what the run is of, or find the same there.

    Raises:
        RunError: the folder holds another training, or something else.
    """
    wanted = {
        "config": config.to_json(),
        "target": target.to_json(),
        "zoos": [use.to_json() for use in zoos],
        "protocol_version": PROTOCOL_VERSION,
    }
    if (out / CONFIG).exists():
        found = read_json(out / CONFIG)
        if differs := differences(_compared(found), _compared(wanted)):
            raise RunError(
                f"{out} holds another training ({'; '.join(differs[:4])}): choose another --out, "
                "or remove it"
            )
        return
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file, a run is a folder: choose another --out")
    if out.exists() and any(out.iterdir()):
        raise RunError(f"{out} is a folder of something else: choose another --out")
    write_json(out / ARCHITECTURES, [a.to_json() for a in architectures])
    write_json(out / CONFIG, {**wanted, "code_version": code_version()})


def save_model(out: Path, state: Mapping[str, Tensor]) -> None:
    """Keep these weights as the run's."""
    tensors = {name: t.detach().cpu().clone().contiguous() for name, t in state.items()}
    write_bytes(out / MODEL, save(tensors))


def load_run(path: Path | str, *, device: torch.device | str = "cpu") -> Run:
    """A run that is done, or whose training was interrupted after its first state.

    Raises:
        RunError: there is none, or it is damaged or of another protocol.
    """
    folder = Path(path)
    if not (folder / CONFIG).exists():
        raise RunError(f"{folder} is no run: it has no {CONFIG}; `python -m sne.train` makes one")
    record = read_json(folder / CONFIG)
    version = record.get("protocol_version") if isinstance(record, Mapping) else None
    if version != PROTOCOL_VERSION:
        raise RunError(
            f"{folder} was made under protocol {version}, this version of sne has "
            f"{PROTOCOL_VERSION}: train it again"
        )
    try:
        config, target, zoos = _recorded(record)
    except MISUSED as error:
        raise RunError(f"{folder / CONFIG} is damaged ({error}): train it again") from error
    try:
        described = [checked(Architecture.from_json(v)) for v in read_json(folder / ARCHITECTURES)]
    except (ZooError, *MISUSED) as error:
        raise RunError(f"{folder / ARCHITECTURES} is damaged ({error}): train it again") from error
    if not described:
        raise RunError(f"{folder / ARCHITECTURES} describes no network: train it again")
    preparation = Preparation(
        architectures=tuple(described),
        scaling=no_scaling(config.training.scaling),
        task=target.kind,
        outputs=target.outputs,
    )
    module = new_module(config, preparation)
    _load_weights(folder, module)
    return Run(
        path=folder,
        config=config,
        target=target,
        zoos=zoos,
        module=module.to(device).eval(),
        result=read_json(folder / RESULT) if (folder / RESULT).exists() else {},
    )


def _recorded(record: Mapping[str, Any]) -> tuple[TrainConfig, Target, tuple[ZooUse, ...]]:
    """What a run's config.json says, if it says what it should."""
    kind = model_kind(record["config"]["model"])
    config = checked(TrainConfig.from_json(record["config"], kind))
    checked(config.settings)
    target = checked(Target.from_json(record["target"]))
    return config, target, tuple(checked(ZooUse.from_json(value)) for value in record["zoos"])


def scaling_of(module: nn.Module) -> InputScaling | None:
    """What a module learnt about its inputs; None for one that takes them as they are."""
    found = (part for part in module.modules() if isinstance(part, ScaleInputs))
    scale = next(found, None)
    return None if scale is None else scale.scaling


def _load_weights(folder: Path, module: nn.Module) -> None:
    if not (folder / MODEL).exists():
        raise RunError(
            f"{folder} has no {MODEL} yet: its training has not saved a state; run the same "
            "`python -m sne.train` again"
        )
    try:
        module.load_state_dict(load_file(folder / MODEL))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RunError(f"{folder / MODEL} is damaged or of another model: {error}") from error


def _compared(record: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run the run it is: its zoos by their hashes, for they may be moved."""
    config = record["config"]
    data = {name: value for name, value in config["data"].items() if name != "zoo"}
    zoos = {
        str(number): {k: v for k, v in zoo.items() if k != "uri"}
        for number, zoo in enumerate(record["zoos"])
    }
    names = ("target", "protocol_version")
    return {**config, "data": data, "zoos": zoos, **{name: record.get(name) for name in names}}
