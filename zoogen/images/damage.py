"""One sentence for a damaged file, whatever the library that met the damage had to say."""

from pathlib import Path

from zoogen.errors import DataError, first_line


def not_whole(path: Path | str, kind: str, error: Exception) -> DataError:
    """The error for a file that should be a `kind` and cannot be read as one."""
    return DataError(f"{path} is not a whole {kind} ({first_line(error)}): fetch it again")
