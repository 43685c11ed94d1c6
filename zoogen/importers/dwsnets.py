"""DWSNets' INRs: a folder of state dicts, one a network, and a JSON file of splits.

```
FOLDER/mnist_splits.json    {"train": {"path": […], "label": […]}, "val": …, "test": …}
FOLDER/ssl_splits.json      {"train": […paths…], …}: sine waves, whose files hold `coef` too
FOLDER/**/*.pth             `seq.0.weight`, `seq.0.bias`, …: SIRENs
```

Paths in the JSON are those of the publishers' machine; files are found by the ends of their paths.
A sine file's `coef` is (amplitude, frequency) of a·sin(b·x). How many steps an INR took and how
well it fits is not published; the fit of waves is computed here.

Source: Navon et al. 2023 (arXiv:2301.12780), published code.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Integer

from zoogen.archs import ARCHS
from zoogen.description import Architecture
from zoogen.errors import SourceError
from zoogen.forward import forward, parameters_of
from zoogen.importers.inert import NUMPY, names
from zoogen.importers.moved import Moved, listed, split_list
from zoogen.importers.schuerholt import guess_dataset
from zoogen.importers.source import Hints, Listing, Report
from zoogen.importers.tables import canonical_dataset, ordered, plain_column, whole
from zoogen.importers.tensors import Header, in_order, read_torch, state_of
from zoogen.recipe import SINE, Shares
from zoogen.signals import sine_inputs, sine_target
from zoogen.typed import MISUSED

FORMAT = "dwsnets"
CREDIT = "in the format of DWSNets' INRs, Navon et al. 2023 (arXiv:2301.12780)"
SHARES = Shares(train=8, val=1, test=1)
COEF, LABEL = "coef", "label"
POINTS = 2000
"""Of the published waves."""
ONLY_STATE = 1
"""Stands for the one state that is published."""
_SEED = re.compile(r"^model_(\d+)\.pth$")


@dataclass(kw_only=True, slots=True, eq=False)
class DwsNets:
    """See the module."""

    root: Path
    hints: Hints
    format: str = FORMAT
    _files: list[Path] = field(default_factory=list[Path])
    _architecture: Architecture | None = None

    def listing(self, report: Report) -> Listing:
        """See `Source`; opens every file of waves, of images only the first."""
        where = self.hints.split_file or split_list(self.root)
        files, rows = self._listed(where)
        if not files:
            raise SourceError(f"{self.root} has no .pth file and no JSON file with splits")
        first = _load(files[0])
        self._architecture = architecture = describe_siren(_header(first, files[0]), files[0])
        waves = COEF in first
        if waves and (inputs := architecture.tensors[0].shape[1]) != 1:
            raise SourceError(f"{files[0]}: a wave has one input, this network has {inputs}")
        for number, (path, row) in enumerate(zip(files, rows, strict=True), start=1):
            row |= self._wave(path, architecture) if waves else {}
            if seed := _SEED.match(path.name):
                row["config.random_seed"] = int(seed[1])
            report("networks looked at", number, len(files))
        known = sorted({name for row in rows for name in row})
        table, order = ordered(
            {
                **{name: plain_column([row.get(name) for row in rows]) for name in known},
                "arch": [architecture.content_id] * len(files),
            },
            network=[str(path) for path in files],
            epoch=[ONLY_STATE] * len(files),
            where=where or self.root,
        )
        self._files = [files[i] for i in order]
        return Listing(
            table=table,
            architectures=(architecture,),
            kind="signals",
            dataset=SINE if waves else self._images(where),
            family=architecture.family,
            credit=CREDIT,
            licence="not stated",
            paths=tuple(dict.fromkeys((*([where] if where else []), *files))),
            shares=SHARES,
            split="source" if where else "shares",
            meanings={"mse": f"mean squared error on {POINTS:,} points, computed when converted"},
            notes=(
                f"steps are not published: epoch {ONLY_STATE} stands for the one state that is",
            ),
        )

    def weights(self, rows: Integer[np.ndarray, " n"]) -> Iterator[Float32[np.ndarray, " p"]]:
        """See `Source`."""
        assert self._architecture is not None  # `listing` came before
        for row in rows.tolist():
            path = self._files[row]
            yield in_order(_tensors(_load(path), path), self._architecture, path)

    def _listed(self, where: Path | None) -> tuple[list[Path], list[dict[str, Any]]]:
        if where is None:
            files = sorted(self.root.rglob("*.pth"))
            return files, [{} for _ in files]
        moved, files, rows = Moved(self.root, where), list[Path](), list[dict[str, Any]]()
        for split, name, more in listed(where):
            files.append(moved.find(name))
            row: dict[str, Any] = {"split": split}
            if LABEL in more:
                row["config.image_label"] = whole(more[LABEL], f"the label of {name}", where)
            rows.append(row)
        return files, rows

    def _wave(self, path: Path, architecture: Architecture) -> dict[str, float]:
        content = _load(path)
        coef: Any = content.get(COEF)
        try:
            amplitude, frequency = (float(value) for value in coef)
        except MISUSED as error:
            raise SourceError(
                f"{path}: wanted coef = [amplitude, frequency], got {repr(coef)}"
            ) from error
        flat = torch.from_numpy(in_order(_tensors(content, path), architecture, path))
        with torch.inference_mode():
            inputs = torch.from_numpy(sine_inputs(POINTS))
            output = forward(architecture, parameters_of(architecture, flat), inputs, config={})
        target = sine_target({"amplitude": amplitude, "frequency": frequency}, POINTS)
        error = output.numpy().astype(np.float64) - target
        return {"amplitude": amplitude, "frequency": frequency, "mse": float(np.mean(error**2))}

    def _images(self, where: Path | None) -> str:
        named = where.name if where else self.root.name
        return canonical_dataset(self.hints.dataset or guess_dataset(named))


def describe_siren(header: Header, path: Path) -> Architecture:
    """The description of a SIREN with these tensors.

    Raises:
        SourceError: they are of another network.
    """
    shapes = [shape for _, shape in header.shapes]
    if len(shapes) >= 4 and [len(s) for s in shapes] == [2, 1] * (len(shapes) // 2):
        found = ARCHS["siren"].describe(
            input_shape=(shapes[0][1],),
            classes=shapes[-1][0],
            width=shapes[0][0],
            depth=len(shapes) // 2,
        )
        if [t.shape for t in found.tensors] == shapes:
            return found
    raise SourceError(
        f"{path}: wanted the weights and biases of a SIREN with layers of one width, got {shapes}; "
        "convert other networks as --format state-dicts, with a CSV of properties"
    )


def _load(path: Path) -> Mapping[str, Any]:
    """Tensors and coefficients; the points beside them, as numpy arrays, are not looked at."""
    content = read_torch(path, names(*NUMPY))
    if not isinstance(content, Mapping):
        raise SourceError(f"{path}: wanted a state dict, got a {type(content).__name__}")
    return content


def _tensors(content: Mapping[str, Any], path: Path) -> Mapping[str, torch.Tensor]:
    found = state_of(content, path)
    return {n: t for n, t in found.items() if n.endswith((".weight", ".bias"))}


def _header(content: Mapping[str, Any], path: Path) -> Header:
    found = _tensors(content, path)
    return Header(
        shapes=tuple((name, tuple(t.shape)) for name, t in found.items()),
        dtypes=tuple((n, str(t.dtype).removeprefix("torch.")) for n, t in found.items()),
        ordered=True,
    )
