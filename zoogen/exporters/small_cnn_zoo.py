"""A zoo of arch1 as the Small CNN Zoo's files: weights.npy, metrics.csv.gz, layout.csv.

The loaders of that data set and of NFN, neural graphs and ScaleGMN read them as they are. Rows are
those of networks that went well to the end, as in the published files. `split.csv` is an order of
rows in NFN's format that gives the zoo's own splits, where these are 40/10/50 as NFN's rule wants.

Published losses contain the L2 term. Where the zoo's do not, it is added: l2reg · Σw² over kernels.
"""

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from zoogen.description import CONFIG_PREFIX, Architecture
from zoogen.errors import ExportError
from zoogen.exporters.place import Report
from zoogen.exporters.provenance import about_of, readme
from zoogen.exporters.rows import ZooRow, zoo_rows
from zoogen.importers.about import ABOUT
from zoogen.importers.nfn_split import cut
from zoogen.importers.small_cnn_zoo import (
    LAYOUT,
    METRICS,
    MODELDIR,
    STEP,
    WEIGHTS,
    columns_of,
)
from zoogen.reader import Zoo

FAMILY = "arch1"
LAYERS = {
    "conv1": "sequential/conv2d",
    "conv2": "sequential/conv2d_1",
    "conv3": "sequential/conv2d_2",
    "fc": "sequential/dense",
}
MEASURED = ("test_accuracy", "test_loss", "train_accuracy", "train_loss")
SPLIT = "split.csv"
TEXT = """\
The zoo in the format of the Small CNN Zoo (Unterthiner et al. 2020): `weights.npy` has one row a
network and checkpoint, `metrics.csv.gz` a line for each row, `layout.csv` says which columns are
which tensor. Networks that diverged are left out. Losses contain the L2 term, as
the published ones do."""


def export(zoo: Zoo, folder: Path, report: Report) -> None:
    """Write the files into an empty folder.

    Raises:
        ExportError: the networks are not of this format's architecture.
    """
    architecture = _architecture(zoo)
    _write_layout(folder / LAYOUT, architecture)
    columns = columns_of(folder / LAYOUT, architecture)
    final = _final_status(zoo)
    well = {member for member, status in final.items() if status == "ok"}
    counts = zoo.table(["member"], checkpoint="all", status=None).column("member").to_pylist()
    shape = (sum(member in well for member in counts), architecture.parameters)
    matrix = np.lib.format.open_memmap(folder / WEIGHTS, mode="w+", dtype=np.float32, shape=shape)
    header = _header(zoo)
    lines: list[tuple[int, int, str]] = []
    with _gzip_text(folder / METRICS) as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for row in zoo_rows(zoo, report):
            if row.values["member"] not in well:
                continue
            matrix[len(lines), columns] = row.weights
            writer.writerow(_line(row, header, zoo, architecture))
            lines.append((row.values["member"], row.values["epoch"], row.values["split"]))
    matrix.flush()
    if order := nfn_order(lines):
        (folder / SPLIT).write_text("".join(f"{row}\n" for row in order), encoding="ascii")
    (folder / ABOUT).write_text(about_of(zoo).text, encoding="utf-8")
    title = f"{zoo.plan.dataset} × {zoo.plan.family}"
    (folder / "README.md").write_text(readme(zoo, title=title, text=TEXT), encoding="utf-8")


def nfn_order(lines: Sequence[tuple[int, int, str]]) -> list[int] | None:
    """An order of rows from which NFN's rule makes these splits; None if it cannot.

    Args:
        lines: (member, epoch, split) of each row.
    """
    last = max((epoch for _, epoch, _ in lines), default=0)
    final = [row for row, (_, epoch, _) in enumerate(lines) if epoch == last]
    by_split = {
        name: [row for row in final if lines[row][2] == name] for name in ("train", "val", "test")
    }
    places = cut(len(final))
    if any(len(places[name]) != len(rows) for name, rows in by_split.items()):
        return None
    order = [0] * len(final)
    for name, rows in by_split.items():
        for place, row in zip(places[name], rows, strict=True):
            order[place] = row
    return order + [row for row, (_, epoch, _) in enumerate(lines) if epoch != last]


def _architecture(zoo: Zoo) -> Architecture:
    found = list(zoo.architectures.values())
    if len(found) != 1 or found[0].family != FAMILY:
        families = ", ".join(sorted({a.family for a in found}))
        raise ExportError(
            f"{zoo.store.uri} holds networks of {families}; the Small CNN Zoo's format is for "
            f"{FAMILY} alone: use --to state-dicts, safetensors or hf"
        )
    return found[0]


def _final_status(zoo: Zoo) -> Mapping[int, str]:
    table = zoo.table(["member", "status"], checkpoint="last", status=None)
    members, statuses = (table.column(c).to_pylist() for c in ("member", "status"))
    return dict(zip(members, statuses, strict=True))


def _write_layout(path: Path, architecture: Architecture) -> None:
    """Each layer's bias, then its kernel: (height, width, in, out), or (in, out)."""
    with path.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["varname", "start_idx", "end_idx", "shape"])
        start = 0
        for layer, name in LAYERS.items():
            shapes = {t.role: t.shape for t in architecture.tensors_of(layer)}
            out, inputs, *sides = shapes["weight"]
            for kind, shape in (("bias:0", shapes["bias"]), ("kernel:0", (*sides, inputs, out))):
                stop = start + prod(shape)
                writer.writerow([f"{name}/{kind}", start, stop, shape])
                start = stop


def _header(zoo: Zoo) -> list[str]:
    config = [c.name for c in zoo.columns if c.name.startswith(CONFIG_PREFIX)]
    config = [name for name in config if name != CONFIG_PREFIX + MODELDIR]
    seed = [] if "config.random_seed" in config else ["config.random_seed"]
    return [*config, *seed, MODELDIR, STEP, *MEASURED]


def _line(row: ZooRow, header: Sequence[str], zoo: Zoo, architecture: Architecture) -> list[Any]:
    values = row.values
    known = {
        "config.random_seed": values["seed"],
        MODELDIR: values.get(CONFIG_PREFIX + MODELDIR, f"{zoo.plan.family}/{values['member']}"),
        STEP: values["epoch"],
        **_losses(row, zoo, architecture),
    }
    return [known[name] if name in known else values.get(name) for name in header]


def _losses(row: ZooRow, zoo: Zoo, architecture: Architecture) -> dict[str, float | None]:
    """With the L2 term, which is added unless the source's losses have it."""
    origin = zoo.plan.origin
    found: dict[str, float | None] = {}
    for name in ("train_loss", "test_loss"):
        loss = row.values[name]
        if loss is not None and not (origin and name in origin.meanings):
            loss += float(row.values.get("config.l2reg") or 0.0) * _squares(
                row.weights, architecture
            )
        found[name] = loss
    return found


def _squares(weights: Float32[np.ndarray, " p"], architecture: Architecture) -> float:
    kernels = (t for t in architecture.tensors if t.role == "weight")
    parts = (weights[t.offset : t.offset + t.size].astype(np.float64) for t in kernels)
    return float(sum(np.sum(part**2) for part in parts))


@contextmanager
def _gzip_text(path: Path) -> Iterator[io.TextIOBase]:
    """Text into a gzip file that names no time and no path, so equal text gives equal bytes."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        yield text
