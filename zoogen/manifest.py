"""`manifest.json`: written last and in one step, so that its presence means the zoo is complete.

It repeats the plans and lists every shard with its rows and SHA-256, the columns with meaning and
unit, and summaries; where there are very many shards, it lists them in parts (`listing`). It holds
nothing that depends on time, host or attempt.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoogen import __version__
from zoogen.entry import ShardEntry
from zoogen.errors import ShardError
from zoogen.json_text import parse_json
from zoogen.listing import SPLIT_VERSION, Part, cut, read_parts, sweep_parts
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
        """Canonical JSON of `manifest.json`."""
        return self._text(self.parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The files beside `manifest.json` that list the shards; none unless these are many."""
        return tuple(part for part, _ in cut(self.shards))

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `manifest.json` holds them."""
        return self._to_json(self.parts)

    def write(self, store: Store) -> None:
        """Put the parts, then `manifest.json` in one step, then remove parts of older manifests.

        Raises:
            ShardError: the store is full.
        """
        parts: list[Part] = []
        for part, data in cut(self.shards):
            store.put(part.name, data)
            parts.append(part)
        store.put(MANIFEST_NAME, self._text(parts).encode())
        sweep_parts(store, parts)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], *, store: Store | None = None) -> "Manifest":
        """The inverse of `to_json`.

        Args:
            value: of `manifest.json`.
            store: of the zoo, where parts are read; without parts it is not needed.

        Raises:
            ShardError: another format version, fields missing, or a part is not what it was.
        """
        check_format(value, known=(FORMAT_VERSION, SPLIT_VERSION))
        try:
            manifest = cls(
                plans=tuple(Plan.from_json(plan) for plan in value["plans"]),
                shards=_shards(value, store),
                summary=value["summary"],
                code_version=value["code_version"],
            )
            return checked(manifest)
        except MISUSED as error:
            raise ShardError(f"the manifest lacks or misuses a field: {error}") from error

    def _text(self, parts: Sequence[Part]) -> str:
        value = self._to_json(parts)
        return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"

    def _to_json(self, parts: Sequence[Part]) -> dict[str, Any]:
        listed = (
            {"format": SPLIT_VERSION, "parts": [part.to_json() for part in parts]}
            if parts
            else {"format": FORMAT_VERSION, "shards": [entry.to_json() for entry in self.shards]}
        )
        return {
            **listed,
            "code_version": self.code_version,
            "plans": [plan.to_json() for plan in self.plans],
            "columns": [column.to_json() for column in columns(self.plans[0])],
            "summary": dict(self.summary),
        }


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
    manifest.write(store)
    return manifest


def read_manifest(store: Store) -> Manifest | None:
    """The manifest; None for a zoo that is not complete.

    Raises:
        ShardError: it is damaged or of another version.
    """
    try:
        return Manifest.from_json(parse_json(store.read(MANIFEST_NAME)), store=store)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ShardError(f"{store.uri}/{MANIFEST_NAME} is no JSON: {error}") from error
    except ShardError as error:
        raise ShardError(f"{store.uri}/{MANIFEST_NAME}: {error}") from error


def _shards(value: Mapping[str, Any], store: Store | None) -> tuple[ShardEntry, ...]:
    """Those that the manifest lists itself, or in its parts."""
    if value["format"] != SPLIT_VERSION:
        return tuple(ShardEntry.from_json(entry) for entry in value["shards"])
    if store is None:
        raise ShardError("the manifest lists its shards in parts: open the zoo that it is of")
    return read_parts(store, [checked(Part.from_json(part)) for part in value["parts"]])
