"""Model zoos: make them, read them, check them. Importing this loads neither torch nor Ray."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoogen.reader import open_zoo

__version__ = "0.1.0"
__all__ = ["__version__", "open_zoo"]


def __getattr__(name: str) -> Any:
    """`open_zoo` is loaded on first use, so that `import zoogen` loads no Parquet library."""
    if name == "open_zoo":
        from zoogen.reader import open_zoo

        return open_zoo
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
