"""`manifest.json`: written last and in one step, so that its presence means the zoo is complete.

It repeats the plans and lists every shard with its rows and SHA-256, the columns with meaning and
unit, and summaries. It holds nothing that depends on time, host or attempt.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoogen import __version__
from zoogen.entry import ShardEntry
from zoogen.errors import ShardError
from zoogen.json_text import parse_json
from zoogen.plan import FORMAT_VERSION, Plan, check_format
from zoogen.schema import columns
from zoogen.store import Store
from zoogen.summary import summarise
from zoogen.typed import MISUSED, checked

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A complete zoo in a few kilobytes, and a line for each shard."""

    plans: tuple[Plan, ...]
    shards: tuple[ShardEntry, ...]
    summary: Mapping[str, Any]
    """Networks and rows, counted by status and split; quantiles of what the zoo is judged by."""
    code_version: str = __version__

    @property
    def text(self) -> str:
        """Canonical JSON."""
        return json.dumps(self.to_json(), sort_keys=True, indent=1, ensure_ascii=False) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `manifest.json` holds them."""
        return {
            "format": FORMAT_VERSION,
            "code_version": self.code_version,
            "plans": [plan.to_json() for plan in self.plans],
            "shards": [entry.to_json() for entry in self.shards],
            "columns": [column.to_json() for column in columns(self.plans[0])],
            "summary": dict(self.summary),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Manifest":
        """The inverse of `to_json`.

        Raises:
            ShardError: another format version, or fields missing.
        """
        check_format(value)
        try:
            manifest = cls(
                plans=tuple(Plan.from_json(plan) for plan in value["plans"]),
                shards=tuple(ShardEntry.from_json(entry) for entry in value["shards"]),
                summary=value["summary"],
                code_version=value["code_version"],
            )
            return checked(manifest)
        except MISUSED as error:
            raise ShardError(f"the manifest lacks or misuses a field: {error}") from error


def write_manifest(
    store: Store, *, plans: Sequence[Plan], entries: Iterable[ShardEntry]
) -> Manifest:
    """Complete a zoo: check that no shard is missing, summarise, write.

    Args:
        store: of the zoo.
        plans: all of its plans, oldest first.
        entries: one for each shard, in any order, doubles allowed if equal.

    Raises:
        ShardError: shards are missing or not of these plans.
    """
    found: dict[str, ShardEntry] = {}
    for entry in entries:
        if found.setdefault(entry.name, entry) != entry:
            raise ShardError(f"{entry.name} was made twice with different bytes")
    wanted = [spec.name for plan in plans for spec in plan.shards()]
    missing = [name for name in wanted if name not in found]
    if missing or len(found) != len(wanted):
        raise ShardError(
            f"{store.uri} has {len(found)} of {len(wanted)} shards; "
            f"missing: {', '.join(missing[:5]) or 'none'}"
        )
    shards = tuple(found[name] for name in wanted)
    manifest = Manifest(
        plans=tuple(plans), shards=shards, summary=summarise(store, plans[0], shards)
    )
    store.put(MANIFEST_NAME, manifest.text.encode())
    return manifest


def read_manifest(store: Store) -> Manifest | None:
    """The manifest; None for a zoo that is not complete.

    Raises:
        ShardError: it is damaged or of another version.
    """
    try:
        return Manifest.from_json(parse_json(store.read(MANIFEST_NAME)))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ShardError(f"{store.uri}/{MANIFEST_NAME} is no JSON: {error}") from error
    except ShardError as error:
        raise ShardError(f"{store.uri}/{MANIFEST_NAME}: {error}") from error
