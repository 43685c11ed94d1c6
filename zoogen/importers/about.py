"""`zoo.json`: what an exported folder says of its zoo, so that provenance survives the way back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoogen.errors import SourceError
from zoogen.json_text import parse_json

ABOUT = "zoo.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """Everything that the format itself has no place for; None where nothing is said."""

    credit: str | None = None
    licence: str | None = None
    kind: str | None = None
    """images or signals."""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Identity of the images or signals, as the plan holds it."""

    @property
    def text(self) -> str:
        """The file."""
        known = {"credit": self.credit, "licence": self.licence, "kind": self.kind}
        return json.dumps({**known, "data": dict(self.data)}, indent=1, ensure_ascii=False) + "\n"


def read_about(folder: Path) -> About:
    """What the folder says of itself.

    Raises:
        SourceError: the file is damaged.
    """
    path = folder / ABOUT
    if not path.is_file():
        return About()
    try:
        found = parse_json(path.read_bytes())
        about = About(**found)
    except (OSError, ValueError, TypeError) as error:
        raise SourceError(f"{path} is not what zoogen.export writes: {error}") from error
    texts = (about.credit, about.licence, about.kind)
    if not all(t is None or isinstance(t, str) for t in texts) or not _is_data(about.data):
        raise SourceError(
            f"{path} is not what zoogen.export writes: wanted texts, and data by name"
        )
    return about


def about_paths(folder: Path) -> tuple[Path, ...]:
    """The file, if it is there."""
    path = folder / ABOUT
    return (path,) if path.is_file() else ()


def _is_data(data: Any) -> bool:
    return isinstance(data, dict) and (not data or isinstance(data.get("name"), str))
