"""Some networks of a zoo: chosen by checkpoint, split and status, read when they are asked for.

Tables and weights come in the same order: shards as listed, rows by (member, epoch). A shard at a
time is in memory, besides what is returned; several are read at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Integer

from zoogen.bounds import open_parquet
from zoogen.entry import ShardEntry
from zoogen.errors import ShardError, ZooError
from zoogen.pages import Run, plain_rows
from zoogen.schema import WEIGHTS
from zoogen.store import Store

Checkpoint: TypeAlias = Literal["last", "all"] | int
Result = TypeVar("Result")
READERS = 4
"""Shards read at once: an object store answers each request after a while only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which rows of a zoo are meant."""

    checkpoint: Checkpoint = "last"
    """`last`: each network's last row, whatever its status. A number: the rows of that epoch."""
    split: str | None = None
    status: tuple[str, ...] | None = ("ok",)
    """Of the rows chosen by checkpoint; None: any."""
    arch: str | None = None

    def columns(self, entry: ShardEntry) -> list[str]:
        """What has to be read of a shard to know its rows; none if all are meant."""
        needs = {
            "member": self.checkpoint == "last" and entry.rows != entry.networks,
            "epoch": isinstance(self.checkpoint, int),
            "split": self.split is not None,
            "status": not self._any_status(entry),
            "arch": self.arch is not None,
        }
        return [name for name, needed in needs.items() if needed]

    def _any_status(self, entry: ShardEntry) -> bool:
        if self.status is None:
            return True
        # Rows before a network's last one are `ok`, whatever its end.
        return bool(entry.status) and {"ok", *entry.status} <= set(self.status)

    def mask(self, table: Any) -> Bool[np.ndarray, " rows"]:
        """Which rows of a shard are meant."""
        chosen = np.ones(table.num_rows, dtype=bool)
        if "member" in table.column_names:
            members = table.column("member").to_numpy()
            chosen[:-1] = members[1:] != members[:-1]
        if "epoch" in table.column_names:
            chosen &= table.column("epoch").to_numpy() == self.checkpoint
        wanted = {"split": (self.split,), "status": self.status, "arch": (self.arch,)}
        for name in wanted.keys() & set(table.column_names):
            allowed = wanted[name] or ()
            chosen &= [value in allowed for value in table.column(name).to_pylist()]
        return chosen


@dataclass(frozen=True, kw_only=True, eq=False)
class Networks:
    """A selection of a zoo's rows; nothing but row numbers is kept between calls."""

    store: Store
    shards: tuple[ShardEntry, ...]
    selection: Selection
    lengths: Mapping[str, int]
    """Length of the weights of each architecture, by content id."""
    schema: Any
    """The `pyarrow.Schema` of the zoo's rows."""
    _rows: list[Integer[np.ndarray, " chosen"]] = field(default_factory=list, init=False)

    def __len__(self) -> int:
        """Rows: networks, unless all checkpoints were asked for."""
        return sum(rows.size for rows in self._chosen())

    def __repr__(self) -> str:
        return f"Networks({self.selection} of {self.store.uri})"

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """One `pyarrow.Table` for each shard, one shard at a time in memory."""
        names = self._names(columns)
        for entry, rows in zip(self.shards, self._chosen(), strict=True):
            yield self._table(names, (entry, rows))

    def table(self, columns: Sequence[str] | None = None) -> Any:
        """All rows as one `pyarrow.Table`; without weights unless `columns` names them."""
        names = self._names(columns)
        work = list(zip(self.shards, self._chosen(), strict=True))
        empty = pa.schema([self.schema.field(name) for name in names]).empty_table()
        return pa.concat_tables([empty, *_at_once(partial(self._table, names), work)])

    def column(self, name: str) -> Any:
        """One column as a numpy array, in the order of `weights`; null becomes NaN."""
        return self.table([name]).column(name).to_numpy()

    def weights(self) -> Float[np.ndarray, "n p"]:
        """The networks' weights, each as long as the description says, buffers last.

        Raises:
            ZooError: networks of different length; choose an architecture first.
        """
        length = self._length()
        chosen = self._chosen()
        out = np.empty((sum(rows.size for rows in chosen), length), dtype=np.float32)
        ends = list(accumulate(rows.size for rows in chosen))
        parts = [out[end - rows.size : end] for rows, end in zip(chosen, ends, strict=True)]
        _at_once(self._fill, list(zip(self.shards, chosen, parts, strict=True)))
        return out

    def _length(self) -> int:
        arch = self.selection.arch
        lengths = {self.lengths[arch]} if arch is not None else set(self.lengths.values())
        if len(lengths) != 1:
            raise ZooError(
                f"the networks have {sorted(lengths)} weights: choose one architecture with "
                f"arch=…, one of {', '.join(self.lengths)}"
            )
        return next(iter(lengths))

    def _chosen(self) -> list[Integer[np.ndarray, " chosen"]]:
        """Row numbers for each shard, read once."""
        if not self._rows:
            self._rows.extend(_at_once(self._choose, list(self.shards)))
        return self._rows

    def _choose(self, entry: ShardEntry) -> Integer[np.ndarray, " chosen"]:
        needed = self.selection.columns(entry)
        if not needed:
            return np.arange(entry.rows)
        with _opened(self.store, entry) as (_, parquet):
            table = parquet.read(columns=needed, use_threads=False)
        return np.flatnonzero(self.selection.mask(table))

    def _names(self, columns: Sequence[str] | None) -> list[str]:
        known = self.schema.names
        if columns is None:
            return [name for name in known if name != WEIGHTS]
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise ZooError(f"{self.store.uri} has no column {unknown[0]!r}; there are: {known}")
        return list(columns)

    def _table(self, names: list[str], work: tuple[ShardEntry, Integer[np.ndarray, " n"]]) -> Any:
        entry, rows = work
        with _opened(self.store, entry) as (_, parquet):
            # Metadata repeats the plan for each shard: one copy is enough, and the zoo has it.
            table = parquet.read(columns=names, use_threads=False).replace_schema_metadata(None)
        if missing := [name for name in names if name not in table.column_names]:
            raise ShardError(f"{self.store.uri}/{entry.name} lacks the column {missing[0]!r}")
        table = table.select(names)  # in the order asked for
        return table if rows.size == table.num_rows else table.take(rows)

    def _fill(
        self, work: tuple[ShardEntry, Integer[np.ndarray, " n"], Float[np.ndarray, "n p"]]
    ) -> None:
        entry, rows, out = work
        with _opened(self.store, entry) as (file, parquet):
            first = 0
            for group in range(parquet.metadata.num_row_groups):
                stop = first + parquet.metadata.row_group(group).num_rows
                low, high = np.searchsorted(rows, (first, stop)).tolist()
                if low < high:
                    _fill_group(file, parquet, group, rows[low:high] - first, out[low:high])
                first = stop


