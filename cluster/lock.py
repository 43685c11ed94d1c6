"""The versions that are installed here, of everything that runs need: `python cluster/lock.py`.

Writes cluster/constraints.txt, which `pip install -c` takes: the same libraries on every machine,
and for a reproducible install anywhere. What only developers need is left out. Run it in an
environment whose tests pass.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT, EXTRAS = "zooscope", ("s3",)
TARGET = Path(__file__).with_name("constraints.txt")


def needed(name: str, extras: tuple[str, ...]) -> Iterator[Requirement]:
    """What a distribution asks for here, with these extras."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def closure(name: str, extras: tuple[str, ...]) -> dict[str, str]:
    """Versions of everything that is asked for, directly or not, by name."""
    found: dict[str, str] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    open_ = [(name, extras)]
    while open_:
        at = open_.pop()
        if at in seen:
            continue
        seen.add(at)
        for requirement in needed(*at):
            key = canonicalize_name(requirement.name)
            try:
                found[key] = version(key).partition("+")[0]
            except PackageNotFoundError:
                continue
            open_.append((key, tuple(sorted(requirement.extras))))
    return dict(sorted(found.items()))


def main() -> int:
    """Write the file; returns the exit code."""
    versions = closure(PROJECT, EXTRAS)
    python = ".".join(map(str, sys.version_info[:2]))
    head = f"# Made by `python cluster/lock.py`, on Python {python}."
    lines = [head, *(f"{name}=={number}" for name, number in versions.items())]
    TARGET.write_text("\n".join(lines) + "\n")
    print(f"{TARGET}: {len(versions)} libraries", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
