"""Networks of a zoo in memory: weights by architecture, and what is known of each network.

A selection is read once, shard by shard, into one float32 matrix for each architecture. Nothing is
scaled or learnt here.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int

from sne.errors import DataError
from sne.model import ACTIVATIONS, own_activations
from sne.zoo import RECIPES, Architecture, Zoo, open_zoo

Nonfinite: TypeAlias = Literal["drop", "error"]
WEIGHTS = "weights"
ROW_COLUMNS = ("member", "epoch", "arch", "split", "status")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Which:
    """Which networks of a zoo are meant, besides their split."""

    checkpoints: str = "last"
    """last (of each network), all, or an epoch."""
    status: tuple[str, ...] = ("ok",)
    """Of ok, diverged and unfitted."""
    nonfinite: Nonfinite = "drop"
    """What becomes of networks with a weight that is not finite."""

    def __post_init__(self) -> None:
        if self.checkpoints not in ("last", "all") and not self.checkpoints.isdecimal():
            raise DataError(
                f"--checkpoints is last, all or an epoch such as 15, got {self.checkpoints!r}"
            )

    @property
    def checkpoint(self) -> Any:
        """As the zoo's reader takes it."""
        return int(self.checkpoints) if self.checkpoints.isdecimal() else self.checkpoints


