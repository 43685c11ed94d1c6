"""A folder of state dicts with a CSV of properties: the format for everything that has no other.

```
FOLDER/
  networks.csv            one row a file; `file` is its path below FOLDER, other columns as below
  anything.safetensors    or .pt, .pth, .ckpt, .bin: files of model.state_dict(), in any subfolder
  architectures.json      optional: descriptions by content id, which the column `arch` names
  zoo.json                optional: see `zoogen.importers.about`
```

Columns: `file`; optional `network` (checkpoints of one network share it), `epoch`, `split`, `seed`,
`status`, `arch`; measurements by the names of the zoo format; any other column becomes `config.*`.
Without `arch` a network is described from names and shapes (`zoogen.infer`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Integer

from zoogen.description import Architecture
from zoogen.errors import PlanError, SourceError
from zoogen.importers.about import About, about_paths, read_about
from zoogen.importers.moved import below
from zoogen.importers.source import Hints, Listing, Report
from zoogen.importers.tables import (
    as_config,
    canonical_dataset,
    constant,
    ordered,
    read_csv,
    want_columns,
    want_numbers,
)
from zoogen.importers.tensors import (
    SAFETENSORS,
    TORCH,
    Header,
    flat_weights,
    read_header,
    read_state,
)
from zoogen.infer import infer_architecture
from zoogen.json_text import parse_json
from zoogen.recipe import Shares

FORMAT = "state-dicts"
TABLE = "networks.csv"
DESCRIPTIONS = "architectures.json"
FILE, NETWORK, EPOCH = (
    ("file", "path", "filename"),
    ("network", "member", "model"),
    ("epoch", "step"),
)
KEPT = ("split", "status", "seed")
"""Columns that mean the same in a zoo."""
SHARES = Shares(train=4, val=1, test=5)
"""Those of the Small CNN Zoo: our choice."""
MOST_NOTES = 12


@dataclass(kw_only=True, slots=True, eq=False)
class StateDicts:
    """See the module."""

    root: Path
    hints: Hints
    format: str = FORMAT
    _files: list[Path] = field(default_factory=list[Path])
    """Of each row of the listing."""
    _archs: dict[str, Architecture] = field(default_factory=dict[str, Architecture])
    _arch: list[str] = field(default_factory=list[str])

    def listing(self, report: Report) -> Listing:
        """See `Source`."""
        where = self._table_path()
        table = read_csv(where)
        want_numbers(table, where)
        names = table.schema.names
        file = next((name for name in FILE if name in names), None)
        if file is None:
            want_columns(table, FILE[:1], where)
        files = [self._file(name, where) for name in table.column(file).to_pylist()]
        arch, notes = self._describe(table, files, report)
        about = read_about(self.root)
        network = next((name for name in NETWORK if name in names), None)
        epoch = next((name for name in EPOCH if name in names), None)
        columns = {
            (name if name in KEPT else as_config(name)): table.column(name)
            for name in names
            # Tables that pandas wrote begin with a column of row numbers without a name.
            if name not in (file, network, epoch, "arch", "") and not name.startswith("Unnamed")
        }
        rows, order = ordered(
            {**columns, "arch": arch},
            network=[str(f) for f in files] if network is None else _values(table, network, where),
            epoch=[0] * len(files) if epoch is None else _values(table, epoch, where),
            where=where,
        )
        self._files = [files[i] for i in order]
        self._arch = [arch[i] for i in order]
        return Listing(
            table=rows,
            architectures=tuple(self._archs.values()),
            kind="signals" if _about_signals(names, about.kind) else "images",
            dataset=self._dataset(rows, about),
            family=next(iter(self._archs.values())).family if len(self._archs) == 1 else "several",
            credit=about.credit or "not stated",
            licence=about.licence or "not stated",
            paths=(where, *self._beside(), *dict.fromkeys(self._files)),
            shares=SHARES,
            data=about.data,
            split="source" if "split" in rows.schema.names else "shares",
            notes=notes,
        )

    def weights(self, rows: Integer[np.ndarray, " n"]) -> Iterator[Float32[np.ndarray, " p"]]:
        """See `Source`."""
        for row in rows.tolist():
            path = self._files[row]
            yield flat_weights(read_state(path), self._archs[self._arch[row]], path)

    def _table_path(self) -> Path:
        if self.hints.properties is not None:
            return self.hints.properties
        found = sorted(self.root.glob("*.csv"))
        named = [path for path in found if path.name == TABLE]
        if not named and len(found) != 1:
            raise SourceError(
                f"{self.root} has {len(found)} CSV files: wanted {TABLE}, or one CSV file with a "
                "column `file`; name it with --properties"
            )
        return (named or found)[0]

    def _file(self, name: Any, where: Path) -> Path:
        path = below(self.root, str(name))
        if path is None or path.suffix not in (SAFETENSORS, *TORCH):
            kinds = ", ".join((SAFETENSORS, *TORCH))
            raise SourceError(
                f"{where} names {name}: wanted a file below {self.root} that ends in {kinds}"
            )
        return path

    def _beside(self) -> tuple[Path, ...]:
        described = self.root / DESCRIPTIONS
        return (*([described] if described.is_file() else []), *about_paths(self.root))

    def _dataset(self, rows: Any, about: About) -> str:
        told = about.data.get("name") or constant(rows, "config.dataset")
        return canonical_dataset(self.hints.dataset or told or "unknown")

    def _describe(
        self, table: Any, files: list[Path], report: Report
    ) -> tuple[list[str], tuple[str, ...]]:
        """Content id of each row's architecture, and what was concluded."""
        if "arch" in table.schema.names and (self.root / DESCRIPTIONS).is_file():
            known = read_descriptions(self.root / DESCRIPTIONS)
            arch: list[str] = table.column("arch").to_pylist()
            if missing := sorted(set(arch) - set(known)):
                raise SourceError(f"{self.root / DESCRIPTIONS} does not describe {missing[0]!r}")
            self._archs = {name: known[name] for name in dict.fromkeys(arch)}
            return arch, ()
        return self._infer(files, report)

    def _infer(self, files: list[Path], report: Report) -> tuple[list[str], tuple[str, ...]]:
        found: dict[Header, str] = {}
        notes: dict[str, None] = {}
        arch: list[str] = []
        for number, path in enumerate(files, start=1):
            header = read_header(path)
            if header not in found:
                try:
                    inferred = infer_architecture(
                        dict(header.shapes), dtypes=dict(header.dtypes), ordered=header.ordered
                    )
                except PlanError as error:
                    raise SourceError(f"{path}: {error}") from error
                found[header] = inferred.architecture.content_id
                self._archs[found[header]] = inferred.architecture
                notes |= dict.fromkeys(inferred.assumed)
            arch.append(found[header])
            report("files looked at", number, len(files))
        return arch, tuple(notes)[:MOST_NOTES]


def read_descriptions(path: Path) -> dict[str, Architecture]:
    """Descriptions by content id.

    Raises:
        SourceError: the file is damaged, or a description is not what its id says.
    """
    try:
        found = {k: Architecture.from_json(v) for k, v in parse_json(path.read_bytes()).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PlanError) as error:
        raise SourceError(f"{path} holds no descriptions of architectures: {error}") from error
    for name, architecture in found.items():
        if architecture.content_id != name:
            raise SourceError(f"{path}: {name} describes {architecture.content_id}")
    return found


def _values(table: Any, name: str, where: Path) -> list[Any]:
    values = table.column(name).to_pylist()
    if None in values:
        raise SourceError(f"{where}: row {values.index(None) + 2} has no {name}")
    return values


def _about_signals(names: list[str], kind: str | None) -> bool:
    if kind is not None:
        return kind == "signals"
    signals = {"mse", "frequency", "amplitude"} & set(names)
    return bool(signals) and not {"test_accuracy", "train_accuracy"} & set(names)
