"""A zoo's rows, one after the other, with their weights; a shard at a time is in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from zoogen.exporters.place import Report
from zoogen.reader import Zoo
from zoogen.rows import starts_of
from zoogen.schema import WEIGHTS


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ZooRow:
    """One network at one checkpoint."""

    values: dict[str, Any]
    """Every column but the weights."""
    weights: Float32[np.ndarray, " p"]


def zoo_rows(zoo: Zoo, report: Report) -> Iterator[ZooRow]:
    """All rows of a zoo, in its order."""
    chosen = zoo.networks(checkpoint="all", status=None)
    done, total = 0, sum(entry.rows for entry in zoo.shards)
    for batch in chosen.batches(chosen.schema.names):
        column = batch.column(WEIGHTS).combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=True)
        starts = starts_of(column)
        stops = np.append(starts[1:], flat.size)
        light = batch.drop_columns([WEIGHTS]).to_pylist()
        for values, start, stop in zip(light, starts.tolist(), stops.tolist(), strict=True):
            yield ZooRow(values=values, weights=flat[start:stop])
        done += batch.num_rows
        report("rows exported", done, total)
