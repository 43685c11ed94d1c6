"""A zoo as one file of named tensors for each row, and a table: torch or safetensors reads it.

The layout is that of `zoogen.importers.state_dicts`, with the architectures' descriptions beside
the table, so that converting the folder gives the same networks, symmetries included. INRs of
labelled images get a `splits.json` too, as DWSNets' loader of INRs reads it from within the folder.
"""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import safetensors.numpy
import torch
from jaxtyping import Float32
from numpy import ndarray

from zoogen.description import Architecture
from zoogen.exporters.place import Report
from zoogen.exporters.provenance import about_of, readme
from zoogen.exporters.rows import ZooRow, zoo_rows
from zoogen.importers.about import ABOUT
from zoogen.importers.state_dicts import DESCRIPTIONS, TABLE
from zoogen.reader import Zoo
from zoogen.schema import WEIGHTS

FILES_IN_A_FOLDER = 1000
IMAGE_LABEL = "config.image_label"
Save: TypeAlias = Callable[[Mapping[str, Float32[ndarray, "..."]], Path, Mapping[str, str]], None]
TEXT = """\
The zoo as one file of named tensors for each network and checkpoint. `networks.csv` has a line for
each file: which network and checkpoint, split, configuration and measurements.
`architectures.json` describes each architecture under the id in the column `arch`."""


def export_torch(zoo: Zoo, folder: Path, report: Report) -> None:
    """Files that `torch.load` and `load_state_dict` take."""
    _export(zoo, folder, report, save=_save_torch, suffix=".pt")


def export_safetensors(zoo: Zoo, folder: Path, report: Report) -> None:
    """The same as safetensors, with member, epoch and architecture in each file's metadata."""
    _export(zoo, folder, report, save=_save_safetensors, suffix=".safetensors")


def _export(zoo: Zoo, folder: Path, report: Report, *, save: Save, suffix: str) -> None:
    names = [c.name for c in zoo.columns if c.name != WEIGHTS]
    splits: dict[str, dict[str, list[Any]]] = {}
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", *names])
        for row in zoo_rows(zoo, report):
            member, epoch = row.values["member"], row.values["epoch"]
            group = f"networks/{member // FILES_IN_A_FOLDER:03d}"
            name = f"{group}/{member:06d}-{epoch:06d}{suffix}"
            (folder / group).mkdir(parents=True, exist_ok=True)
            about = {"member": str(member), "epoch": str(epoch), "arch": row.values["arch"]}
            save(named_tensors(row, zoo.architectures[row.values["arch"]]), folder / name, about)
            writer.writerow([name, *(row.values[column] for column in names)])
            if row.values.get(IMAGE_LABEL) is not None and row.values["status"] != "diverged":
                own = splits.setdefault(row.values["split"], {"path": [], "label": []})
                own["path"].append(name)
                own["label"].append(str(row.values[IMAGE_LABEL]))
    if splits:
        (folder / "splits.json").write_text(json.dumps(splits), encoding="utf-8")
    plan = zoo.plan
    (folder / ABOUT).write_text(about_of(zoo).text, encoding="utf-8")
    described = {name: a.to_json() for name, a in sorted(zoo.architectures.items())}
    text = json.dumps(described, sort_keys=True, indent=1) + "\n"
    (folder / DESCRIPTIONS).write_text(text, encoding="utf-8")
    title = f"{plan.dataset} × {plan.family}"
    (folder / "README.md").write_text(readme(zoo, title=title, text=TEXT), encoding="utf-8")


def named_tensors(row: ZooRow, architecture: Architecture) -> dict[str, Any]:
    """A row's weights by the description's names, as numpy views."""
    return {
        t.name: row.weights[t.offset : t.offset + t.size].reshape(t.shape)
        for t in architecture.tensors
    }


def _save_torch(tensors: Mapping[str, Any], path: Path, about: Mapping[str, str]) -> None:
    del about  # a state dict holds tensors only
    torch.save({name: torch.tensor(values) for name, values in tensors.items()}, path)


def _save_safetensors(tensors: Mapping[str, Any], path: Path, about: Mapping[str, str]) -> None:
    safetensors.numpy.save_file(dict(tensors), path, metadata=dict(about))
