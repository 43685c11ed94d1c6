"""The shards of a complete zoo: listed by `manifest.json` itself, or of a large zoo in parts.

A line is some 250 bytes, so 32,768 shards are 8 MB. Of a zoo with more of them `manifest.json`
names parts of so many lines each, with their SHA-256, and its format is 2: a reader of format 1
says that it cannot read it. Parts are named by their content, so those of an extended zoo lie
beside those of the old one until one write of `manifest.json` passes from the old to the new.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from zoogen.entry import ShardEntry
from zoogen.errors import ShardError
from zoogen.json_text import parse_json
from zoogen.store import Store

LISTED = 32_768
"""Most shards in `manifest.json`, and shards in each part but the last."""
SPLIT_VERSION = 2
"""Format of a manifest with parts; plans and shards of such a zoo are those of format 1."""
PARTS = "manifest"
_NAME = re.compile(PARTS + r"/part-\d{5}-[0-9a-f]{16}\.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One file of lines, as `manifest.json` names it."""

    name: str
    shards: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Part":
        """The inverse of `to_json`.

        Raises:
            ValueError: the name is not that of a part, for instance leads out of the zoo.
        """
        if not _NAME.fullmatch(value["name"]):
            raise ValueError(f"a part is {PARTS}/part-NNNNN-HASH.json, got {value['name']!r}")
        return cls(**value)


def cut(entries: Sequence[ShardEntry]) -> Iterator[tuple[Part, bytes]]:
    """The parts of a list of shards, with their bytes; none for a list that needs no parts."""
    if len(entries) <= LISTED:
        return
    rest = iter(entries)
    number = 0
    while lines := [entry.to_json() for entry in islice(rest, LISTED)]:
        data = (json.dumps(lines, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"{PARTS}/part-{number:05d}-{sha256[:16]}.json"
        yield Part(name=name, shards=len(lines), sha256=sha256), data
        number += 1


def read_parts(store: Store, parts: Iterable[Part]) -> tuple[ShardEntry, ...]:
    """The shards of all parts, in order.

    Raises:
        ShardError: a part is missing or is not what was written.
    """
    return tuple(entry for part in parts for entry in _read_part(store, part))


def sweep_parts(store: Store, parts: Iterable[Part]) -> None:
    """Remove the parts of older manifests."""
    kept = {part.name for part in parts}
    for name in list(store.list(PARTS)):
        if name not in kept:
            store.delete(name)


def _read_part(store: Store, part: Part) -> Iterator[ShardEntry]:
    try:
        data = store.read(part.name)
    except FileNotFoundError as error:
        raise ShardError(f"{part.name} is missing, which lists {part.shards:,} shards") from error
    found = hashlib.sha256(data).hexdigest()
    if found != part.sha256:
        raise ShardError(f"{part.name} is damaged: its SHA-256 is {found}, wanted {part.sha256}")
    lines = parse_json(data)
    if not isinstance(lines, list) or len(lines) != part.shards:
        raise ShardError(f"{part.name} does not list {part.shards:,} shards")
    return map(ShardEntry.from_json, lines)
