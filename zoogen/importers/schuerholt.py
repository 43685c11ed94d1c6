"""Schürholt's model zoos: raw folders of trials, as Ray Tune left them.

```
FOLDER/NNmodel_…/params.json                        configuration, keys such as `optim::lr`
FOLDER/NNmodel_…/result.json                        a line of JSON for each epoch
FOLDER/NNmodel_…/checkpoint_000005/checkpoints      a state dict; also checkpoint_5/checkpoints
```

Every folder with a params.json is one network. A result belongs to the checkpoint whose number is
its `training_iteration`. Train measurements are running averages over the epoch, in training mode.

Source: Schürholt et al. 2022 (arXiv:2209.14764), published code.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Integer

from zoogen.description import Architecture
from zoogen.errors import SourceError
from zoogen.importers.schuerholt_networks import describe
from zoogen.importers.source import Hints, Listing, Report
from zoogen.importers.tables import canonical_dataset, ordered, plain_column
from zoogen.importers.tensors import Header, in_order, read_header, read_state
from zoogen.json_text import parse_json
from zoogen.recipe import Shares
from zoogen.typed import MISUSED

FORMAT = "schuerholt"
CREDIT = "Model Zoos, Schürholt et al. 2022 (arXiv:2209.14764)"
LICENCE = "CC BY 4.0"
SHARES = Shares(train=7, val=1, test=2)
"""70/15/15 is published; shares come in tenths."""
PARAMS, RESULTS, CHECKPOINTS = "params.json", "result.json", "checkpoints"
NAMES: Mapping[str, str] = {
    "model::nlin": "activation",
    "model::dropout": "dropout",
    "model::init_type": "w_init",
    "optim::optimizer": "optimizer",
    "optim::lr": "learning_rate",
    "optim::wd": "weight_decay",
    "optim::momentum": "momentum",
    "training::batchsize": "batch_size",
    "training::epochs_train": "epochs",
    "seed": "random_seed",
}
"""Configuration keys that the zoo format has names for."""
LEFT_OUT = ("cuda", "dataset::dump", "training::data_path", "training::checkpoint_dir")
"""Of the publishers' machine."""
ACTIVATIONS = {"leakyrelu": "leaky_relu"}
RESULT_NAMES = {
    "train_acc": "train_accuracy",
    "test_acc": "test_accuracy",
    "train_loss": "train_loss",
    "test_loss": "test_loss",
}
UNMEASURED = -999
"""What the published code writes before the first epoch."""
MEANINGS = {
    "train_accuracy": "running average over the epoch's batches in training mode, as published",
    "train_loss": "running average over the epoch's batches in training mode, as published",
}
_CHECKPOINT = re.compile(r"^checkpoint_(\d+)$")


@dataclass(kw_only=True, slots=True, eq=False)
class Schuerholt:
    """See the module."""

    root: Path
    hints: Hints
    format: str = FORMAT
    _files: list[Path] = field(default_factory=list[Path])
    _arch: list[str] = field(default_factory=list[str])
    _archs: dict[str, Architecture] = field(default_factory=dict[str, Architecture])

    def listing(self, report: Report) -> Listing:
        """See `Source`; opens one checkpoint of each network."""
        trials = sorted(path.parent for path in self.root.glob(f"*/{PARAMS}"))
        rows: list[dict[str, Any]] = []
        files: list[Path] = []
        beside: list[Path] = []
        known: dict[Header, str] = {}
        for number, trial in enumerate(trials, start=1):
            beside += [trial / PARAMS, trial / RESULTS]
            checkpoints = checkpoints_of(trial)
            arch = self._describe(read_header(checkpoints[0][1]), checkpoints[0][1], known)
            shared = {**configuration(trial / PARAMS), "network": trial.name, "arch": arch}
            results = read_results(trial / RESULTS)
            for epoch, path in checkpoints:
                rows.append({**shared, **results.get(epoch, {}), "epoch": epoch})
                files.append(path)
            report("networks looked at", number, len(trials))
        if not rows:
            raise SourceError(f"{self.root} has no trial with a {PARAMS} and checkpoints")
        table, order = rows_table(rows, self.root)
        self._files = [files[i] for i in order]
        self._arch = table.column("arch").to_pylist()
        archs = tuple(self._archs.values())
        return Listing(
            table=table,
            architectures=archs,
            kind="images",
            dataset=canonical_dataset(self.hints.dataset or guess_dataset(self.root.name)),
            family=archs[0].family if len(archs) == 1 else "several",
            credit=CREDIT,
            licence=LICENCE,
            paths=tuple(p for p in (*beside, *files) if p.is_file()),
            shares=SHARES,
            meanings=MEANINGS,
        )

    def weights(self, rows: Integer[np.ndarray, " n"]) -> Iterator[Float32[np.ndarray, " p"]]:
        """See `Source`."""
        for row in rows.tolist():
            path = self._files[row]
            yield in_order(read_state(path), self._archs[self._arch[row]], path)

    def _describe(self, header: Header, path: Path, known: dict[Header, str]) -> str:
        if header not in known:
            architecture = describe(header, path)
            known[header] = architecture.content_id
            self._archs[architecture.content_id] = architecture
        return known[header]


