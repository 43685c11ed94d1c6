"""Libraries: each has a lower bound that is tested, a pinned version, and can be audited."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from cluster import audit, lowest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = list(lowest.direct(PROJECT))


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_a_library_has_a_lower_bound_and_a_pin_above_it(requirement: Requirement) -> None:
    lines = (ROOT / "cluster/constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    name, _, bound = lowest.lowest(requirement).partition("==")
    assert Version(bound) <= Version(pinned[name.lower()])


def test_all_libraries_are_looked_at() -> None:
    names = {requirement.name for requirement in DIRECT}
    assert {"torch", "ray", "boto3"} <= names
    assert len(names) == len(PROJECT["dependencies"]) + 1


def test_a_library_without_a_bound_is_told_of() -> None:
    with pytest.raises(ValueError, match="torchvision has no lower bound"):
        lowest.lowest(Requirement("torchvision"))
    assert lowest.lowest(Requirement("torch>=2.6,<4")) == "torch==2.6"


def test_the_constraints_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lowest.main([str(tmp_path / "lowest.txt")]) == 0
    lines = (tmp_path / "lowest.txt").read_text().splitlines()
    assert len(lines) == len(DIRECT)
    assert all("==" in line for line in lines)
    assert lowest.main([]) == 2
    assert "usage" in capsys.readouterr().err


GOOD = {"name": "a", "version": "1", "vulns": []}
WEAK = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        ([GOOD], 0, "1 libraries audited by osv, 0 weak"),
        ([GOOD, WEAK], 1, "b 2: CVE-1, mended in 3"),
        ([GOOD, SKIPPED], 0, "nothing is known of c"),
        ([SKIPPED], 2, "could not be audited"),
        ([], 2, "could not be audited"),
    ],
)
def test_an_audit_that_asked_nobody_is_none(
    dependencies: list[dict[str, object]],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(audit, "answers", lambda source: dependencies)
    assert audit.main() == code
    assert said in "".join(capsys.readouterr())
