"""What a number is traced back by: the protocol's version, the code's version and revision."""

import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROTOCOL_VERSION = 2
"""Raised by hand whenever the same command would give other numbers."""
DISTRIBUTION = "zooscope"


@cache
def code_version() -> str:
    """The installed version, with the revision where the code is a checkout, `+` if changed."""
    try:
        installed = version(DISTRIBUTION)
    except PackageNotFoundError:
        installed = "unknown"
    revision = _git("rev-parse", "--short", "HEAD")
    if not revision:
        return installed
    changed = (
        "+" if _git("status", "--porcelain", "--untracked-files=no", "--", "sne", "zoogen") else ""
    )
    return f"{installed} {revision}{changed}"


def _git(*arguments: str) -> str:
    """Git's answer in the repository of this file; empty where there is none."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
