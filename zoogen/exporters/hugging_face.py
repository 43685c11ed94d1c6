"""A zoo as a data set folder for the Hugging Face hub: Parquet by split, and a card that says all.

`datasets.load_dataset(FOLDER)` reads it offline; the folder can be uploaded as it is. Rows keep the
zoo's columns. The card names the provenance of networks and images with their licences; a zoo made
here has no licence until its publisher chooses one, so its card says `other`.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoogen.architecture_file import ARCHITECTURES_NAME
from zoogen.exporters.place import Report
from zoogen.exporters.provenance import network_licence, provenance
from zoogen.listing import PARTS
from zoogen.manifest import MANIFEST_NAME
from zoogen.reader import Zoo
from zoogen.schema import Column

SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""The zoo's split, and what the hub calls it."""
FILE_BYTES = 400_000_000
"""A split's files are closed beyond it."""
LICENCES = {"CC BY 4.0": "cc-by-4.0"}
"""The hub's identifiers of licences that published zoos have."""
HUNDREDS = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


def export(zoo: Zoo, folder: Path, report: Report) -> None:
    """Write the folder."""
    (folder / "data").mkdir()
    counts = dict.fromkeys(SPLITS, 0)
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(_Files(folder / "data", hub, zoo))
            for split, hub in SPLITS.items()
        }
        chosen = zoo.networks(checkpoint="all", status=None)
        for done, batch in enumerate(chosen.batches(chosen.schema.names), start=1):
            for split, writer in writers.items():
                mask = [name == split for name in batch.column("split").to_pylist()]
                if any(mask):
                    writer.write(batch.filter(pa.array(mask)))
                    counts[split] += sum(mask)
            report("shards exported", done, len(zoo.shards))
    for plan in zoo.plans:
        (folder / plan.name).write_text(plan.text, encoding="utf-8")
    for name in (ARCHITECTURES_NAME, MANIFEST_NAME, *zoo.store.list(PARTS)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(zoo.store.read(name))
    (folder / "README.md").write_text(card(zoo, counts), encoding="utf-8")


class _Files:
    """The Parquet files of one split, opened with the first row, closed when large."""

    def __init__(self, folder: Path, name: str, zoo: Zoo) -> None:
        self._folder, self._name = folder, name
        self._schema = pa.schema([column.field for column in zoo.columns])
        self._writer: Any = None
        self._number = self._bytes = 0

    def write(self, table: Any) -> None:
        if self._writer is None:
            path = self._folder / f"{self._name}-{self._number:05d}.parquet"
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._writer.write_table(table.cast(self._schema))
        self._bytes += table.nbytes
        if self._bytes > FILE_BYTES:
            self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer, self._bytes = None, 0
            self._number += 1

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


def card(zoo: Zoo, counts: dict[str, int]) -> str:
    """README.md with the hub's metadata.

    Args:
        zoo: what was exported.
        counts: rows by the zoo's splits; those without rows have no file.
    """
    title = f"Model zoo: {zoo.plan.family} on {zoo.plan.dataset}"
    facts = "\n".join(f"- **{what}**: {said}" for what, said in provenance(zoo))
    notes = "".join(f"- {note}\n" for note in (zoo.plan.origin.notes if zoo.plan.origin else ()))
    shown = [(SPLITS[s], f"{n:,}") for s, n in counts.items() if n]
    splits = "\n".join(f"| {name} | {n} |" for name, n in shown)
    columns = "\n".join(_column_line(column) for column in zoo.columns)
    return "\n".join(
        [
            *_front(zoo, title, counts),
            f"# {title}\n",
            f"{title}. One row is one network at one checkpoint, its weights as one flat list.\n",
            f"## Provenance and licences\n\n{facts}\n{notes}",
            "Whoever publishes this folder chooses the licence of the networks; what the images' "
            "licence asks of networks trained on them is for the publisher to judge.\n"
            if network_licence(zoo.plan) is None
            else "",
            f"## Splits\n\n| split | rows |\n| --- | --- |\n{splits}\n",
            "## Columns\n\n| column | type | meaning | unit |\n| --- | --- | --- | --- |",
            f"{columns}\n",
            f"{READING}",
        ]
    )


READING = """\
## Reading it

```python
import datasets

zoo = datasets.load_dataset("FOLDER_OR_REPOSITORY", split="train")
```

`architectures.parquet` describes each architecture under the id in the column `arch`: names, shapes
and places of the tensors in `weights`, the layers, and which neurons may be permuted.
"""


def _front(zoo: Zoo, title: str, counts: dict[str, int]) -> Iterator[str]:
    """The YAML block."""
    licence = network_licence(zoo.plan)
    rows = sum(counts.values())
    size = next((name for limit, name in HUNDREDS if rows < limit), "n>1M")
    yield "---"
    yield f'pretty_name: "{title}"'
    yield f"license: {LICENCES.get(licence or '', 'other')}"
    yield "task_categories:\n- tabular-regression"
    yield "tags:\n- model-zoo\n- weight-space-learning"
    yield f"size_categories:\n- {size}"
    yield "configs:\n- config_name: default\n  data_files:"
    for split, hub in SPLITS.items():
        if counts[split]:
            yield f"  - split: {hub}\n    path: data/{hub}-*.parquet"
    yield "---\n"


def _column_line(column: Column) -> str:
    return f"| `{column.name}` | {column.type} | {column.meaning} | {column.unit} |"
