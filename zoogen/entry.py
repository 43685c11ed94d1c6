"""One line of a manifest: a shard that is whole."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_NAME = re.compile(r"shards/part-\d{5,}\.parquet")


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
        """The inverse of `to_json`.

        Raises:
            ValueError: the name is not that of a shard, for instance leads out of the zoo.
        """
        if not _NAME.fullmatch(value["name"]):
            raise ValueError(f"a shard is shards/part-NNNNN.parquet, got {value['name']!r}")
        return cls(**value)
