"""Tables that come with a source: read, and ordered into a listing's rows."""

from collections.abc import Sequence
from pathlib import Path
from reprlib import repr
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from jaxtyping import Integer

from zoogen.bounds import read_gzip
from zoogen.description import CONFIG_PREFIX
from zoogen.errors import SourceError
from zoogen.typed import MISUSED

DATASETS = {
    "svhn_cropped": "svhn",
    "fashion-mnist": "fashion_mnist",
    "fashionmnist": "fashion_mnist",
    "fmnist": "fashion_mnist",
    "cifar-10": "cifar10",
}
"""Names of data sets in the field's files, and what `--dataset` calls them."""
LAST_EPOCH = 2**31 - 1
MEASURED = (
    "train_accuracy", "test_accuracy", "train_loss", "test_loss", "generalization_gap", "mse",
    "frequency", "amplitude",
)  # fmt: skip


def read_csv(path: Path, *, compressed: bool = False) -> Any:
    """A CSV file, plain or gzip, as a `pyarrow.Table`; an empty cell is null.

    Raises:
        SourceError: it is missing or damaged.
    """
    convert = pa_csv.ConvertOptions(strings_can_be_null=True)
    try:
        text = pa.BufferReader(read_gzip(path)) if compressed else str(path)
        table = pa_csv.read_csv(text, convert_options=convert)
        names = table.schema.names  # decoded only now
        plain = [_plain(table.column(i)) for i in range(table.num_columns)]
    except (OSError, pa.ArrowException, ValueError) as error:
        raise SourceError(f"{path} cannot be read as a CSV file: {error}") from error
    if double := [name for name in names if names.count(name) > 1]:
        raise SourceError(f"{path} has several columns named {double[0]!r}")
    return pa.Table.from_arrays(plain, names=names)


def want_columns(table: Any, wanted: Sequence[str], path: Path) -> None:
    """Refuse a table without these columns.

    Raises:
        SourceError: one is missing, named with those that there are.
    """
    missing = [name for name in wanted if name not in table.schema.names]
    if missing:
        raise SourceError(
            f"{path} lacks the column {missing[0]!r}; it has {', '.join(table.schema.names)}"
        )


def want_numbers(table: Any, path: Path) -> None:
    """Refuse a table whose measurements are not numbers.

    Raises:
        SourceError: one is not; empty cells are allowed.
    """
    for name in set(MEASURED) & set(table.schema.names):
        kind = table.schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise SourceError(
                f"{path}: the column {name!r} should hold numbers, or nothing where nothing was "
                f"measured; it holds {kind}"
            )


def ordered(
    columns: dict[str, Any], *, network: Sequence[Any], epoch: Sequence[Any], where: Path
) -> tuple[Any, Integer[np.ndarray, " n"]]:
    """The rows of a listing: networks numbered, rows sorted by (member, epoch).

    Args:
        columns: everything but `member` and `epoch`, by name.
        network: what tells each row's network from others; whole numbers 0 … n-1 are kept as they
            are, others are numbered as they first come.
        epoch: of each row.
        where: for messages.

    Returns:
        The table, and for each of its rows the number of the row that it was.

    Raises:
        SourceError: a network has two rows for one epoch.
    """
    epoch = [whole(each, "an epoch", where) for each in epoch]
    if beyond := [each for each in epoch if not 0 <= each <= LAST_EPOCH]:
        raise SourceError(f"{where}: an epoch is from 0 to {LAST_EPOCH}, got {beyond[0]}")
    first = {key: number for number, key in enumerate(dict.fromkeys(network))}
    if set(first) == set(range(len(first))):
        first = {key: key for key in first}
    member = np.array([first[key] for key in network], dtype=np.int64)
    epochs = np.asarray(epoch, dtype=np.int32)
    order = np.lexsort((epochs, member))
    member, epochs = member[order], epochs[order]
    double = np.flatnonzero((member[1:] == member[:-1]) & (epochs[1:] == epochs[:-1]))
    if double.size:
        key = network[int(order[double[0]])]
        raise SourceError(f"{where}: network {key} has two rows for epoch {epochs[double[0]]}")
    table = pa.table(columns).take(pa.array(order))
    table = table.add_column(0, "epoch", pa.array(epochs)).add_column(0, "member", pa.array(member))
    if "split" in table.schema.names:
        _check_splits(table, where)
    return table, order


def whole(value: Any, what: str, path: Path) -> int:
    """A whole number of a file, which may be written as 3.0 or as text.

    Raises:
        SourceError: it is none.
    """
    try:
        found = int(value)
    except MISUSED as error:
        raise SourceError(f"{path}: {what} should be a whole number, got {repr(value)}") from error
    if isinstance(value, float) and found != value:
        raise SourceError(f"{path}: {what} should be a whole number, got {value}")
    return found


def plain_column(values: Sequence[Any]) -> Any:
    """Python values as one Arrow array; mixed kinds, and numbers beyond 64 bits, become text."""
    kinds = {type(value) for value in values if value is not None}
    large = any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in values)
    if kinds <= {int, float} and float in kinds and not large:
        return pa.array([None if v is None else float(v) for v in values], type=pa.float64())
    if len(kinds) > 1 or large:
        return pa.array([None if v is None else str(v) for v in values], type=pa.string())
    return pa.array(values) if kinds else pa.array(values, type=pa.float64())


def as_config(name: str) -> str:
    """The listing's column for a source's: a measurement keeps its name."""
    return name if name in MEASURED or name.startswith(CONFIG_PREFIX) else CONFIG_PREFIX + name


def canonical_dataset(name: str) -> str:
    """What `--dataset` calls a data set."""
    low = name.lower()
    return DATASETS.get(low, low)


def constant(table: Any, name: str) -> str | None:
    """The one value of a text column; None if there is no such column, or several values."""
    if name not in table.schema.names:
        return None
    values = set(table.column(name).to_pylist())
    value = values.pop() if len(values) == 1 else None
    return value if isinstance(value, str) else None


def _check_splits(table: Any, where: Path) -> None:
    split: dict[int, str] = {}
    pairs = zip(table.column("member").to_pylist(), table.column("split").to_pylist(), strict=True)
    for member, name in pairs:
        if name not in ("train", "val", "test"):
            raise SourceError(f"{where}: a split is train, val or test, got {name!r}")
        if split.setdefault(member, name) != name:
            raise SourceError(
                f"{where}: network {member} is in {split[member]} and in {name}: all checkpoints "
                "of a network belong to one split"
            )


def _plain(column: Any) -> Any:
    """Text, truth or number; what CSV readers take for dates is text."""
    kind = column.type
    simple = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if pa.types.is_null(kind):
        return column.cast(pa.float64())
    return column if simple else column.cast(pa.string())
