"""Every command can be typed as `python -m MODULE` and, once installed, as MODULE."""

import importlib
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("zoogen", "sne", "sweeps")
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
NO_SCRIPTS = {"zoogen.ray_reaper"}
"""Started by other commands."""


def commands() -> set[str]:
    """Modules that do something when they are run."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files
        if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")
    }


def test_every_command_has_a_script() -> None:
    assert set(SCRIPTS) == commands() - NO_SCRIPTS
    assert "sne.train" in SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_its_modules_main(name: str) -> None:
    module, _, function = SCRIPTS[name].partition(":")
    assert (module, function) == (name, "main")
    assert callable(importlib.import_module(module).main)