@dataclass(frozen=True, kw_only=True, slots=True)
class ZooIdentity:
    """What makes a zoo the zoo it is."""

    uri: str
    hash: str
    """Of the manifest: plans, shards and their checksums."""
    dataset: str
    family: str
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def shared_with(self, other: "ZooIdentity") -> str | None:
        """Why the two cannot be trusted to hold different networks; None if they can."""
        if self.hash == other.hash:
            return "it is the same zoo"
        if (self.dataset, self.family, self.seed) == (other.dataset, other.family, other.seed):
            return f"both are {self.dataset} × {self.family} of seed {self.seed}"
        return None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """Networks of one architecture."""

    architecture: Architecture
    weights: Float32[np.ndarray, "n p"]
    activations: Mapping[str, Int[np.ndarray, " n"]] = field(default_factory=dict[str, np.ndarray])
    """As `model.Group` has them."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Networks:
    """Chosen networks of one zoo."""

    identity: ZooIdentity
    parts: tuple[Part, ...]
    rows: Any
    """A `pyarrow.Table` of what is known of each network, in the order of the parts."""
    dropped: int = 0
    """Networks that were left out since a weight is not finite."""

    def __len__(self) -> int:
        return self.rows.num_rows

    def column(self, name: str) -> list[Any]:
        """One column; null is None."""
        return self.rows.column(name).to_pylist()

    @property
    def numbers(self) -> Int[np.ndarray, " n"]:
        """For each row the number of its network, from 0: equal for checkpoints of one network."""
        members = self.rows.column("member").to_numpy()
        return np.unique(members, return_inverse=True)[1].astype(np.int64)


def identify(zoo: Zoo) -> ZooIdentity:
    """The identity of an open zoo: of its manifest's bytes as they lie there.

    Not of what this version would write for it: a column's meaning may be told better some day,
    and the zoo is still the same.
    """
    done = zoo.manifest is not None
    data = zoo.store.read("manifest.json") if done else zoo.plan.text.encode()
    return ZooIdentity(
        uri=zoo.store.uri,
        hash=hashlib.sha256(data).hexdigest(),
        dataset=zoo.plan.dataset,
        family=zoo.plan.family,
        seed=zoo.plan.seed,
    )


def open_zoos(paths: Sequence[str]) -> tuple[Zoo, ...]:
    """Open each of them; the first that cannot be read says why (ZooError)."""
    return tuple(open_zoo(path) for path in paths)


def read_networks(
    zoo: Zoo, *, split: str | None, which: Which, columns: Sequence[str] = ()
) -> Networks:
    """Read networks with their weights.

    Args:
        zoo: an open zoo.
        split: train, val or test; None: all.
        which: checkpoints, status, and what becomes of weights that are not finite.
        columns: of the zoo, beyond those that name a row.

    Raises:
        DataError: weights that are not finite, where `which` wants an error.
        ZooError: the zoo has no such checkpoint or column, or cannot be read.
    """
    names = list(dict.fromkeys((*ROW_COLUMNS, *columns)))
    own = [name for a in zoo.architectures.values() for name in own_activations(a)]
    wanted = list(dict.fromkeys((*names, *own)))
    if len(zoo.architectures) == 1:
        found = _one_architecture(zoo, wanted, split, which)
    else:
        found = _many_architectures(zoo, wanted, split, which)
    parts, tables, dropped = [], [], 0
    for name, table, weights in found:
        finite = np.asarray(np.isfinite(weights).all(axis=1))
        if not finite.all():
            _complain(zoo, table, finite, which)
            dropped += int((~finite).sum())
            table, weights = table.filter(pa.array(finite)), weights[finite]
        if table.num_rows:
            architecture = zoo.architectures[name]
            activations = {
                column: activation_numbers(table.column(column).to_pylist())
                for column in own_activations(architecture)
            }
            parts.append(Part(architecture=architecture, weights=weights, activations=activations))
            tables.append(table.select(names))
    empty = zoo.networks(status=None).schema.empty_table().select(names)
    return Networks(
        identity=identify(zoo),
        parts=tuple(parts),
        rows=pa.concat_tables([empty, *tables]),
        dropped=dropped,
    )


def check_splits(zoo: Zoo) -> None:
    """Whether a zoo can be trained on.

    Raises:
        DataError: it has no training split; the sentence names recipes that have one.
    """
    if zoo.plan.shares[0]:
        return
    family = zoo.plan.family
    named = [name for name, r in RECIPES.items() if family in r.archs and r.shares.train]
    hint = f"; recipes for {family} with one: {', '.join(named)}" if named else ""
    raise DataError(
        f"{zoo.store.uri} has no training split, all its networks are for testing (recipe "
        f"{zoo.plan.recipe.get('name', '?')}): train on another zoo and evaluate on this one{hint}"
    )


def check_values(networks: Networks, column: str, *, what: str) -> None:
    """Whether every network has a value in the column.

    Raises:
        DataError: some have none; the sentence says how many, by status.
    """
    values = networks.column(column)
    missing = [i for i, v in enumerate(values) if v is None or v != v]  # noqa: PLR0124
    if missing:
        statuses = networks.column("status")
        counts = Counter(statuses[i] for i in missing)
        by_status = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        raise DataError(
            f"{networks.identity.uri}: {len(missing)} of {len(values)} {what} networks have no "
            f"{column} ({by_status}): leave them out with --status, or choose another --target"
        )


def activation_numbers(names: Sequence[str | None]) -> Int[np.ndarray, " n"]:
    """Places in `model.ACTIVATIONS`; -1 for one that is not among them."""
    known = {name: number for number, name in enumerate(ACTIVATIONS)}
    return np.array([known.get(name or "", -1) for name in names], dtype=np.int64)


def _one_architecture(
    zoo: Zoo, names: list[str], split: str | None, which: Which
) -> Iterator[tuple[str, Any, Float32[np.ndarray, "n p"]]]:
    chosen = zoo.networks(checkpoint=which.checkpoint, split=split, status=which.status)
    yield next(iter(zoo.architectures)), chosen.table(names), chosen.weights()


def _many_architectures(
    zoo: Zoo, names: list[str], split: str | None, which: Which
) -> Iterator[tuple[str, Any, Float32[np.ndarray, "n p"]]]:
    """By one pass over the shards, however many architectures there are."""
    chosen = zoo.networks(checkpoint=which.checkpoint, split=split, status=which.status)
    tables: dict[str, list[Any]] = {}
    weights: dict[str, list[np.ndarray]] = {}
    for batch in chosen.batches([*names, WEIGHTS]):
        for name, rows in _by_architecture(batch.column("arch").to_pylist()).items():
            own = batch.take(pa.array(rows))
            tables.setdefault(name, []).append(own.select(names))
            flat = own.column(WEIGHTS).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            weights.setdefault(name, []).append(flat.reshape(len(rows), -1))
    for name in zoo.architectures:
        if name in tables:
            yield name, pa.concat_tables(tables[name]), np.concatenate(weights[name])


def _by_architecture(names: Sequence[str]) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        found.setdefault(name, []).append(row)
    return found


def _complain(zoo: Zoo, table: Any, finite: np.ndarray, which: Which) -> None:
    first = table.column("member").to_pylist()[int(np.flatnonzero(~finite)[0])]
    count = int((~finite).sum())
    said = f"{zoo.store.uri}: {count} of {len(finite)} networks have a weight that is not finite"
    if which.nonfinite == "error":
        raise DataError(
            f"{said}, the first is member {first}: leave them out with --nonfinite drop"
        )
    log.warning("%s (the first is member %d): left out", said, first)
