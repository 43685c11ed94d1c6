"""One line of a manifest: a shard that is whole."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardEntry:
    """A whole shard, as the manifest lists it."""

    name: str
    rows: int
    networks: int
    status: Mapping[str, int]
    """How many networks ended with which status."""
    bytes: int
    sha256: str
    platform: str | None = None
    """JSON of the platform it was made on, if that is not the plan's."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ShardEntry":
        """The inverse of `to_json`."""
        return cls(**value)
