"""The CNN Wild Park: checkpoints of CNNs that all differ, and a JSON file of splits and scores.

```
FOLDER/cnn_park_splits.json         {"train": {"path": […], "score": […], "step": […]}, "val": …}
FOLDER/**/NETWORK/…/checkpoint.pt   {"model": state dict, "config": …, "iteration": …}
```

A score is the test accuracy of that checkpoint. The configuration lies in the files as an omegaconf
object, or as plain values; both are read, neither is loaded as code. Where it says all there is to
say of a network (and its weights have those shapes), the network is one of `wildpark`, with its
connections, activations and permutations; else it is described from names and shapes alone. Either
way the configuration stands in the columns `config.…`, first layer first.

Source: Kofinas et al. 2024 (arXiv:2403.12143), published code.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Integer

from zoogen.description import Architecture
from zoogen.errors import PlanError, SourceError
from zoogen.importers.inert import NUMPY, names
from zoogen.importers.moved import Moved, listed, split_list
from zoogen.importers.source import Hints, Listing, Report
from zoogen.importers.tables import canonical_dataset, ordered, plain_column, whole
from zoogen.importers.tensors import in_order, read_torch, state_of
from zoogen.importers.wild_park_networks import described, opened
from zoogen.infer import infer_architecture
from zoogen.recipe import Shares

FORMAT = "wild-park"
FAMILY = "wild-park"
CREDIT = (
    "in the format of the CNN Wild Park, Kofinas et al. 2024 (arXiv:2403.12143; "
    "doi 10.5281/zenodo.12797219)"
)
SHARES = Shares(train=6, val=2, test=2)
CHECKPOINT, SCORE, STEP = "checkpoint.pt", "score", "step"
CONFIGURED: Mapping[str, str] = {
    "channels": "channels",
    "kernel_size": "kernel_sizes",
    "residual": "residuals",
    "activation": "activations",
}
"""Lists of the configuration, one entry a layer, and the columns that they become."""
_PLAIN = ("dict", "list", "tuple", "int", "float", "str", "bool", "NoneType")
OMEGACONF = (
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    *(f"omegaconf.nodes.{n}Node" for n in ("Any", "Integer", "String", "Float", "Boolean")),
    *(f"typing.{name}" for name in ("Any", "List", "Dict", "Tuple", "Optional", "Union")),
    "collections.defaultdict",
    *(f"builtins.{name}" for name in _PLAIN),
    "experiments.cnn_generalization.dataset.cnn_sampler.CNNConfig",
)


@dataclass(kw_only=True, slots=True, eq=False)
class WildPark:
    """See the module."""

    root: Path
    hints: Hints
    format: str = FORMAT
    _files: list[Path] = field(default_factory=list[Path])
    _arch: list[str] = field(default_factory=list[str])
    _archs: dict[str, Architecture] = field(default_factory=dict[str, Architecture])

    def listing(self, report: Report) -> Listing:
        """See `Source`; opens the first checkpoint of each network."""
        where = self.hints.split_file or split_list(self.root)
        files, rows = self._listed(where, report)
        if not files:
            raise SourceError(f"{self.root} has no {CHECKPOINT} and no JSON file with splits")
        networks: dict[Path, dict[str, Any]] = {}
        for number, path in enumerate(files, start=1):
            trial = path.parent.parent
            if trial not in networks:
                networks[trial] = self._network(path)
            rows[number - 1] |= networks[trial]
            report("checkpoints looked at", number, len(files))
        epochs = [int(row.pop("epoch")) for row in rows]
        known = sorted({name for row in rows for name in row})
        table, order = ordered(
            {name: plain_column([row.get(name) for row in rows]) for name in known},
            network=[str(path.parent.parent) for path in files],
            epoch=epochs,
            where=where or self.root,
        )
        self._files = [files[i] for i in order]
        self._arch = table.column("arch").to_pylist()
        return Listing(
            table=table,
            architectures=tuple(self._archs.values()),
            kind="images",
            dataset=canonical_dataset(self.hints.dataset or "cifar10"),
            family=FAMILY,
            credit=CREDIT,
            licence="not stated in the files",
            paths=tuple(dict.fromkeys((*([where] if where else []), *files))),
            shares=SHARES,
            split="source" if where else "shares",
            notes=_notes(self._archs.values()),
        )

    def weights(self, rows: Integer[np.ndarray, " n"]) -> Iterator[Float32[np.ndarray, " p"]]:
        """See `Source`."""
        for row in rows.tolist():
            path = self._files[row]
            state = state_of(_load(path)["model"], path)
            yield in_order(state, self._archs[self._arch[row]], path)

    def _listed(
        self, where: Path | None, report: Report
    ) -> tuple[list[Path], list[dict[str, Any]]]:
        files, rows = list[Path](), list[dict[str, Any]]()
        if where is not None:
            moved = Moved(self.root, where)
            for split, name, more in listed(where):
                path = moved.find(name)
                step = whole(more[STEP], f"the step of {name}", where) if STEP in more else None
                rows.append({"split": split, "epoch": _epoch(path) if step is None else step})
                if (score := _number(more.get(SCORE))) is not None:
                    rows[-1]["test_accuracy"] = score
                files.append(path)
            return files, rows
        files = sorted(self.root.rglob(CHECKPOINT))
        for number, path in enumerate(files, start=1):
            rows.append({"epoch": _epoch(path), "test_accuracy": _accuracy(path)})
            report("checkpoints looked at", number, len(files))
        return files, rows

    def _network(self, path: Path) -> dict[str, Any]:
        """Architecture and configuration, from one checkpoint."""
        content = _load(path)
        state = state_of(content["model"], path)
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        config = opened(content.get("config"))
        architecture = described(config, tuple(shapes.values()))
        if architecture is None:
            try:
                architecture = infer_architecture(shapes, family=FAMILY).architecture
            except PlanError as error:
                raise SourceError(f"{path}: {error}") from error
        self._archs.setdefault(architecture.content_id, architecture)
        found: dict[str, Any] = {"arch": architecture.content_id}
        if isinstance(config, Mapping):
            for name, column in CONFIGURED.items():
                values = opened(config.get(name))
                if isinstance(values, list):
                    found[f"config.{column}"] = " ".join(_words(values))
            layers = opened(config.get("n_layers"))
            if isinstance(layers, int):
                found["config.num_layers"] = layers
        return found


def _notes(architectures: Iterable[Architecture]) -> tuple[str, ...]:
    """What is not known of networks that were not described by their configuration."""
    if all(architecture.family != FAMILY for architecture in architectures):
        return ()
    return (
        "networks without a configuration that fits them are described from names and shapes: no "
        "symmetry and no connection",
    )


def _epoch(path: Path) -> int:
    return whole(_load(path).get("iteration"), "iteration", path)


def _accuracy(path: Path) -> float | None:
    result = _load(path).get("last_result")
    return _number(result.get("test/acc")) if isinstance(result, Mapping) else None


def _words(values: Sequence[Any]) -> Iterator[str]:
    for value in map(opened, values):
        yield str(value) if isinstance(value, str | bool | int | float | None) else "?"


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # an integer beyond all floats
        return None


def _load(path: Path) -> Mapping[str, Any]:
    content = read_torch(path, names(*OMEGACONF, *NUMPY))
    if not isinstance(content, Mapping) or "model" not in content:
        raise SourceError(f"{path}: wanted a checkpoint with a state dict under 'model'")
    return content
