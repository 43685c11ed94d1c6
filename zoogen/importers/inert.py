"""Classes of other projects inside pickled files, as records that hold data and can do nothing.

torch's own restricted unpickler (`weights_only=True`) refuses every name that it does not know. The
few that a published format needs are given to it here under their published names, but bound to
classes of this module: what a file calls is then one of these, never code of the file's choosing.
"""

from collections.abc import Callable, Mapping
from typing import Any


class Record:
    """An object of a pickled file: what it was called with, and its state."""

    # Of the class, since unpickling makes some objects without calling __init__.
    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), repr(self.arguments)))

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute of the object that was pickled."""
        return self.state.get(name, default) if isinstance(self.state, Mapping) else default


def names(*published: str) -> list[tuple[Callable[..., Any], str]]:
    """What torch's loader is told: each published name means a record, one class a name."""
    return [(type("Record", (Record,), {"published": name}), name) for name in published]


NUMPY = (
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
)
"""Arrays beside the tensors, whose values are not needed."""
PATHS = tuple(
    f"{module}.{kind}"
    for module in ("pathlib", "pathlib._local")
    for kind in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
)
