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


@pytest.fixture(scope="session")
def image_slices(image_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 300 training and 100 test images of each data set, as `image_root` has them."""
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("slices")
    for name in ("mnist", "fashion_mnist", "cifar10", "svhn"):
        (folder / name).mkdir()
        for split, rows in (("train", 300), ("test", 100)):
            file_name = f"{split}-00000-of-00001.parquet"
            table = pq.ParquetFile(image_root / name / file_name).read_row_group(0)
            # Checksums, so that a flipped bit shows wherever it lies.
            pq.write_table(
                table.slice(0, rows), folder / name / file_name, write_page_checksum=True
            )
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` are skipped, with the reason, where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked:
        import torch

        if not torch.cuda.is_available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """The seed from which mutated inputs follow."""
    parser.addoption("--fuzz-seed", type=int, default=0, help="first seed of mutated inputs")


def pytest_report_header(config: pytest.Config) -> str:
    return f"mutated inputs: --fuzz-seed {config.getoption('--fuzz-seed')}"


@pytest.fixture(scope="session")
def fuzz_seed(pytestconfig: pytest.Config) -> int:
    """The first seed; a failure names the one that it found."""
    return int(pytestconfig.getoption("--fuzz-seed") or 0)
