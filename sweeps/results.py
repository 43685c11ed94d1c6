"""Results as files: for each trial its figures, predictions, curves, and where it ran.

A results folder holds, for each trial, named by its hash:

results/HASH.parquet      figures in long form, one row for each figure; written last, so its
                          presence means that the trial is done
predictions/HASH.parquet  what was predicted for each tested network
curves/HASH.parquet       losses by epoch; absent for models that are fitted at once
where/HASH.json           machine, time, command, paths

Every file is whole or absent. Nothing in the first three depends on machine, path or time but the
column `seconds`. `docs/results-format.md` fixes the columns; other modules read results through
this one alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from sne.files import read_json, sweep, write_json, write_table
from sweeps.errors import ResultsError
from zoogen.bounds import read_parquet
from zoogen.errors import first_line

FORMAT_VERSION = 1
FORMAT_KEY = b"zooscope.results"
RESULTS, PREDICTIONS, CURVES, WHERE = "results", "predictions", "curves", "where"
VOLATILE = ("seconds",)
"""Columns of the figures that differ between two runs of one trial."""

Status: TypeAlias = Literal["ok", "not trained enough", "n/a"]
OK: Status = "ok"
UNTRAINED: Status = "not trained enough"
NOT_APPLICABLE: Status = "n/a"

ZOO = pa.struct(
    [
        pa.field("hash", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("family", pa.string(), nullable=False),
        pa.field("recipe", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
    ]
)
FIGURES = pa.schema(
    [
        pa.field("trial", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("train_zoos", pa.list_(pa.field("element", ZOO)), nullable=False),
        pa.field("test_zoo", ZOO),
        pa.field("split", pa.string(), nullable=False),
        pa.field("target", pa.string(), nullable=False),
        pa.field("checkpoints", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("level", pa.float64()),
        pa.field("method", pa.string(), nullable=False),
        pa.field("n_networks", pa.int64(), nullable=False),
        pa.field("n_train", pa.int64(), nullable=False),
        pa.field("dropped", pa.int64(), nullable=False),
        pa.field("tied", pa.float64()),
        pa.field("tie_ceiling", pa.float64()),
        pa.field("epochs", pa.int64(), nullable=False),
        pa.field("steps", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("best_epoch", pa.int64(), nullable=False),
        pa.field("parameters", pa.int64(), nullable=False),
        pa.field("unseen", pa.list_(pa.field("element", pa.string())), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("protocol_version", pa.int64(), nullable=False),
        pa.field("code_version", pa.string(), nullable=False),
        pa.field("config", pa.string(), nullable=False),
    ],
    metadata={FORMAT_KEY: str(FORMAT_VERSION).encode()},
)
"""Columns of results/HASH.parquet; what each means stands in docs/results-format.md."""
PREDICTED = ("zoo", "member", "epoch", "arch", "split", "status", "target", "prediction")
"""Columns of predictions/HASH.parquet; of categories also `probabilities`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ZooLabel:
    """A zoo, wherever it lies."""

    hash: str
    dataset: str
    family: str
    recipe: str
    seed: int

    def __str__(self) -> str:
        return f"{self.dataset} × {self.family}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the struct columns hold them."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ZooLabel":
        """The inverse of `to_json`."""
        return cls(**value)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrialResult:
    """All that a trial found out."""

    trial: str
    """The trial's hash."""
    figures: Sequence[Mapping[str, Any]]
    """Rows of FIGURES, at least one."""
    predictions: Any = None
    """A `pyarrow.Table` with the columns PREDICTED; None: the model could take no zoo."""
    curves: Sequence[Mapping[str, float | int | None]] = ()
    """One row for each epoch, as `sne.fit` gives them."""
    where: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Machine, times, command, paths: for people, never for tables."""


def write_result(folder: Path, result: TrialResult) -> None:
    """Keep a trial's result; its figures come last.

    Raises:
        DataError: the place refuses it (full, read-only, no permission).
    """
    if result.predictions is not None:
        write_table(_path(folder, PREDICTIONS, result.trial), result.predictions)
    if result.curves:
        curves = pa.Table.from_pylist([dict(row) for row in result.curves])
        write_table(_path(folder, CURVES, result.trial), curves)
    write_json(folder / WHERE / f"{result.trial}.json", dict(result.where))
    table = pa.Table.from_pylist([dict(row) for row in result.figures], schema=FIGURES)
    write_table(_path(folder, RESULTS, result.trial), table)


def finished(folder: Path) -> frozenset[str]:
    """Hashes of the trials that are done."""
    return frozenset(path.stem for path in (folder / RESULTS).glob("*.parquet"))


def read_results(folder: Path, trials: Sequence[str] | None = None) -> Any:
    """The figures of all trials as one `pyarrow.Table`, in the order of FIGURES.

    Args:
        folder: a results folder.
        trials: hashes, in the order wanted; None: all that are there, by hash.

    Raises:
        ResultsError: the folder is missing or empty, a file is damaged or of another format, or a
            trial has no result.
    """
    there = finished(folder)
    if not there:
        raise ResultsError(
            f"{folder} holds no results: a sweep writes them, for example `python -m "
            f"sweeps.ablation --out {folder}`"
        )
    wanted = sorted(there) if trials is None else list(trials)
    if not wanted:
        raise ResultsError(f"none of the {len(there)} trials in {folder} is of this sweep")
    if missing := [trial for trial in wanted if trial not in there]:
        raise ResultsError(
            f"{folder} has no result of {len(missing)} trials ({', '.join(missing[:3])}): the same "
            "sweep again goes on with them"
        )
    return pa.concat_tables([_read_figures(folder, trial) for trial in wanted])


def read_predictions(folder: Path, trial: str) -> Any:
    """What a trial predicted, one row for each tested network; None if it could take none.

    Raises:
        ResultsError: the file is damaged.
    """
    return _read_optional(_path(folder, PREDICTIONS, trial))


def read_curves(folder: Path, trial: str) -> Any:
    """A trial's losses, one row for each epoch; None for a model that is fitted at once.

    Raises:
        ResultsError: the file is damaged.
    """
    return _read_optional(_path(folder, CURVES, trial))


def read_where(folder: Path, trial: str) -> Mapping[str, Any]:
    """Where and when a trial ran, and by which command; empty if that was not kept."""
    path = folder / WHERE / f"{trial}.json"
    return read_json(path) if path.exists() else {}


def sweep_temporary(folder: Path) -> None:
    """Remove what killed writers left."""
    for name in (RESULTS, PREDICTIONS, CURVES, WHERE):
        sweep(folder / name)


def zoos_of(figures: Any) -> tuple[ZooLabel, ...]:
    """All zoos that figures name, trained on first, each once."""
    trained = [zoo for zoos in figures.column("train_zoos").to_pylist() for zoo in zoos]
    tested = [zoo for zoo in figures.column("test_zoo").to_pylist() if zoo is not None]
    return tuple(dict.fromkeys(ZooLabel.from_json(zoo) for zoo in (*trained, *tested)))


def zoo_names(zoos: Sequence[ZooLabel]) -> dict[str, str]:
    """A short name for each zoo by its hash; recipe, seed and hash are added where zoos share it.

    For example `svhn × arch2`, and for two of these `svhn × arch2, quick, seed 0`.
    """
    names: dict[str, str] = {}
    for zoo in zoos:
        fuller = (f"{zoo}", f"{zoo}, {zoo.recipe}", f"{zoo}, {zoo.recipe}, seed {zoo.seed}")
        names[zoo.hash] = next(
            (name for level, name in enumerate(fuller) if _is_alone(zoo, zoos, level)),
            f"{fuller[-1]} ({zoo.hash[:8]})",
        )
    return names


def _is_alone(zoo: ZooLabel, zoos: Sequence[ZooLabel], level: int) -> bool:
    def key(z: ZooLabel) -> tuple[object, ...]:
        return (z.dataset, z.family, z.recipe, z.seed)[: 2 + level]

    return not any(key(other) == key(zoo) and other.hash != zoo.hash for other in zoos)


def _path(folder: Path, part: str, trial: str) -> Path:
    return folder / part / f"{trial}.parquet"


def _read_figures(folder: Path, trial: str) -> Any:
    path = _path(folder, RESULTS, trial)
    table = _read(path)
    found = (table.schema.metadata or {}).get(FORMAT_KEY, b"none").decode()
    if found != str(FORMAT_VERSION):
        raise ResultsError(
            f"{path} has results format {found}, this version reads {FORMAT_VERSION}: move it "
            "away and the same sweep makes it anew"
        )
    return table


def _read_optional(path: Path) -> Any:
    return _read(path) if path.exists() else None


def _read(path: Path) -> Any:
    try:
        return read_parquet(path)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise ResultsError(
            f"{path} is damaged ({first_line(error)}): remove it and the same sweep makes it anew"
        ) from error
