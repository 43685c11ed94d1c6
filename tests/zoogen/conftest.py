"""Zoos of networks really trained, made once for all test files that look at them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trained_zoo import digits_zoo, sine_zoo

from zoogen.plan import Plan
from zoogen.store import Store, open_store

_MADE: dict[str, tuple[Path, Plan]] = {}
"""Trained once for all test files; pytest removes the folders."""


@pytest.fixture
def trained_digits(
    tmp_path: Path, tmp_path_factory: Any, trained_cache: Path
) -> tuple[Store, Plan]:
    """A copy of a small zoo of classifiers."""
    return _copy("digits", digits_zoo, tmp_path_factory, tmp_path)


@pytest.fixture
def trained_sine(tmp_path: Path, tmp_path_factory: Any, trained_cache: Path) -> tuple[Store, Plan]:
    """A copy of a small zoo of INRs."""
    return _copy("sine", sine_zoo, tmp_path_factory, tmp_path)


@pytest.fixture
def trained_cache(tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One cache for all of these tests, so that digits are prepared once."""
    folder = tmp_path_factory.getbasetemp() / "trained-zoo-cache"
    monkeypatch.setenv("ZOOGEN_CACHE", str(folder))
    return folder


def _copy(
    name: str, make: Callable[[Store], Plan], factory: Any, place: Path
) -> tuple[Store, Plan]:
    if name not in _MADE:
        folder = factory.mktemp(f"trained-{name}") / "zoo"
        _MADE[name] = (folder, make(open_store(folder)))
    folder, plan = _MADE[name]
    shutil.copytree(folder, place / name)
    return open_store(place / name), plan
