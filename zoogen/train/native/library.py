"""A generated network as a compiled library, and its functions."""

import ctypes
import functools
from collections.abc import Mapping
from ctypes import POINTER, Structure, c_double, c_int32, c_int64, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoogen.description import Architecture
from zoogen.errors import CompileError, PlanError
from zoogen.native_code.build import build, widest_lanes
from zoogen.train.job import Precision
from zoogen.train.native.source import write

HERE = Path(__file__).parent
ALIGNMENT = 64
"""Bytes; a vector of the widest registers."""
REALS: Mapping[Precision, type[ctypes.c_float] | type[ctypes.c_double]] = {
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}


class MemberStruct(Structure):
    """`Member` of stages.hpp."""

    _fields_ = (
        ("weights", c_void_p), ("first_moment", c_void_p), ("second_moment", c_void_p),
        ("learning_rate", c_double), ("l2", c_double), ("weight_decay", c_double),
        ("beta1", c_double), ("beta2", c_double), ("epsilon", c_double),
        ("optimizer", c_int32), ("activation", c_int32),
        ("key0", c_uint32), ("key1", c_uint32), ("dropout_threshold", c_uint32),
        ("reserved", c_uint32),
    )  # fmt: skip


def images_struct(precision: Precision) -> type[Structure]:
    """`Images` of train.hpp."""
    real = REALS[precision]

    class ImagesStruct(Structure):
        _fields_ = (
            ("pixels", c_void_p), ("labels", c_void_p), ("wide", c_int32), ("reserved", c_int32),
            ("scale", real * 4), ("shift", real * 4),
        )  # fmt: skip

    return ImagesStruct


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Library:
    """A loaded network: its functions, the vector width and the size of its buffers."""

    functions: ctypes.CDLL
    lanes: int
    units: int
    """Buffer entries for each image."""
    precision: Precision

    def workspace(self, groups: int) -> np.ndarray:
        """Aligned scratch memory for tiles of so many groups."""
        return aligned(self.functions.zoo_workspace(groups), np.uint8)


def aligned(count: int, dtype: type[np.generic]) -> np.ndarray:
    """Uninitialised array whose data begin at a multiple of `ALIGNMENT` bytes."""
    size = np.dtype(dtype).itemsize
    block = np.empty(count * size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + count * size].view(dtype)


def lanes_for(precision: Precision, *, narrow: bool) -> int:
    """Vector width in entries: 64-byte registers where there are some, half for small batches.

    Raises:
        PlanError: there is no compiler that could tell.
    """
    width = 8 if narrow else widest_lanes()
    return width if precision == "float32" else width // 2


def load(arch: Architecture, *, precision: Precision, narrow: bool = False) -> Library:
    """The library for one architecture, compiled if the cache has none (2 to 5 s).

    Args:
        narrow: batches of at most 8 images, which would leave half of a wide register empty.

    Raises:
        PlanError: there is no compiler, or it failed.
    """
    return _load(write(arch), precision, lanes_for(precision, narrow=narrow))


@functools.cache
def _load(source: str, precision: Precision, lanes: int) -> Library:
    path = build_network(source, precision=precision, lanes=lanes)
    functions = ctypes.CDLL(str(path))
    functions.zoo_workspace.restype = c_int64
    functions.zoo_workspace.argtypes = [c_int64]
    functions.zoo_units.restype = functions.zoo_lanes.restype = c_int64
    functions.zoo_train_images.restype = c_double
    functions.zoo_train_images.argtypes = [
        c_void_p, POINTER(MemberStruct), c_void_p, c_int64, c_int64, c_int64, c_int64, c_void_p,
    ]  # fmt: skip
    functions.zoo_score_images.restype = None
    functions.zoo_score_images.argtypes = [
        c_void_p, POINTER(MemberStruct), c_void_p, c_int64, c_int64, c_void_p,
        POINTER(c_double), POINTER(c_int64),
    ]  # fmt: skip
    functions.zoo_fit_signal.restype = c_int64
    functions.zoo_fit_signal.argtypes = [
        POINTER(MemberStruct), c_void_p, c_void_p, c_int64, c_int64, c_double, c_int64, c_void_p,
        POINTER(c_double),
    ]  # fmt: skip
    return Library(
        functions=functions, lanes=lanes, units=functions.zoo_units(), precision=precision
    )


def build_network(source: str, *, precision: Precision, lanes: int) -> Path:
    """Compile a network, or find it compiled.

    Raises:
        PlanError: there is no compiler, or it failed; what it said is in the message.
    """
    real = "float" if precision == "float32" else "double"
    defines = (f"-DREAL={real}", f"-DLANES={lanes}")
    try:
        return build(source, what="training code", defines=defines, include=(HERE,))
    except CompileError as error:
        raise PlanError(f"engine native: {error}; or use --engine vmap") from error
