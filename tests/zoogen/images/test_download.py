"""Downloads through torchvision, from a server on loopback, and the command that starts them."""

import functools
import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from zoogen.datasets import load_images
from zoogen.errors import DataError
from zoogen.images.command import run
from zoogen.recipe import ImagePrep

FILES = ("train_32x32.mat", "test_32x32.mat")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a log on stderr."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served on loopback, where torchvision now believes SVHN to be published."""
    from torchvision.datasets import SVHN

    folder = tmp_path / "published"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in FILES:
        pixels = rng.integers(0, 256, size=(32, 32, 3, 50), dtype=np.uint8)
        savemat(folder / name, {"X": pixels, "y": np.arange(1, 51)[:, None] % 10 + 1})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    addresses = {
        name.split("_")[0]: [
            f"http://127.0.0.1:{server.server_port}/{name}",
            name,
            hashlib.md5((folder / name).read_bytes()).hexdigest(),
        ]
        for name in FILES
    }
    monkeypatch.setattr(SVHN, "split_list", addresses)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("ZOOGEN_DATA", raising=False)
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_absent_images_are_downloaded_once(
    publisher: Path, cache_dir: Path, capfd: pytest.CaptureFixture[str]
):
    loaded = load_images("svhn", ImagePrep())
    assert (loaded.identity.source, loaded.identity.train_size) == ("torchvision", 50)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err, "a bar"
    assert sorted(p.name for p in (cache_dir / "sources").iterdir()) == [".svhn.lock", "svhn"]
    for name in FILES:
        (publisher / name).unlink()
    assert load_images("svhn", ImagePrep(), download=False).identity == loaded.identity


def test_interrupted_download_goes_on(publisher: Path, cache_dir: Path):
    (publisher / FILES[1]).rename(publisher / "later")
    with pytest.raises(DataError, match=r"svhn could not be downloaded into .*404.*; try again"):
        load_images("svhn", ImagePrep())
    assert not (cache_dir / "sources" / "svhn").exists()
    (publisher / "later").rename(publisher / FILES[1])
    (publisher / FILES[0]).unlink()  # it is not fetched twice
    assert load_images("svhn", ImagePrep()).identity.test_size == 50


def test_a_changed_file_is_refused(publisher: Path, cache_dir: Path):
    (publisher / FILES[0]).write_bytes((publisher / FILES[1]).read_bytes())
    with pytest.raises(DataError, match=r"could not be downloaded into .* corrupted"):
        load_images("svhn", ImagePrep())
    assert not (cache_dir / "sources" / "svhn").exists()


def test_command_downloads_and_lists(
    publisher: Path,
    cache_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    run(["download", "svhn"])
    folder = cache_dir / "sources"
    assert capsys.readouterr().out == f"svhn: 0.3 MB in {folder / 'svhn'}\n"
    run(["list"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["digits", "scikit-learn", "-", "embedded"]
    assert lines[2].split() == ["mnist", "absent", "12", "MB", "to", "download"]
    assert lines[5].split() == ["svhn", "torchvision", "0.3", "MB", str(folder / "svhn")]
    assert lines[6] == f"searched: {folder}"
    monkeypatch.setenv("ZOOGEN_DATA", str(tmp_path))
    run(["list"])
    assert "the only place searched" in capsys.readouterr().out
    (folder / "svhn" / FILES[0]).unlink()
    run(["list", "--data-dir", str(folder)])
    assert "incomplete" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"error: .*holds test_32x32.mat but not train_32x32.mat"):
        run(["download", "svhn"])


def test_help_names_everything():
    command = [sys.executable, "-m", "zoogen.datasets", "--help"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for word in ("--data-dir", "ZOOGEN_DATA", "ZOOGEN_CACHE", "list", "download svhn"):
        assert word in out
