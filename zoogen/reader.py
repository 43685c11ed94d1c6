"""Zoos in Python: `open_zoo(path)`, then columns as tables and weights as numpy arrays.

Nothing is read before it is asked for. Damage is found by `python -m zoogen.verify`, which reads
every byte; reading here trusts the shards, whose writing was whole or not at all.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from zoogen.architecture_file import read_architectures
from zoogen.bounds import open_parquet
from zoogen.continuation import read_plans
from zoogen.description import CONFIG_PREFIX, Architecture
from zoogen.entry import ShardEntry
from zoogen.errors import ShardError, ZooError
from zoogen.grouping import ShardSpec, blocks
from zoogen.manifest import Manifest, read_manifest
from zoogen.networks import Checkpoint, Networks, Selection
from zoogen.plan import Plan
from zoogen.schema import WEIGHTS, Column, columns, schema
from zoogen.store import Store, open_store


@dataclass(frozen=True, kw_only=True, eq=False)
class Zoo:
    """A zoo that can be read."""

    store: Store
    plans: tuple[Plan, ...]
    """The first one, and one for each time the zoo was continued."""
    manifest: Manifest | None
    """None for a zoo that is still being made."""
    shards: tuple[ShardEntry, ...]
    architectures: Mapping[str, Architecture]
    """By content id, which the column `arch` holds."""

    @property
    def plan(self) -> Plan:
        """The plan of the first members: recipe, data, architecture, seed."""
        return self.plans[0]

    @property
    def complete(self) -> bool:
        """Whether all members of the plans are there."""
        return self.manifest is not None and self.manifest.plans == self.plans

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns with type, meaning and unit."""
        return columns(self.plan)

    def __len__(self) -> int:
        """Networks, each counted once whatever its checkpoints and status."""
        return sum(entry.networks for entry in self.shards)

    def __repr__(self) -> str:
        plan = self.plan
        state = "" if self.complete else ", not complete"
        return f"Zoo({self.store.uri}: {len(self)} × {plan.family} on {plan.dataset}{state})"

    def networks(
        self,
        *,
        checkpoint: Checkpoint = "last",
        split: str | None = None,
        status: Sequence[str] | None = ("ok",),
        arch: str | None = None,
    ) -> Networks:
        """Choose networks; nothing is read yet.

        Args:
            checkpoint: `last` (of each network), `all`, or an epoch.
            split: train, val or test; None: all.
            status: which of ok, diverged and unfitted; None: all.
            arch: content id, for a zoo of several architectures.

        Raises:
            ZooError: a split, status, epoch or architecture that the zoo cannot have.
        """
        self._check("split", split, ("train", "val", "test"))
        self._check("arch", arch, tuple(self.architectures))
        for name in status or ():
            self._check("status", name, ("ok", "diverged", "unfitted"))
        if isinstance(checkpoint, int):
            self._check("checkpoint", checkpoint, self.plan.checkpoints)
        else:
            self._check("checkpoint", checkpoint, ("last", "all"))
        return Networks(
            store=self.store,
            shards=self.shards,
            selection=Selection(
                checkpoint=checkpoint,
                split=split,
                status=None if status is None else tuple(status),
                arch=arch,
            ),
            lengths={name: a.parameters for name, a in self.architectures.items()},
            schema=schema(self.plan).remove_metadata(),
        )

    def table(self, columns: Sequence[str] | None = None, **selection: Any) -> Any:
        """A `pyarrow.Table` of some networks: `networks(**selection).table(columns)`."""
        return self.networks(**selection).table(columns)

    def weights(self, **selection: Any) -> Float[np.ndarray, "n p"]:
        """The weights of some networks: `networks(**selection).weights()`."""
        return self.networks(**selection).weights()

    def row(self, member: int, epoch: int | None = None) -> dict[str, Any]:
        """One network at one checkpoint, by default its last; `weights` as a numpy array.

        Raises:
            ZooError: there is no such network or checkpoint.
        """
        shard = self._shard_of(member)
        chosen = self.networks(checkpoint="last" if epoch is None else "all", status=None)
        for batch in replace(chosen, shards=(shard,)).batches(chosen.schema.names):
            at = batch.column("member").to_numpy() == member
            if epoch is not None:
                at &= batch.column("epoch").to_numpy() == epoch
            for i in np.flatnonzero(at).tolist():
                light = batch.drop_columns([WEIGHTS]).slice(i, 1).to_pylist()[0]
                weights = batch.column(WEIGHTS)[i].values.to_numpy(zero_copy_only=True)
                return {**light, WEIGHTS: weights}
        raise ZooError(f"{self.store.uri}: network {member} has no checkpoint {epoch}")

    def to_module(self, row: Mapping[str, Any]) -> Any:
        """A ready `torch.nn.Module` for a row: of `row`, or a table's `to_pylist()`.

        A row without weights has them read by its `member` and `epoch`.
        """
        if WEIGHTS not in row:
            row = self.row(row["member"], row.get("epoch"))
        config = {
            name.removeprefix(CONFIG_PREFIX): value
            for name, value in row.items()
            if name.startswith(CONFIG_PREFIX) and value is not None
        }
        # By name, so that the contract has no import of torch in it.
        archs = importlib.import_module("zoogen.archs")
        weights = np.asarray(row[WEIGHTS], dtype=np.float32)
        return archs.to_module(self.architectures[row["arch"]], weights, config)

    def _shard_of(self, member: int) -> ShardEntry:
        entries = {entry.name: entry for entry in self.shards}
        for plan in self.plans:
            if plan.first <= member < plan.stop:
                for spec in self._specs_around(plan, member):
                    if member in spec.members and spec.name in entries:
                        return entries[spec.name]
        raise ZooError(f"{self.store.uri} has no network {member}; it holds {len(self)}")

    def _specs_around(self, plan: Plan, member: int) -> Iterator[ShardSpec]:
        """Some of a plan's shards, the member's among them: its block's, where all are listed.

        Blocks are whole shards, so the networks listed before a block tell its first number, and
        no other block has to be drawn.
        """
        block = next(b for b in blocks(plan.first, plan.stop) if member in b)
        before = plan.first
        for number in range(plan.first_part, len(self.shards) if self.complete else 0):
            if before == block.start:
                return plan.block_shards(block, number)
            before += self.shards[number].networks
        return plan.shards()

    def _check(self, what: str, value: Any, known: Sequence[Any]) -> None:
        if value is not None and value not in known:
            names = ", ".join(str(k) for k in known)
            raise ZooError(f"{self.store.uri} has no {what} {value!r}; there are: {names}")


