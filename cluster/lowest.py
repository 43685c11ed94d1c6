"""The lowest versions that pyproject.toml claims to work with: `python cluster/lowest.py FILE`.

Writes them as constraints for `pip install -c FILE`, one line for each library that runs need;
what these need in turn, and what only developers need, is pip's to choose. `make test-min` tests
with them.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

EXTRAS = ("s3",)
PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def direct(project: Mapping[str, Any]) -> Iterator[Requirement]:
    """What runs need, as the table [project] of a pyproject.toml asks for it."""
    for group in (project["dependencies"], *(project["optional-dependencies"][e] for e in EXTRAS)):
        yield from map(Requirement, group)


def lowest(requirement: Requirement) -> str:
    """The lowest version that a requirement allows, as a constraint.

    Raises:
        ValueError: it has no lower bound.
    """
    bounds = [each.version for each in requirement.specifier if each.operator in (">=", "==")]
    if not bounds:
        raise ValueError(f"{requirement} has no lower bound: write {requirement.name}>=VERSION")
    return f"{requirement.name}=={bounds[0]}"


def main(arguments: list[str]) -> int:
    """Write the file; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python cluster/lowest.py FILE", file=sys.stderr)
        return 2
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    Path(arguments[0]).write_text("".join(f"{lowest(each)}\n" for each in direct(project)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
