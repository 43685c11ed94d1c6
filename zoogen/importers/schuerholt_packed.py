"""Schürholt's packed data sets: one PyTorch file of their own pickled data set class.

```
{"trainset": ModelDatasetBase, "valset": ModelDatasetBase, "testset": ModelDatasetBase}
```

Of each data set its attributes are used: `data_in` (state dicts), `paths` (the network's folder),
`epochs` and `properties` (lists by name). The class itself is never loaded: see
`zoogen.importers.inert`.

Source: Schürholt et al. 2022 (arXiv:2209.14764), published code and notebook.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Integer
from torch import Tensor

from zoogen.description import Architecture
from zoogen.errors import SourceError
from zoogen.importers.inert import NUMPY, PATHS, Record, names
from zoogen.importers.schuerholt import (
    CREDIT,
    LICENCE,
    MEANINGS,
    SHARES,
    guess_dataset,
    measured,
    named_configuration,
    rows_table,
)
from zoogen.importers.schuerholt_networks import describe
from zoogen.importers.source import Hints, Listing, Report
from zoogen.importers.tables import canonical_dataset, whole
from zoogen.importers.tensors import Header, check_tensors, in_order, read_torch
from zoogen.typed import MISUSED

FORMAT = "schuerholt-packed"
SETS = {"trainset": "train", "valset": "val", "testset": "test"}
CLASSES = (
    "checkpoints_to_datasets.dataset_base.ModelDatasetBase",
    "model_definitions.dataset_base.ModelDatasetBase",
    "dataset_base.ModelDatasetBase",
)
GAP = "ggap"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Packed:
    """One network at one checkpoint."""

    state: Mapping[str, Tensor]
    row: dict[str, Any]


@dataclass(kw_only=True, slots=True, eq=False)
class SchuerholtPacked:
    """See the module. The whole file is in memory, as its format wants."""

    root: Path
    hints: Hints
    format: str = FORMAT
    _states: list[Mapping[str, Tensor]] = field(default_factory=list[Mapping[str, Tensor]])
    _arch: list[str] = field(default_factory=list[str])
    _archs: dict[str, Architecture] = field(default_factory=dict[str, Architecture])

    def listing(self, report: Report) -> Listing:
        """See `Source`."""
        report(f"reading {self.root.name}", 0, 0)
        content = read_torch(self.root, names(*CLASSES, *PATHS, *NUMPY))
        try:
            packed = list(self._packed(content))
        except (*MISUSED, RuntimeError) as error:
            raise SourceError(f"{self.root} is no packed zoo, or a damaged one: {error}") from error
        if not packed:
            raise SourceError(f"{self.root} holds none of {', '.join(SETS)} with networks")
        known: dict[Header, str] = {}
        for each in packed:
            check_tensors(each.state, self.root)
            header = _header(each.state)
            if header not in known:
                architecture = describe(header, self.root)
                known[header] = architecture.content_id
                self._archs[known[header]] = architecture
            each.row["arch"] = known[header]
        table, order = rows_table([each.row for each in packed], self.root)
        self._states = [packed[i].state for i in order]
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
            paths=(self.root,),
            shares=SHARES,
            split="source",
            meanings=MEANINGS,
        )

    def weights(self, rows: Integer[np.ndarray, " n"]) -> Iterator[Float32[np.ndarray, " p"]]:
        """See `Source`."""
        for row in rows.tolist():
            yield in_order(self._states[row], self._archs[self._arch[row]], self.root)

    def _packed(self, content: Any) -> Iterator[_Packed]:
        if not isinstance(content, Mapping):
            raise SourceError(
                f"{self.root}: wanted a dict with {', '.join(SETS)}, got a {type(content).__name__}"
            )
        for name, split in SETS.items():
            if isinstance(content.get(name), Record):
                yield from _networks(content[name], split, f"{self.root}, {name}")


def _networks(dataset: Record, split: str, where: str) -> Iterator[_Packed]:
    data: Sequence[Any] = dataset.get("data_in", ())
    paths, epochs = dataset.get("paths", ()), dataset.get("epochs", ())
    properties: Mapping[str, Sequence[Any]] = dataset.get("properties") or {}
    lengths = {"data_in": len(data), "paths": len(paths), "epochs": len(epochs)}
    lengths |= {name: len(values) for name, values in properties.items()}
    if len(set(lengths.values())) > 1:
        raise SourceError(f"{where}: lists of different lengths: {lengths}")
    for number, state in enumerate(data):
        if not isinstance(state, Mapping):
            raise SourceError(
                f"{where}: wanted state dicts in data_in, got a {type(state).__name__}: weights "
                "as bare vectors say nothing of their layers; convert the raw folder instead"
            )
        given = {name: values[number] for name, values in properties.items()}
        row = {
            **named_configuration({k: _plain(v) for k, v in given.items() if "::" in k}),
            **measured({k: _plain(v) for k, v in given.items()}),
            "generalization_gap": _plain(given.get(GAP)),
            "network": _path_text(paths[number]),
            "epoch": whole(epochs[number], "an epoch", Path(where)),
            "split": split,
        }
        row = {name: value for name, value in row.items() if value is not None}
        tensors = {str(name): t for name, t in state.items() if isinstance(t, Tensor)}
        yield _Packed(state=tensors, row=row)


def _header(state: Mapping[str, Tensor]) -> Header:
    return Header(
        shapes=tuple((name, tuple(t.shape)) for name, t in state.items()),
        dtypes=tuple((n, str(t.dtype).removeprefix("torch.")) for n, t in state.items()),
        ordered=True,
    )


def _path_text(path: Any) -> str:
    """A network's folder, from a pickled path or plain text; it lies on the publishers' machine."""
    return "/".join(path.arguments) if isinstance(path, Record) else str(_plain(path))


def _plain(value: Any) -> Any:
    """A number or text; a tensor of one number as that number."""
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 else None
    return value if isinstance(value, str | bool | int | float) else None
