"""Where figures come from: processor, cores, threads, versions, revision."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from zoogen.machine import available_cores
from zoogen.platforms import cpu_name

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "torchvision", "numpy", "pyarrow", "ray")


def provenance() -> dict[str, Any]:
    """Plain values that go with every JSON line."""
    return {
        "machine": {
            "processor": processor(),
            "platform": cpu_name(),
            "cores": available_cores(),
            "load_average": round(os.getloadavg()[0], 2),
            "system": f"{platform.system()} {_kernel()}",
        },
        "versions": {"python": platform.python_version(), **_versions(), "compiler": _compiler()},
        "revision": revision(),
        "threads": 1,
        "date": today(),
    }


def processor() -> str:
    """The processor as the system names it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return re.sub(r"\(R\)|\(TM\)", "", found.group(1)).strip() if found else platform.machine()


def slug() -> str:
    """The processor in a file name, for instance `intel-xeon-processor-avx512f-2-cores`."""
    widest = cpu_name().split()[-1]
    text = f"{processor()} {widest} {available_cores()} cores"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def today() -> str:
    """The date, by universal time."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def revision() -> str:
    """Git's short hash, with a plus where sources differ from it; `unknown` outside git."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if not head:
        return "unknown"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "zoogen", "benchmarks")
    return f"{head}+" if changed else head


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def _compiler() -> str:
    from zoogen.native_code.build import compiler, compiler_version

    return compiler_version() if compiler() else "absent"


def _kernel() -> str:
    """Major and minor version; what follows names a build."""
    return ".".join(platform.release().split(".")[:2])
