"""The numeric platform: everything besides the plan that the bits of a network depend on.

Two runs of one plan give equal bytes if their platforms are equal. Nothing here imports torch for
a CPU platform: versions come from package metadata, the instruction set from the operating system.
"""

import importlib
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# The widest one decides which kernels the numeric libraries choose; best first.
INSTRUCTION_SETS = ("amx_tile", "avx512f", "avx2", "sve", "asimd", "sse4_2")


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """Where a zoo's numbers come from."""

    device: str
    """CPU: machine, vendor and instruction set. GPU: its model and the CUDA version."""
    engine: str
    """Name of the engine; a compiled one includes what compiled it."""
    threads: int
    """Threads of each worker: sums are split differently by their number."""
    torch: str
    numpy: str
    pyarrow: str
    deterministic: bool = True
    """Deterministic kernels on and TF32 off."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Platform":
        """The inverse of `to_json`."""
        return cls(**value)


def current_platform(*, engine: str, threads: int, device: str) -> Platform:
    """The platform of this process.

    Args:
        engine: full name of the engine, compiler included.
        threads: threads of one worker.
        device: `cpu`, or `cuda` with or without an index; only `cuda` imports torch.
    """
    return Platform(
        device=cpu_name() if device == "cpu" else _gpu_name(device),
        engine=engine,
        threads=threads,
        torch=_version("torch"),
        numpy=_version("numpy"),
        pyarrow=_version("pyarrow"),
    )


def differences(a: Platform, b: Platform) -> tuple[str, ...]:
    """What differs, one line for each field; empty if the bytes must be equal."""
    ours, theirs = a.to_json(), b.to_json()
    return tuple(f"{k}: {ours[k]!r} and {theirs[k]!r}" for k in ours if ours[k] != theirs[k])


def cpu_name() -> str:
    """Machine, vendor and instruction set, as far as they choose among numeric kernels."""
    facts = _cpu_facts()
    flags = set(facts.get("flags", facts.get("Features", "")).split())
    best = next((name for name in INSTRUCTION_SETS if name in flags), "")
    vendor = facts.get("vendor_id", platform.processor())
    # These two narrow what torch and oneDNN may use, so they change sums as a processor does.
    limits = [
        f"{name}={os.environ[name]}"
        for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
        if name in os.environ
    ]
    return " ".join(dict.fromkeys(x for x in (platform.machine(), vendor, best, *limits) if x))


def _cpu_facts() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _gpu_name(device: str) -> str:
    # By name, so that the contract, which imports this module, has no import of torch in it.
    torch = importlib.import_module("torch")
    return f"{torch.cuda.get_device_name(device)} CUDA {torch.version.cuda}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
