"""Known weaknesses of the pinned libraries: `python cluster/audit.py`, as `make audit` runs it.

Asks about every line of cluster/constraints.txt by pip-audit, which must be installed. It calls an
audit good in which it could ask about nothing at all, so what it asked about is counted here.
Exit codes: 0 no weakness is known, 1 some are, 2 nobody could be asked.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PINS = Path(__file__).with_name("constraints.txt")
SOURCES = ("osv", "pypi")
"""Advisories that pip-audit can ask, one after the other until one answers."""


def main() -> int:
    """Audit; returns the exit code."""
    for source in SOURCES:
        lines, asked, found = judged(answers(source))
        if asked:
            print("\n".join([*lines, f"{asked} libraries audited by {source}, {found} weak"]))
            return 1 if found else 0
    print(
        f"the pinned libraries could not be audited: none of {', '.join(SOURCES)} answered for a "
        "single one; run `make audit` where the network reaches them",
        file=sys.stderr,
    )
    return 2


def answers(source: str) -> Sequence[dict[str, Any]]:
    """What pip-audit says of each library; nothing where it gives up."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip",
        "--vulnerability-service", source, "--format", "json", "--progress-spinner", "off",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        return json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return ()


def judged(dependencies: Sequence[dict[str, Any]]) -> tuple[list[str], int, int]:
    """Lines for people; how many libraries were asked about; how many are weak."""
    asked = [one for one in dependencies if "skip_reason" not in one]
    weak = [one for one in asked if one["vulns"]]
    lines = [
        f"{one['name']} {one['version']}: {each['id']}, mended in "
        f"{', '.join(each['fix_versions']) or 'no version yet'}"
        for one in weak
        for each in one["vulns"]
    ]
    if asked and len(asked) < len(dependencies):
        silent = [one["name"] for one in dependencies if "skip_reason" in one]
        lines.append(f"nothing is known of {', '.join(silent)}")
    return lines, len(asked), len(weak)


if __name__ == "__main__":
    sys.exit(main())
