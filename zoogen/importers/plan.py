"""From a listing to the plan of its zoo: what `zoogen.run` takes from a recipe, from a source."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from zoogen.description import CONFIG_PREFIX
from zoogen.errors import SourceError
from zoogen.grouping import ShardRule
from zoogen.images.catalog import IMAGE_SETS
from zoogen.importers.fingerprint import Fingerprint
from zoogen.importers.source import Listing
from zoogen.origin import Origin
from zoogen.plan import ColumnType, Plan
from zoogen.platforms import Platform
from zoogen.recipe import Shares

SHARD_RULE = ShardRule(members=1024)
"""Shards are closed by their bytes: nothing is trained that could be lost."""
OFFICIAL: Mapping[str, Mapping[str, Any]] = {
    "mnist": {"train_size": 60_000, "test_size": 10_000, "chance_accuracy": 1135 / 10_000},
    "fashion_mnist": {"train_size": 60_000, "test_size": 10_000, "chance_accuracy": 0.1},
    "cifar10": {"train_size": 50_000, "test_size": 10_000, "chance_accuracy": 0.1},
    "svhn": {"train_size": 73_257, "test_size": 26_032, "chance_accuracy": 5099 / 26_032},
}
"""Official sizes, and the share of the commonest test label."""


def plan_of(listing: Listing, found: Fingerprint, *, format_name: str, seed: int) -> Plan:
    """The plan of a converted zoo.

    Args:
        listing: what the source says.
        found: of the source's files.
        format_name: what `--format` calls it.
        seed: of the split, where it is by shares.

    Raises:
        SourceError: the source has no network.
    """
    table = listing.table
    if not table.num_rows:
        raise SourceError(f"{listing.family}: the source holds no network, so there is no zoo")
    epochs = sorted(pc.unique(table.column("epoch")).to_pylist())  # pyright: ignore[reportAttributeAccessIssue]
    archs = listing.architectures
    split = split_shares(table) if listing.split == "source" else listing.shares
    return Plan(
        kind=listing.kind,
        recipe={"kind": "converted", "name": format_name, "draws": dict(listing.draws)},
        data=data_of(listing),
        architecture=archs[0].content_id if len(archs) == 1 else None,
        family=listing.family,
        parameters=max(a.parameters for a in archs),
        seed=seed,
        stop=table.column("member")[-1].as_py() + 1,
        epochs=epochs[-1],
        checkpoints=tuple(epochs),
        shares=(split.train, split.val, split.test),
        config_columns=config_types(table.schema),
        member_core_seconds=0.0,
        group_size=1,
        shard_rule=SHARD_RULE,
        platform=platform(),
        origin=Origin(
            format=format_name,
            credit=listing.credit,
            licence=listing.licence,
            content_hash=found.content_hash,
            files=found.files,
            file_count=found.file_count,
            bytes=found.bytes,
            split=listing.split,
            meanings=listing.meanings,
            notes=listing.notes,
        ),
    )


def data_of(listing: Listing) -> dict[str, Any]:
    """What is known of the images or signals."""
    if listing.data.get("name") == listing.dataset:
        return dict(listing.data)
    known = IMAGE_SETS.get(listing.dataset)
    licence = known.licence if known else "not stated by the source"
    if listing.kind == "signals" and known is None:
        licence = "none: computed" if listing.dataset == "sine" else licence
    return {"name": listing.dataset, "licence": licence, **OFFICIAL.get(listing.dataset, {})}


def platform() -> Platform:
    """Nothing is computed, so bytes depend on what writes Parquet alone."""
    return Platform(
        device="none",
        engine="converted",
        threads=1,
        torch="none",
        numpy="none",
        pyarrow=version("pyarrow"),
    )


def config_types(schema: Any) -> dict[str, ColumnType]:
    """The configuration columns of a listing, without prefix, by name."""
    names = sorted(name for name in schema.names if name.startswith(CONFIG_PREFIX))
    return {n.removeprefix(CONFIG_PREFIX): _column_type(schema.field(n).type) for n in names}


def _column_type(kind: Any) -> ColumnType:
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int"
    return "float" if pa.types.is_floating(kind) else "string"


def split_shares(table: Any) -> Shares:
    """The source's splits in tenths, as near as tenths come; the rows have the exact ones.

    A split that has a network has a tenth at least.
    """
    pairs = zip(table.column("member").to_pylist(), table.column("split").to_pylist(), strict=True)
    counts = Counter(dict(pairs).values())
    total = counts.total()
    tenths = {s: 10 * counts[s] / total for s in ("train", "val", "test")}
    found = {s: max(int(t), int(t > 0)) for s, t in tenths.items()}
    while sum(found.values()) != 10:
        more = sum(found.values()) < 10
        # The split that is furthest from its exact share gives or takes a tenth.
        rest = {s: (tenths[s] - n) if more else (n - tenths[s]) for s, n in found.items()}
        if not more:
            rest = {s: r for s, r in rest.items() if found[s] > 1}
        found[max(rest, key=lambda s: rest[s])] += 1 if more else -1
    return replace(Shares(train=10, val=0, test=0), **found)
