"""What a complete zoo's manifest says in numbers: counts, quantiles of the final checkpoints."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from zoogen.entry import ShardEntry
from zoogen.plan import Plan
from zoogen.store import Store

QUANTILES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
ALL = "all"


def judged_by(plan: Plan) -> str:
    """The column that tells a good network from a bad one."""
    return "test_accuracy" if plan.kind == "images" else "mse"


def summarise(store: Store, plan: Plan, shards: Iterable[ShardEntry]) -> dict[str, Any]:
    """Counts of networks by status and split, and quantiles of the measure by split.

    Each network counts with its last checkpoint; quantiles are over those that were measured. Two
    numbers for each network are kept, so ten thousand networks take some hundred kilobytes.
    """
    metric = judged_by(plan)
    counts: dict[str, Counter[str]] = {}
    values: dict[str, list[float]] = {}
    rows = networks = 0
    for entry in shards:
        rows, networks = rows + entry.rows, networks + entry.networks
        for split, status, value in _final_rows(store, entry.name, metric):
            for name in (split, ALL):
                counts.setdefault(name, Counter())[status] += 1
                if value is not None:
                    values.setdefault(name, []).append(value)
    return {
        "networks": networks,
        "rows": rows,
        "status": {name: dict(sorted(count.items())) for name, count in sorted(counts.items())},
        "final": {
            "column": metric,
            "quantiles": {name: _quantiles(found) for name, found in sorted(values.items())},
        },
    }


def _final_rows(store: Store, name: str, metric: str) -> Iterator[tuple[str, str, float | None]]:
    """Split, status and measure of each network's last checkpoint in a shard."""
    with store.open(name) as source:
        file = pq.ParquetFile(source)
        # A quarter of the time of `read_table`, which sets up a data set for each file.
        table = file.read(columns=["member", "split", "status", metric], use_threads=False)
    members = table.column("member").to_numpy()
    last = np.flatnonzero(np.append(members[1:] != members[:-1], True))
    columns = (table.take(last).column(c).to_pylist() for c in ("split", "status", metric))
    return zip(*columns, strict=True)


def _quantiles(values: list[float]) -> dict[str, float]:
    found = np.quantile(np.array(values), QUANTILES)
    return {f"{q:g}": float(f"{v:.6g}") for q, v in zip(QUANTILES, found, strict=True)}
