"""The Small CNN Zoo: one matrix of flat networks, with a table of its rows and one of its columns.

```
FOLDER/weights.npy      float32, one row a network and checkpoint, 4,970 columns
FOLDER/metrics.csv.gz   a line for each row: config.*, modeldir, step (the epoch), measurements
FOLDER/layout.csv       varname, start_idx, end_idx, shape: which columns are which tensor
```

The published layout has each layer's bias before its kernel, kernels as (height, width, in, out)
and the last layer's as (in, out). Here weights come first and kernels are (out, in, height, width).
Losses are kept as they were published, with the L2 term in them.

Source: Unterthiner et al. 2020 (arXiv:2002.11448), the data set's README and notebook; NFN's
published order of rows (`--split-file`): Zhou et al. 2023 (arXiv:2302.14040).
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Integer

from zoogen import distributions
from zoogen.archs import ARCHS
from zoogen.description import Architecture, TensorSpec
from zoogen.errors import SourceError
from zoogen.images.catalog import IMAGE_SETS
from zoogen.importers.about import About, about_paths, read_about
from zoogen.importers.nfn_split import read_split
from zoogen.importers.source import Hints, Listing, Report
from zoogen.importers.tables import (
    canonical_dataset,
    constant,
    ordered,
    read_csv,
    want_columns,
    want_numbers,
    whole,
)
from zoogen.recipes import RECIPES
from zoogen.typed import MISUSED

FORMAT = "small-cnn-zoo"
WEIGHTS, METRICS, LAYOUT = "weights.npy", "metrics.csv.gz", "layout.csv"
STEP, MODELDIR = "step", "modeldir"
PUBLISHED = RECIPES["unterthiner2020"]
CREDIT = "Small CNN Zoo, Unterthiner et al. 2020 (arXiv:2002.11448)"
LICENCE = "CC BY 4.0"
RELEASED = {"cifar10": 270_000, "fashion_mnist": 270_000, "mnist": 269_973, "svhn": 269_892}
"""Rows of the released matrices: files with other numbers of rows are not the release."""
SIDES = {"mnist": 28, "fashion_mnist": 28, "cifar10": 32, "svhn": 32}
ROWS_AT_ONCE = 256
MEANINGS = {
    f"{split}_loss": f"mean cross-entropy on {of} images and the L2 term, as published"
    for split, of in (("train", "its training"), ("test", "the test"))
}
MEASURED = ("train_accuracy", "test_accuracy", "train_loss", "test_loss")


# What numpy raises on damaged files, collected by damaging files at random.
_BROKEN_MATRIX = (
    OSError, ValueError, TypeError, LookupError, OverflowError, SyntaxError, RecursionError,
    TokenError,
)  # fmt: skip


@dataclass(kw_only=True, slots=True, eq=False)
class SmallCnnZoo:
    """See the module."""

    root: Path
    hints: Hints
    format: str = FORMAT
    _rows: Integer[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Row of the matrix for each row of the listing."""
    _columns: Integer[np.ndarray, " p"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Column of the matrix for each weight."""

    def listing(self, report: Report) -> Listing:
        """See `Source`; reads the tables, and of the matrix its header."""
        del report  # takes seconds
        metrics = read_csv(self.root / METRICS, compressed=True)
        want_columns(metrics, (STEP, *MEASURED), self.root / METRICS)
        want_numbers(metrics, self.root / METRICS)
        _map_matrix(self.root / WEIGHTS, rows=metrics.num_rows)
        dataset = canonical_dataset(self._dataset(metrics))
        architecture = ARCHS["arch1"].describe(
            input_shape=(1, SIDES[dataset], SIDES[dataset]), classes=10
        )
        self._columns = columns_of(self.root / LAYOUT, architecture)
        network, epoch = _networks(metrics), _epochs(metrics, self.root / METRICS)
        columns = {name: metrics.column(name) for name in metrics.schema.names if _is_kept(name)}
        if MODELDIR in metrics.schema.names:
            columns[f"config.{MODELDIR}"] = metrics.column(MODELDIR)
        columns["arch"] = pa.array([architecture.content_id] * metrics.num_rows)
        split_file = self.hints.split_file
        if split_file is not None:
            columns["split"] = pa.array(read_split(split_file, network=network, epoch=epoch))
        table, self._rows = ordered(
            columns, network=network, epoch=epoch, where=self.root / METRICS
        )
        paths = [self.root / name for name in (WEIGHTS, METRICS, LAYOUT)]
        about = _about(self.root, dataset, rows=metrics.num_rows)
        return Listing(
            table=table,
            architectures=(architecture,),
            kind="images",
            dataset=dataset,
            family=architecture.family,
            credit=about.credit or "not stated",
            licence=about.licence or "not stated",
            data=about.data,
            paths=(*paths, *about_paths(self.root), *([split_file] if split_file else [])),
            shares=PUBLISHED.shares,
            split="shares" if split_file is None else "source",
            draws={n: distributions.to_json(d) for n, d in PUBLISHED.draws.items()},
            meanings=MEANINGS,
            notes=_notes(split_file),
        )

    def weights(self, rows: Integer[np.ndarray, " n"]) -> Iterator[Float32[np.ndarray, " p"]]:
        """See `Source`; touches only these rows of the matrix."""
        # Mapped anew for each call: pages that were read would else stay with this process.
        matrix = _map_matrix(self.root / WEIGHTS, rows=len(self._rows))
        for at in range(0, len(rows), ROWS_AT_ONCE):
            block = np.asarray(matrix[self._rows[rows[at : at + ROWS_AT_ONCE]]])
            yield from block[:, self._columns]

    def _dataset(self, metrics: Any) -> str:
        told = read_about(self.root).data.get("name") or constant(metrics, "config.dataset")
        named = self.hints.dataset or told
        if named is None or canonical_dataset(named) not in SIDES:
            raise SourceError(
                f"{self.root / METRICS}: config.dataset is {named or 'missing or not one value'}: "
                f"name the images with --dataset, one of {', '.join(SIDES)}"
            )
        return named


def _about(root: Path, dataset: str, *, rows: int) -> About:
    """What the folder says; the release says nothing and is told by its number of rows."""
    about = read_about(root)
    if about == About() and rows == RELEASED[dataset]:
        return About(credit=CREDIT, licence=LICENCE)
    if about == About():
        return About(data={"name": dataset, "licence": IMAGE_SETS[dataset].licence})
    return about


def columns_of(path: Path, architecture: Architecture) -> Integer[np.ndarray, " p"]:
    """For each weight of a description the column of the matrix that holds it.

    Args:
        path: of layout.csv.
        architecture: whose layers come in the order of the layout's.

    Raises:
        SourceError: the layout is of another network.
    """
    layers: dict[str, dict[str, np.ndarray]] = {}
    for varname, start, shape in _layout(path):
        layer, _, kind = varname.rpartition("/")
        places = np.arange(start, start + prod(shape)).reshape(shape)
        # (height, width, in, out) to (out, in, height, width); (in, out) to (out, in).
        turned = places.transpose(3, 2, 0, 1) if places.ndim == 4 else places.T
        layers.setdefault(layer, {})["weight" if kind == "kernel:0" else "bias"] = turned
    names = list(dict.fromkeys(t.layer for t in architecture.tensors))
    if len(layers) != len(names):
        raise SourceError(f"{path} has {len(layers)} layers, {architecture.family} {len(names)}")
    found = dict(zip(names, layers.values(), strict=True))
    parts = [_places(found[t.layer], t, path) for t in architecture.tensors]
    columns = np.concatenate([part.reshape(-1) for part in parts])
    if len(np.unique(columns)) != len(columns):
        raise SourceError(f"{path}: two tensors share a column of the matrix")
    return columns


def _places(layer: Mapping[str, np.ndarray], tensor: TensorSpec, path: Path) -> np.ndarray:
    found = layer.get(tensor.role)
    if found is None or found.shape != tensor.shape:
        got = "no such tensor" if found is None else str(found.shape)
        raise SourceError(f"{path}: wanted {tensor.name} of shape {tensor.shape}, got {got}")
    return found


def _layout(path: Path) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    """Name, first column and shape of each tensor."""
    table = read_csv(path)
    want_columns(table, ("varname", "start_idx", "end_idx", "shape"), path)
    for row in table.to_pylist():
        name, start, stop = row["varname"], row["start_idx"], row["end_idx"]
        try:
            shape = ast.literal_eval(str(row["shape"]))
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            name, start, stop = str(name), int(start), int(stop)
        except (*MISUSED, SyntaxError, MemoryError, RecursionError) as error:
            raise SourceError(f"{path}: no tensor and its columns in the line {row}") from error
        if not name.endswith(("/kernel:0", "/bias:0")) or prod(shape) != stop - start:
            raise SourceError(
                f"{path}: wanted a kernel:0 or bias:0 that fills its columns, got {name} of shape "
                f"{shape} in columns {start} to {stop}"
            )
        yield name, start, shape


def _map_matrix(path: Path, *, rows: int) -> Any:
    """The matrix, mapped into memory: never an archive or a pickle, whatever the file is."""
    try:
        matrix = np.lib.format.open_memmap(path, mode="r")
    except _BROKEN_MATRIX as error:
        raise SourceError(f"{path} cannot be read as a matrix: {error}") from error
    if matrix.ndim != 2 or matrix.dtype != np.float32 or len(matrix) != rows:
        raise SourceError(
            f"{path}: wanted a float32 matrix with a row for each of the {rows} lines of "
            f"{METRICS}, got {matrix.dtype} of shape {matrix.shape}"
        )
    return matrix


def _networks(metrics: Any) -> Sequence[Any]:
    """What tells networks apart: their folder; else a network ends where steps start again."""
    if MODELDIR in metrics.schema.names:
        return metrics.column(MODELDIR).to_pylist()
    step = metrics.column(STEP).to_numpy()
    return np.cumsum(np.append(True, step[1:] <= step[:-1])).tolist()


def _epochs(metrics: Any, path: Path) -> list[int]:
    found = metrics.column(STEP).to_pylist()
    if None in found:
        raise SourceError(f"{path}: every line needs a whole number as its step")
    return [whole(step, "a step", path) for step in found]


def _is_kept(name: str) -> bool:
    return name in MEASURED or name.startswith("config.")


def _notes(split_file: Path | None) -> tuple[str, ...]:
    if split_file is None:
        return ()
    return (f"splits follow {split_file.name}, read as NFN's published loader reads it",)