class _opened:
    """A shard's file and its Parquet reader, and errors that name it."""

    def __init__(self, store: Store, entry: ShardEntry) -> None:
        self._where, self._store, self._name = f"{store.uri}/{entry.name}", store, entry.name

    def __enter__(self) -> tuple[Any, Any]:
        try:
            self._file = self._store.open(self._name)
        except FileNotFoundError as error:
            raise ShardError(f"{self._where} is missing; run the command that made it") from error
        except OSError as error:
            raise ShardError(f"{self._where} cannot be opened: {error}") from error
        try:
            parquet = open_parquet(self._file)
        except (OSError, pa.ArrowException, ValueError) as error:
            self._file.close()
            raise ShardError(f"{self._where} is damaged: {error}") from error
        return self._file, parquet

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._file.close()
        if isinstance(error, OSError | pa.ArrowException):
            raise ShardError(f"{self._where} is damaged: {error}") from error


def _fill_group(
    file: Any,
    parquet: Any,
    group: int,
    rows: Integer[np.ndarray, " n"],
    out: Float[np.ndarray, "n p"],
) -> None:
    """Copy the weights of some rows of a row group, numbered from its first."""
    metadata = parquet.metadata.row_group(group)
    chunk = metadata.column(metadata.num_columns - 1)
    # Lists of different lengths could hold so many values by chance.
    even = pa.types.is_fixed_size_list(parquet.schema_arrow.field(WEIGHTS).type)
    plain = plain_rows(file, chunk, values=metadata.num_rows * out.shape[1]) if even else None
    if plain is not None:
        plain.copy(_runs(rows), out)
        return
    column = parquet.read_row_group(group, columns=[WEIGHTS], use_threads=False).column(0)
    column = column.take(rows) if rows.size != metadata.num_rows else column
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=True)
    if flat.size != out.size:
        raise ZooError(f"wanted networks with {out.shape[1]} weights each, got {flat.size} in all")
    out[:] = flat.reshape(out.shape)


def _runs(rows: Integer[np.ndarray, " n"]) -> list[Run]:
    """Ascending row numbers as runs of consecutive ones."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    firsts, lasts = rows[np.append(0, breaks)], rows[np.append(breaks - 1, rows.size - 1)]
    return list(zip(firsts.tolist(), (lasts + 1).tolist(), strict=True))


def _at_once(function: Callable[[Any], Result], work: Sequence[Any]) -> list[Result]:
    if len(work) < 2:
        return [function(item) for item in work]
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        return list(pool.map(function, work))
