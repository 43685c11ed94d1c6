"""Where the networks of a converted zoo come from: part of its plan, in place of a recipe's draws.

A zoo that `zoogen.run` makes can be drawn anew from (seed, index); one that `zoogen.convert` makes
cannot. Its plan records what was converted instead, by content hash.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

SplitRule: TypeAlias = Literal["shares", "source"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What was converted."""

    format: str
    """What `--format` calls it."""
    credit: str
    """Who published it, as far as the format tells."""
    licence: str
    """Of the networks, where it is published; the images' own stands in the plan's data."""
    content_hash: str
    """SHA-256 over the names and the SHA-256 of all files that were read, in order of names."""
    files: Mapping[str, str]
    """SHA-256 by name, for a source of a few files; empty for one of many."""
    file_count: int
    bytes: int
    split: SplitRule
    """shares: by the plan's shares in each block of ten; source: as its files say."""
    meanings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Columns that mean something else than in other zoos: name → what."""
    notes: tuple[str, ...] = ()
    """One sentence for each thing that was concluded, changed or left out."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Origin":
        """The inverse of `to_json`."""
        return cls(**{**value, "notes": tuple(value["notes"])})
