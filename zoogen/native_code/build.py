"""Compile C++ once for this processor.

A library lies in the cache folder under the hash of everything that made it: source, headers,
flags, compiler and processor.
"""

import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from zoogen.cache import cache_root, exclusive
from zoogen.errors import CompileError

log = logging.getLogger(__name__)
HEADERS = Path(__file__).parent
FLAGS = (
    "-std=gnu++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast", "-shared", "-fPIC",
)  # fmt: skip


@functools.cache
def compiler() -> str | None:
    """The C++ compiler's path: $CXX, or what the system calls c++, g++ or clang++."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    return next((found for name in names if (found := shutil.which(name))), None)


@functools.cache
def compiler_version() -> str:
    """First line of `--version`: part of the numeric platform.

    Raises:
        CompileError: there is no compiler.
    """
    return _ask("--version").splitlines()[0]


@functools.cache
def machine_flags() -> str:
    """What -march=native means here: every macro that the compiler defines for it.

    Raises:
        CompileError: there is no compiler.
    """
    text = _ask("-march=native", "-dM", "-E", "-x", "c++", os.devnull)
    return "\n".join(sorted(text.splitlines()))


def widest_lanes() -> int:
    """Numbers in float32 that a vector should hold: 16 where registers of 64 bytes are.

    Raises:
        CompileError: there is no compiler.
    """
    return 16 if "__AVX512F__" in machine_flags() else 8


def _ask(*arguments: str) -> str:
    path = compiler()
    if path is None:
        raise CompileError(
            "wanted a C++ compiler and found none (c++, g++ or clang++): install one or set CXX"
        )
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=True).stdout


def build(source: str, *, what: str, defines: Sequence[str], include: Sequence[Path] = ()) -> Path:
    """Compile into the cache folder; the file appears whole or not at all.

    Args:
        what: the code's name, for messages.
        include: folders of headers beside those of this package.

    Raises:
        CompileError: there is no compiler, or it failed; what it said is in the message.
    """
    folders = (*include, HEADERS)
    headers = "".join(h.read_text() for folder in folders for h in sorted(folder.glob("*.hpp")))
    key = (source, headers, FLAGS, tuple(defines), compiler_version(), machine_flags())
    digest = hashlib.sha256(repr((*key, platform.machine())).encode()).hexdigest()[:20]
    target = cache_root() / "native" / f"{digest}.so"
    if target.exists():
        return target
    # Processes start together: one compiles, the others wait for it.
    with exclusive(target.with_suffix(".lock"), waiting=f"compiling the {what}"):
        if not target.exists():
            log.info("compiling the %s for this processor (once, some seconds)", what)
            options = [*FLAGS, *defines, *(f"-I{folder}" for folder in folders)]
            _compile(source, options, target, what)
    return target


def _compile(source: str, options: Sequence[str], target: Path, what: str) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="compiling-") as folder:
        text, binary = Path(folder) / "code.cpp", Path(folder) / "code.so"
        text.write_text(source)
        path = str(compiler())
        command = [path, *options, str(text), "-o", str(binary)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileError(
                f"{path} could not compile the {what} (exit {done.returncode}). "
                f"It said: {done.stderr.strip()[:500]}"
            )
        binary.replace(target)
