"""The compiled blocks for one width and number of heads, and their functions."""

import ctypes
import functools
import logging
from collections.abc import Callable, Mapping
from ctypes import POINTER, c_int64, c_void_p
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch import Tensor

from sne.zoo import CompileError, build, widest_lanes

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
LANES = (16, 8)
"""Numbers in a vector that the code can be compiled for."""
Block: TypeAlias = Literal["sab", "numbers", "pma"]
POINTERS: Mapping[Block, tuple[int, int]] = {"sab": (11, 16), "numbers": (10, 15), "pma": (7, 11)}
"""Tensors that `forward` and `backward` of each block take, as blocks.cpp says."""


class Shape(ctypes.Structure):
    """`Shape` of tiles.hpp: sets of so many elements."""

    _fields_ = (("sets", c_int64), ("size", c_int64))


class Library:
    """The functions of blocks.cpp, on tensors; other threads run while they do."""

    def __init__(self, path: Path) -> None:
        code = ctypes.CDLL(str(path))
        self._stats, self._scratch = code.stats_numbers, code.scratch_numbers
        self._stats.restype = self._scratch.restype = c_int64
        self._stats.argtypes, self._scratch.argtypes = [c_int64], [POINTER(Shape)]
        self._forward, self._backward = (
            {
                block: _function(code, f"{block}_{way}", counts[i])
                for block, counts in POINTERS.items()
            }
            for i, way in enumerate(("forward", "backward"))
        )

    def stats(self, size: int) -> int:
        """Numbers that are kept of the attention of each set of so many elements."""
        return self._stats(size)

    def scratch(self, shape: Shape) -> int:
        """Numbers of memory for the time of a call."""
        return self._scratch(shape)

    def forward(self, block: Block, shape: Shape, *tensors: Tensor | None) -> None:
        """See blocks.cpp."""
        self._forward[block](shape, *map(_address, tensors))

    def backward(self, block: Block, shape: Shape, *tensors: Tensor | None) -> None:
        """See blocks.cpp."""
        self._backward[block](shape, *map(_address, tensors))


@functools.cache
def load(*, width: int, heads: int) -> Library | None:
    """The library, compiled if the cache has none (some seconds); None where there can be none.

    A head must be whole vectors wide, and there must be a C++ compiler.
    """
    try:
        fitting = [n for n in LANES if n <= widest_lanes() and width // heads % n == 0]
        if not fitting:
            return None
        defines = (f"-DWIDTH={width}", f"-DHEADS={heads}", f"-DLANES={fitting[0]}")
        source = (HERE / "blocks.cpp").read_text(encoding="utf-8")
        return Library(build(source, what="attention code", defines=defines, include=(HERE,)))
    except (CompileError, OSError) as error:
        log.warning("attention runs by torch's own operations, more slowly: %s", error)
        return None


def _function(code: ctypes.CDLL, name: str, tensors: int) -> Callable[..., None]:
    function: Any = getattr(code, name)
    function.restype, function.argtypes = None, [POINTER(Shape), *[c_void_p] * tensors]
    return function


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
