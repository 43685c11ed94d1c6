"""Compile a generated network once and call it.

The library lies in the cache folder under the hash of everything that made it: source, headers,
flags, compiler and processor. Its name is part of the numeric platform.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from ctypes import POINTER, Structure, c_double, c_int32, c_int64, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoogen.cache import cache_root, exclusive
from zoogen.description import Architecture
from zoogen.errors import PlanError
from zoogen.train.job import Precision
from zoogen.train.native.source import write

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
FLAGS = (
    "-std=gnu++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast", "-shared", "-fPIC",
)  # fmt: skip
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


@functools.cache
def compiler() -> str | None:
    """The C++ compiler's path: $CXX, or what the system calls c++, g++ or clang++."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    return next((found for name in names if (found := shutil.which(name))), None)


@functools.cache
def compiler_version() -> str:
    """First line of `--version`: part of the numeric platform."""
    return _ask("--version").splitlines()[0]


@functools.cache
def machine_flags() -> str:
    """What -march=native means here: every macro that the compiler defines for it."""
    text = _ask("-march=native", "-dM", "-E", "-x", "c++", os.devnull)
    return "\n".join(sorted(text.splitlines()))


def _ask(*arguments: str) -> str:
    path = compiler()
    if path is None:
        raise PlanError(
            "engine native wants a C++ compiler and found none (c++, g++ or clang++): install "
            "one, set CXX, or use --engine vmap"
        )
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=True).stdout


def lanes_for(precision: Precision, *, narrow: bool) -> int:
    """Vector width in entries: 64-byte registers where there are some, half for small batches.

    Raises:
        PlanError: there is no compiler that could tell.
    """
    width = 16 if "__AVX512F__" in machine_flags() else 8
    if narrow:
        width = 8
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
    path = build(source, precision=precision, lanes=lanes)
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


def build(source: str, *, precision: Precision, lanes: int) -> Path:
    """Compile into the cache folder; the file appears whole or not at all.

    Raises:
        PlanError: there is no compiler, or it failed; what it said is in the message.
    """
    real = "float" if precision == "float32" else "double"
    defines = (f"-DREAL={real}", f"-DLANES={lanes}")
    headers = "".join(header.read_text() for header in sorted(HERE.glob("*.hpp")))
    key = (source, headers, FLAGS, defines, compiler_version(), machine_flags(), platform.machine())
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:20]
    target = cache_root() / "native" / f"{digest}.so"
    if target.exists():
        return target
    # Workers start together: one compiles, the others wait for it.
    with exclusive(target.with_suffix(".lock"), waiting="compiling the training code"):
        if not target.exists():
            log.info("compiling the training code for this processor (once, some seconds)")
            _compile(source, defines, target)
    return target


def _compile(source: str, defines: tuple[str, ...], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="compiling-") as folder:
        text, binary = Path(folder) / "net.cpp", Path(folder) / "net.so"
        text.write_text(source)
        path = str(compiler())
        command = [path, *FLAGS, *defines, f"-I{HERE}", str(text), "-o", str(binary)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PlanError(
                f"{path} could not compile the training code (exit {done.returncode}); use "
                f"--engine vmap. It said: {done.stderr.strip()[:500]}"
            )
        binary.replace(target)
