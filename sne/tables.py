"""Predictions as tables: one row for each network, so that every figure can be traced."""

from typing import Any

import numpy as np
import pyarrow as pa

from sne.pool import Pool
from sne.predict import Predictions, in_units
from sne.resampling import Networks
from sne.targets import Target


def predictions_table(target: Target, pool: Pool, predictions: Predictions) -> Any:
    """Who each network is, its target and its prediction, as a `pyarrow.Table`.

    Numbers are in the target's unit, or in log10 where it is predicted so (the columns' metadata
    say it). Of a category both are names, with the probability of each class beside them.
    """
    names = ("zoo", "member", "epoch", "arch", "split", "status")
    table = pool.rows.select(names)
    values = in_units(target, predictions.raw)
    meaning = {"target": target.column, "unit": "log10" if target.log10 else ""}
    if target.kind == "category":
        known = pool.rows.column(target.column).to_pylist()
        columns = {
            "target": pa.array([str(value) for value in known]),
            "prediction": pa.array([target.classes[i] for i in values.argmax(axis=1)]),
            "probabilities": pa.array(np.exp(values).tolist(), type=pa.list_(pa.float64())),
        }
    else:
        columns = {"target": pa.array(pool.target), "prediction": pa.array(values)}
    for name, column in columns.items():
        table = table.append_column(pa.field(name, column.type, metadata=meaning), column)
    return table


def number_networks(rows: Any) -> Networks | None:
    """For each row of a table the number of its network; None where each is one of its own."""
    zoos, members = rows.column("zoo").to_pylist(), rows.column("member").to_pylist()
    numbers: dict[tuple[str, int], int] = {}
    found = [numbers.setdefault(pair, len(numbers)) for pair in zip(zoos, members, strict=True)]
    return None if len(numbers) == len(found) else np.array(found, dtype=np.int64)
