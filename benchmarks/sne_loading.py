"""What data loading takes of an epoch of training SNE.

Loading is everything before the first number is computed with: the zoo opened and read from disk
into memory, which a training does once and this does for every epoch, then all batches cut. The
epoch is `sne.fit`'s: steps on the training split, the validation pass.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.encoders import BATCH
from benchmarks.processes import scratch
from benchmarks.reading import COLUMN, made_up, write_zoo
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Contender, race, require, speedup
from sne.config import TrainConfig
from sne.fit import Saving, fit
from sne.lesson import make_lesson
from sne.material import Material, make_module, read_material
from sne.model import Batch
from sne.recipes import default_config
from sne.sampling import epoch_batches

NETWORKS = 640
"""Four steps of 64 networks in an epoch, and one batch to select by."""
BOUND = Promise(bound=3, kind="at most")
ROUNDS = 2


def loading() -> Iterator[Row]:
    """A zoo of arch1 networks that nobody trained, the recipe's training."""
    with scratch() as folder:
        zoo = folder / "zoo"
        weights, accuracies, architecture = made_up(NETWORKS)
        write_zoo(zoo, weights, accuracies, architecture)
        config = training(zoo)
        material = read_material(config, device=torch.device("cpu"))
        contenders = [
            Contender(label="epoch", run=lambda: _epoch(config, material), work=1),
            Contender(label="loading", run=lambda: load(config), work=1),
        ]
        samples = race(contenders, check=lambda: check(config, weights), rounds=ROUNDS)
    epoch, loaded = samples.values()
    yield Row(
        name="sne_loading/arch1",
        what=f"arch1, {NETWORKS} networks: reading them and cutting an epoch's batches / the epoch",
        unit="%",
        promise=BOUND,
        reached=100 * speedup(epoch, loaded),
        samples=(loaded, epoch),
        note=f"{loaded.median:.3f} of {epoch.median:.1f} s; a training reads its zoo once",
    )


def load(config: TrainConfig) -> list[Batch]:
    """Everything that an epoch computes with: training batches, then validation batches."""
    material = read_material(config, device=torch.device("cpu"))
    train, validation = material.pools["train"], material.pools["val"]
    training = config.training
    rows = epoch_batches(train.zoo, batch=training.batch, seed=training.seed, epoch=0)
    selected = [batch for _, batch in validation.batches(training.batch)]
    return [*(train.batch(own) for own in rows), *selected]


def check(config: TrainConfig, weights: np.ndarray) -> None:
    """Every network comes once, of those with a split to train on or to select by, as written."""
    loaded = [group.weights.numpy() for batch in load(config) for group in batch]
    rows = np.concatenate(loaded)
    require(len(rows) == NETWORKS // 2, f"{len(rows)} networks were loaded, wanted half of them")
    written = {row.tobytes() for row in weights}
    found = {row.tobytes() for row in rows}
    require(len(found) == len(rows) and found <= written, "other weights than were written")


def training(zoo: Path) -> TrainConfig:
    """The recipe for classifiers, one epoch of it."""
    config = default_config([str(zoo)], recipe="cnn")
    data = replace(config.data, target=COLUMN)
    return replace(config, data=data, training=replace(config.training, epochs=1, batch=BATCH))


def _epoch(config: TrainConfig, material: Material) -> None:
    lesson = make_lesson(make_module(config, material), config, material)
    saving = Saving(every_s=float("inf"), save=lambda state: None)
    fit(lesson, config.optimizer, epochs=1, state=None, report=lambda step: None, saving=saving)


ROWS: Mapping[str, Measure] = {"arch1": loading}

if __name__ == "__main__":
    main("sne_loading", ROWS, long={})
