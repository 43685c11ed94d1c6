"""What tests of several packages share: real images, a cache of their own, seeded randomness."""

import os
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def image_root() -> Path:
    """Real images as Parquet files: ZOOGEN_DATA, else ../shared/data beside the repository."""
    given = os.environ.get("ZOOGEN_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    if not (folder / "svhn").is_dir():
        pytest.skip(f"no real images in {folder}: set ZOOGEN_DATA to a folder that holds them")
    return folder.resolve()


@pytest.fixture
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for this test and every process that it starts."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ZOOGEN_CACHE", str(folder))
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts alike in every test."""
    return np.random.default_rng(20240)