def checkpoints_of(trial: Path) -> list[tuple[int, Path]]:
    """(epoch, file) of each checkpoint, ascending.

    Raises:
        SourceError: there is none.
    """
    found: dict[int, Path] = {}
    for folder in sorted(trial.iterdir()):
        match = _CHECKPOINT.match(folder.name)
        if match and (folder / CHECKPOINTS).is_file():
            found.setdefault(int(match[1]), folder / CHECKPOINTS)
    if not found:
        raise SourceError(f"{trial} has no checkpoint_N/{CHECKPOINTS}: the download is incomplete")
    return sorted(found.items())


def configuration(path: Path) -> dict[str, Any]:
    """A network's configuration as `config.*` columns; what is no plain value is left out.

    Raises:
        SourceError: the file is damaged.
    """
    try:
        given: dict[str, Any] = dict(parse_json(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise SourceError(f"{path} is no JSON object: {error}") from error
    return named_configuration(given)


def named_configuration(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same from values."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key not in LEFT_OUT and isinstance(value, str | bool | int | float):
            name = NAMES.get(key, key.replace("::", "_"))
            value = ACTIVATIONS.get(str(value), value) if key == "model::nlin" else value
            found[f"config.{name}"] = value
    return found


def read_results(path: Path) -> dict[int, dict[str, float | None]]:
    """Measurements by epoch; none for a trial without the file.

    Raises:
        SourceError: a line is no JSON object with a training_iteration.
    """
    if not path.is_file():
        return {}
    found: dict[int, dict[str, float | None]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as text: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            result = parse_json(line)
            found[int(result["training_iteration"])] = measured(result)
        except MISUSED as error:
            raise SourceError(f"{path}, line {number}: no result of an epoch: {error}") from error
    return found


def measured(result: Mapping[str, Any]) -> dict[str, float | None]:
    """Measurements by the zoo format's names; what was not measured is None."""
    found: dict[str, float | None] = {}
    for key, name in RESULT_NAMES.items():
        value = result.get(key)
        found[name] = None if value is None or value == UNMEASURED else float(value)
    return found


def rows_table(rows: list[dict[str, Any]], where: Path) -> tuple[Any, Integer[np.ndarray, " n"]]:
    """A listing's table from rows of plain values with `network` and `epoch`."""
    names = sorted({name for row in rows for name in row} - {"network", "epoch"})
    columns: dict[str, Any] = {
        name: plain_column([row.get(name) for row in rows]) for name in names
    }
    for name in RESULT_NAMES.values():
        if name in columns:
            columns[name] = columns[name].cast(pa.float64())
    return ordered(
        columns,
        network=[row["network"] for row in rows],
        epoch=[row["epoch"] for row in rows],
        where=where,
    )


def guess_dataset(name: str) -> str:
    """The images from the name of a published folder or file."""
    low = name.lower().replace("-", "").replace("_", "")
    marks = ("fmnist", "fashionmnist", "mnist", "svhn", "usps", "cifar100", "cifar10", "cifar")
    found = next((mark for mark in (*marks, "stl10", "imagenet") if mark in low), "unknown")
    return {"fashionmnist": "fashion_mnist", "fmnist": "fashion_mnist", "cifar": "cifar10"}.get(
        found, found
    )
