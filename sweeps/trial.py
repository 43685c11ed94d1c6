"""One training as a value, with the zoos that it is tested on.

A trial is named by the hash of its content: configuration, the zoos that it is trained on by their
hashes, protocol version. Paths, machines and the zoos that it is tested on are no part of it: a
model that was trained is tested on one more zoo without being trained again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sne.config import TrainConfig
from sne.models import model_kind
from sne.provenance import PROTOCOL_VERSION
from sne.targets import Target
from sweeps.zoos import ZooRef

HASH_DIGITS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Model, settings, budget, seed, target, training zoos, test zoos."""

    config: TrainConfig
    """Its paths are those of `train`."""
    train: tuple[ZooRef, ...]
    test: tuple[ZooRef, ...]

    @property
    def model(self) -> str:
        """A key of `sne.models.MODELS`."""
        return self.config.model

    @property
    def seed(self) -> int:
        """Of initial weights, orders and drawn symmetries."""
        return self.config.training.seed

    @property
    def epoch(self) -> TrainConfig:
        """One epoch of it with seed 0: alike for trials whose steps cost the same."""
        return replace(self.config, training=replace(self.config.training, seed=0, epochs=1))

    @property
    def hash(self) -> str:
        """What it is called; the same on every machine and in every folder."""
        text = json.dumps(self.content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]

    @property
    def content(self) -> dict[str, Any]:
        """What the hash is of; plain values."""
        config = self.config.to_json()
        data = {name: value for name, value in config["data"].items() if name != "zoo"}
        return {
            "config": {**config, "data": data},
            "train": [ref.label.hash for ref in self.train],
            "protocol_version": PROTOCOL_VERSION,
        }

    def __str__(self) -> str:
        zoos = " + ".join(str(ref.label) for ref in self.train)
        return f"{self.model} on {zoos}, seed {self.seed}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "config": self.config.to_json(),
            "train": [ref.to_json() for ref in self.train],
            "test": [ref.to_json() for ref in self.test],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Trial":
        """The inverse of `to_json`, also after a round trip through JSON text."""
        kind = model_kind(value["config"]["model"])
        return cls(
            config=TrainConfig.from_json(value["config"], kind),
            train=tuple(ZooRef.from_json(ref) for ref in value["train"]),
            test=tuple(ZooRef.from_json(ref) for ref in value["test"]),
        )


def make_trial(
    config: TrainConfig, *, train: Sequence[ZooRef], test: Sequence[ZooRef], target: Target
) -> Trial:
    """A trial of a configuration on these zoos.

    Args:
        config: all but its zoos and target.
        train: what it is trained on.
        test: what it is tested on, in the order of the tables.
        target: the column that the sweep predicts; named, so that a default has one hash.
    """
    uris = tuple(ref.uri for ref in train)
    data = replace(config.data, zoo=uris, target=target.column)
    return Trial(config=replace(config, data=data), train=tuple(train), test=tuple(test))
