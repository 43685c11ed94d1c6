"""Paths that a person named: on a command line, in a variable."""

from pathlib import Path

from zoogen.errors import PlanError


def named_path(path: Path) -> Path:
    """The path from the root; `~` is a home, symbolic links are kept.

    Raises:
        PlanError: it is nobody's home, or no path at all.
    """
    if "\0" in str(path):
        raise PlanError(f"{str(path)!r} is no path: it holds a zero byte")
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise PlanError(f"{path} cannot be found: {error}; write the whole path") from error
