"""Gradient boosting on the statistics of each tensor, by LightGBM: hard to beat on small zoos.

Trees are fitted at once, not by gradients, and are kept as LightGBM's own text: as bytes in the
state dict, so that the model is saved as every other one is, and readable with `text`. The
validation networks decide how many trees are kept (the published code used its test networks).

Source: Unterthiner et al. 2020 (arXiv:2002.11448).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sne.baselines.statistics import Spread, refuse_other_kinds, statistics_of
from sne.errors import ModelError, SettingError
from sne.model import Batch, Labelled, ModelKind, Outputs, Preparation, check_taken
from sne.scaling import ScaleInputs
from sne.zoo import Architecture

OBJECTIVES: Mapping[str, str] = {
    "share": "cross_entropy",
    "number": "regression",
    "category": "multiclass",
}
"""LightGBM's names for the losses of the tasks; all give numbers before sigmoid or softmax."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class BoostingConfig:
    """Which statistics, and how trees are grown."""

    spread: Spread = "std"
    absolute: bool = True
    """Also statistics of |w|: 0.34 instead of 0.40 on the frequencies of 1,000 sine INRs."""
    trees: int = 2000
    """At most, as published."""
    patience: int = 100
    """Trees without a better validation loss before growing stops."""
    learning_rate: float = 0.03
    leaves: int = 31
    smallest_leaf: int = 10
    """Networks in a leaf."""
    subsample: float = 0.8
    """Share of the networks for each tree."""
    columns: float = 0.7
    """Share of the statistics for each tree, as published."""
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.trees, self.patience, self.smallest_leaf) < 1 or self.leaves < 2:
            raise SettingError(f"counts are at least 1, leaves at least 2, got {self}")


class Boosting(nn.Module):
    """Takes networks whose layers have the types of those it was prepared for."""

    trees: Tensor

    def __init__(self, config: BoostingConfig, preparation: Preparation) -> None:
        super().__init__()
        if preparation.task not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise SettingError(f"no task {preparation.task!r} for boosting; there are: {known}")
        self.config = config
        self._task, self._outputs = preparation.task, preparation.outputs
        self._wanted = preparation.architectures[0]
        self.scale = ScaleInputs(preparation.scaling)
        self.register_buffer("trees", torch.empty(0, dtype=torch.uint8))
        self._booster: lightgbm.Booster | None = None

    @property
    def text(self) -> str:
        """The fitted trees in LightGBM's format; empty before `fit`."""
        return bytes(self.trees.cpu().tolist()).decode()

    def fit(self, batch: Batch, target: Float[Tensor, " b"], validation: Labelled | None) -> None:
        """Grow trees on all training networks; without validation networks, all of them."""
        training = lightgbm.Dataset(self._numbers(batch), target.cpu().numpy())
        valid: list[lightgbm.Dataset] = []
        callbacks: list[Any] = []
        if validation is not None:
            networks, known = validation
            valid = [training.create_valid(self._numbers(networks), known.cpu().numpy())]
            callbacks = [lightgbm.early_stopping(self.config.patience, verbose=False)]
        booster = lightgbm.train(
            self._settings(),
            training,
            num_boost_round=self.config.trees,
            valid_sets=valid,
            callbacks=callbacks,
        )
        log.info("boosting kept %d trees", booster.best_iteration or booster.num_trees())
        text = booster.model_to_string(num_iteration=booster.best_iteration or None)
        self.trees = torch.tensor(list(text.encode()), dtype=torch.uint8)
        self._booster = None

    def forward(self, batch: Batch) -> Outputs:
        """Predict; the encoding is the statistics themselves."""
        numbers = self._numbers(batch)
        scores = self._trees().predict(numbers, raw_score=True)
        prediction = np.asarray(scores, dtype=np.float32).reshape(len(numbers), -1)
        device = self.scale.mean.device
        return Outputs(
            encoding=torch.from_numpy(numbers).to(device),
            prediction=torch.from_numpy(prediction).to(device),
        )

    def refusal(self, architecture: Architecture) -> str | None:
        """Networks of other layer types, or another number of them."""
        return refuse_other_kinds("boosting", self._wanted, architecture)

    def _numbers(self, batch: Batch) -> Float[np.ndarray, "b f"]:
        for group in batch:
            check_taken(self, group.architecture)
        config = self.config
        with torch.no_grad():
            numbers = statistics_of(
                batch, self.scale, spread=config.spread, absolute=config.absolute
            )
        return numbers.cpu().numpy()

    def _trees(self) -> lightgbm.Booster:
        if not len(self.trees):
            raise ModelError("boosting has no trees yet: fit it, or load a run's state")
        if self._booster is None:
            self._booster = lightgbm.Booster(model_str=self.text)
        return self._booster

    def _settings(self) -> dict[str, Any]:
        config = self.config
        return {
            "objective": OBJECTIVES[self._task],
            "num_class": self._outputs if self._task == "category" else 1,
            "learning_rate": config.learning_rate,
            "num_leaves": config.leaves,
            "min_child_samples": config.smallest_leaf,
            "bagging_fraction": config.subsample,
            "bagging_freq": 1,
            "feature_fraction": config.columns,
            "seed": config.seed,
            "num_threads": torch.get_num_threads(),
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Trees take any number of bytes, so the buffer takes the length of what is loaded."""
        if (given := state_dict.get(f"{prefix}trees")) is not None:
            self.trees = torch.empty_like(given)
        self._booster = None
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


KIND = ModelKind(
    summary="statistics of each tensor, gradient boosting: layers of equal types only",
    config=BoostingConfig,
    make=Boosting,
    invariant=True,
)