def open_zoo(path: str | Path, partial: bool = False) -> Zoo:
    """Open a zoo in a folder or on an object store.

    Args:
        path: a folder, or `s3://bucket/prefix`.
        partial: True reads the whole shards of a zoo that is still being made.

    Raises:
        ShardError: no zoo there, not complete, of another version, or shards are missing.
    """
    store = open_store(path)
    manifest = read_manifest(store)
    plans = read_plans(store) if manifest is None or partial else manifest.plans
    if not plans:
        raise ShardError(f"{store.uri} is no zoo: it has no plan.json")
    there = {name for name in store.list("shards") if name.endswith(".parquet")}
    if manifest is None and not partial:
        raise ShardError(
            f"{store.uri} is not complete: {len(there)} of {sum(p.shard_count() for p in plans)} "
            "shards are there. Run the command that makes it again to finish it, or read what "
            "there is with open_zoo(…, partial=True)"
        )
    listed = manifest.shards if manifest is not None else ()
    missing = [entry.name for entry in listed if entry.name not in there]
    if missing:
        raise ShardError(
            f"{store.uri}: {len(missing)} of {len(listed)} shards of the manifest are missing: "
            f"{', '.join(missing[:5])}; run the command that made the zoo again"
        )
    more = _unlisted(store, plans, there - {e.name for e in listed}) if partial else ()
    return Zoo(
        store=store,
        plans=plans,
        manifest=manifest,
        shards=(*listed, *more),
        architectures=read_architectures(store),
    )


def _unlisted(store: Store, plans: Sequence[Plan], names: set[str]) -> tuple[ShardEntry, ...]:
    """Entries of shards that no manifest lists yet, without their hash, which nothing here uses."""
    found: list[ShardEntry] = []
    for spec in (spec for plan in plans for spec in plan.shards() if spec.name in names):
        with store.open(spec.name) as file:
            rows = open_parquet(file).metadata.num_rows
            size = file.size()
        # No counts by status: rows are looked at when they are chosen.
        entry = ShardEntry(
            name=spec.name,
            rows=rows,
            networks=len(spec.members),
            status={},
            bytes=size,
            sha256="",
        )
        found.append(entry)
    return tuple(found)
