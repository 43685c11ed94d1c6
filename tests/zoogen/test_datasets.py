"""Image data by name: what the real files become, how it is cached and shared, what is refused."""

import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from zoogen.datasets import PreparedImages, load_images
from zoogen.errors import DataError
from zoogen.recipe import ImagePrep, normalised

LABEL_COUNTS = {  # as published: MNIST's digits are uneven
    ("mnist", "train"): [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    ("mnist", "test"): [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ("fashion_mnist", "train"): [6000] * 10,
    ("fashion_mnist", "test"): [1000] * 10,
    ("cifar10", "train"): [5000] * 10,
    ("cifar10", "test"): [1000] * 10,
}
SHAPES = {"mnist": (28, 1), "fashion_mnist": (28, 1), "cifar10": (32, 3), "svhn": (32, 3)}
IMPORTED = (
    "import sys; import zoogen.datasets{more}; "
    "print([m for m in ('torch', 'torchvision', 'PIL', 'pyarrow', 'sklearn', 'scipy', 'ray') "
    "if m in sys.modules])"
)


def originals(root: Path, name: str, split: str, rows: int) -> list[np.ndarray]:
    """The first images of a Parquet file, read the plain way."""
    file = pq.ParquetFile(root / name / f"{split}-00000-of-00001.parquet")
    column = "img" if name == "cifar10" else "image"
    encoded = file.read_row_group(0).column(column).to_pylist()[:rows]
    return [np.asarray(Image.open(BytesIO(row["bytes"]))) for row in encoded]


def same_images(images: np.ndarray, expected: list[np.ndarray]) -> bool:
    stacked = np.stack(expected)
    return np.array_equal(images[: len(stacked)].reshape(stacked.shape), stacked)


def check_whole(loaded: PreparedImages, root: Path, name: str) -> None:
    side, channels = SHAPES[name]
    data, identity = loaded.data, loaded.identity
    assert data.train_images.shape == (identity.train_size, side, side, channels)
    assert data.test_images.shape == (identity.test_size, side, side, channels)
    assert (identity.side, identity.channels, identity.source) == (side, channels, "parquet")
    assert data.train_images.dtype == np.uint8
    for split, labels in (("train", data.train_labels), ("test", data.test_labels)):
        if (name, split) in LABEL_COUNTS:
            assert np.bincount(labels).tolist() == LABEL_COUNTS[name, split]
    assert same_images(data.train_images, originals(root, name, "train", 50))
    assert same_images(data.test_images, originals(root, name, "test", 50))
    assert data.scale == (1 / 127.5,) * channels
    assert data.shift == (-1.0,) * channels


@pytest.mark.data
def test_svhn_pack(image_root: Path, cache_dir: Path):
    loaded = load_images("svhn", ImagePrep(), data_dir=image_root, download=False)
    check_whole(loaded, image_root, "svhn")
    assert (loaded.identity.train_size, loaded.identity.test_size) == (7600, 2400)
    assert loaded.identity.chance_accuracy == pytest.approx(0.2083, abs=5e-5)
    assert "non-commercial" in loaded.identity.licence
    table = pq.read_table(image_root / "svhn" / "test-00000-of-00001.parquet", columns=["label"])
    np.testing.assert_array_equal(loaded.data.test_labels, table["label"].to_numpy())


@pytest.mark.data
def test_mnist_pack(image_root: Path, cache_dir: Path):
    loaded = load_images("mnist", ImagePrep(), data_dir=image_root, download=False)
    check_whole(loaded, image_root, "mnist")
    assert loaded.identity.chance_accuracy == 0.1135


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_other_packs(image_root: Path, cache_dir: Path, name: str):
    loaded = load_images(name, ImagePrep(), data_dir=image_root, download=False)
    check_whole(loaded, image_root, name)
    assert loaded.identity.chance_accuracy == 0.1


@pytest.mark.data
@pytest.mark.parametrize("name", list(SHAPES))
def test_pixels_are_equal_before_and_after_the_cache(
    image_slices: Path, cache_dir: Path, name: str
):
    first = load_images(name, ImagePrep(), data_dir=image_slices)
    expected = originals(image_slices, name, "train", 300)
    assert same_images(first.data.train_images, expected)
    assert not same_images(first.data.train_images, expected[::-1])
    again = load_images(name, ImagePrep(), data_dir=image_slices)
    assert same_images(again.data.train_images, expected)
    assert again.identity == first.identity
    assert len(list((cache_dir / "images").glob("*/facts.json"))) == 1


@pytest.mark.data
def test_grey_is_the_exact_mean_of_the_channels(image_slices: Path, cache_dir: Path):
    grey = load_images("cifar10", ImagePrep(colour="grey"), data_dir=image_slices)
    data = grey.data
    assert data.train_images.dtype == np.uint16
    assert data.train_images.shape == (300, 32, 32, 1)
    assert (grey.identity.channels, data.scale, data.shift) == (1, (1 / (3 * 127.5),), (-1.0,))
    colour = np.stack(originals(image_slices, "cifar10", "train", 300)).astype(np.float64)
    mean = (colour / 127.5 - 1).mean(axis=3)
    seen = data.train_images[..., 0] * data.scale[0] + data.shift[0]
    np.testing.assert_allclose(seen, mean, atol=1e-13)
    luma = (colour @ np.array([0.299, 0.587, 0.114])) / 127.5 - 1
    assert np.abs(seen - luma).max() > 0.1


@pytest.mark.data
def test_luma_of_the_middle_is_pillows(image_slices: Path, cache_dir: Path):
    prep = ImagePrep(side=28, crop=28, colour="luma")
    data = load_images("svhn", prep, data_dir=image_slices).data
    assert data.train_images.dtype == np.uint8
    assert (data.scale, data.shift) == ((1 / 127.5,), (-1.0,))
    images = [Image.fromarray(a) for a in originals(image_slices, "svhn", "train", 20)]
    expected = [np.asarray(i.convert("L"))[2:30, 2:30, None] for i in images]
    assert np.array_equal(data.train_images[:20], np.stack(expected))
    resized = load_images("mnist", prep, data_dir=image_slices).data
    plain = load_images("mnist", ImagePrep(), data_dir=image_slices).data
    assert np.array_equal(resized.train_images, plain.train_images)


@pytest.mark.data
def test_channels_can_be_normalised_one_by_one(image_slices: Path, cache_dir: Path):
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    prep = ImagePrep(**normalised(mean, std))
    data = load_images("cifar10", prep, data_dir=image_slices).data
    seen = data.train_images * np.array(data.scale) + np.array(data.shift)
    wanted = (data.train_images / 255 - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(seen, wanted, atol=1e-12)
    with pytest.raises(DataError, match="has 3 numbers, one for each channel, and mnist has 1"):
        load_images("mnist", prep, data_dir=image_slices)


@pytest.mark.data
def test_grey_leaves_one_channel_as_it_is(image_slices: Path, cache_dir: Path):
    grey = load_images("mnist", ImagePrep(colour="grey"), data_dir=image_slices)
    plain = load_images("mnist", ImagePrep(), data_dir=image_slices)
    assert grey.data.train_images.dtype == np.uint8
    assert grey.identity == plain.identity


@pytest.mark.data
def test_another_side_is_resized_by_pillow(image_slices: Path, cache_dir: Path):
    smaller = load_images("svhn", ImagePrep(side=28), data_dir=image_slices)
    assert smaller.data.train_images.shape == (300, 28, 28, 3)
    assert smaller.identity.side == 28
    images = [Image.fromarray(a) for a in originals(image_slices, "svhn", "train", 20)]
    expected = [np.asarray(i.resize((28, 28), Image.Resampling.BILINEAR)) for i in images]
    assert same_images(smaller.data.train_images, expected)
    nearest = [np.asarray(i.resize((28, 28), Image.Resampling.NEAREST)) for i in images]
    assert not same_images(smaller.data.train_images, nearest)
    greyed = load_images("svhn", ImagePrep(side=28, colour="grey"), data_dir=image_slices)
    np.testing.assert_array_equal(
        greyed.data.train_images, smaller.data.train_images.sum(axis=3, keepdims=True)
    )


@pytest.mark.data
def test_a_limit_is_a_fixed_subset(image_slices: Path, cache_dir: Path):
    def load(train_limit: int | None) -> PreparedImages:
        prep = ImagePrep(train_limit=train_limit, test_limit=40)
        return load_images("mnist", prep, data_dir=image_slices)

    whole, some, fewer = load(None), load(50), load(20)
    assert (some.identity.train_size, some.identity.test_size) == (50, 40)
    rows = [row_of(image, whole.data.train_images) for image in some.data.train_images]
    assert rows == sorted(set(rows))
    assert rows != list(range(50)), "a subset, not a prefix"
    np.testing.assert_array_equal(some.data.train_labels, whole.data.train_labels[rows])
    few = {row_of(image, whole.data.train_images) for image in fewer.data.train_images}
    assert few < set(rows), "a smaller limit keeps a part of what a larger one keeps"
    counts = np.bincount(some.data.test_labels)
    assert some.identity.chance_accuracy == counts.max() / 40
    hashes = {loaded.identity.content_hash for loaded in (whole, some, fewer, load(50))}
    assert len(hashes) == 3


def row_of(image: np.ndarray, images: np.ndarray) -> int:
    (row,) = np.flatnonzero((images == image).all(axis=(1, 2, 3)))
    return int(row)


@pytest.mark.data
def test_a_limit_above_the_size_changes_nothing(image_slices: Path, cache_dir: Path):
    plain = load_images("svhn", ImagePrep(), data_dir=image_slices)
    limited = load_images(
        "svhn", ImagePrep(train_limit=8000, test_limit=2500), data_dir=image_slices
    )
    assert limited.identity == plain.identity
    assert len(list((cache_dir / "images").glob("*/facts.json"))) == 1


def test_digits_need_no_files(cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOOGEN_DATA", str(tmp_path / "nowhere"))
    loaded = load_images("digits", ImagePrep(), download=False)
    identity = loaded.identity
    assert (identity.train_size, identity.test_size) == (1297, 500)
    assert (identity.side, identity.channels, identity.source) == (28, 1, "scikit-learn")
    assert loaded.data.train_images.max() == 255
    labels = np.concatenate([loaded.data.train_labels, loaded.data.test_labels])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # The split and the resizing are fixed for good: zoos record this hash.
    assert identity.content_hash.startswith("34b3a6ae8201")
    small = load_images("digits", ImagePrep(side=8), download=False)
    assert small.data.train_images.shape == (1297, 8, 8, 1)
    steps = np.rint(np.arange(17) * 255 / 16)
    np.testing.assert_array_equal(np.unique(small.data.train_images), steps)


@pytest.mark.data
def test_source_files_that_change_are_decoded_anew(
    image_slices: Path, cache_dir: Path, tmp_path: Path
):
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        name = f"{split}-00000-of-00001.parquet"
        (folder / name).write_bytes((image_slices / "mnist" / name).read_bytes())
    before = load_images("mnist", ImagePrep(), data_dir=folder.parent)
    table = pq.read_table(folder / "train-00000-of-00001.parquet").slice(10)
    pq.write_table(table, folder / "train-00000-of-00001.parquet")
    after = load_images("mnist", ImagePrep(), data_dir=folder.parent)
    assert after.identity.train_size == before.identity.train_size - 10
    np.testing.assert_array_equal(after.data.train_images, before.data.train_images[10:])


@pytest.mark.data
def test_damaged_arrays_are_made_again(image_slices: Path, cache_dir: Path):
    before = load_images("mnist", ImagePrep(), data_dir=image_slices)
    expected = np.array(before.data.train_images)
    (path,) = (cache_dir / "images").glob("*/train_images.npy")
    whole = path.read_bytes()
    for damaged in (whole[:-100], whole[:-1] + bytes([whole[-1] ^ 255])):
        path.write_bytes(damaged)
        after = load_images("mnist", ImagePrep(), data_dir=image_slices)
        np.testing.assert_array_equal(after.data.train_images, expected)
        assert path.read_bytes() == whole


def anonymous_bytes(path: str) -> int:
    """Bytes of a mapped file that this process holds as a copy of its own."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            inside = line.endswith(path)
        elif inside and line.startswith("Anonymous:"):
            total += int(line.split()[1]) * 1024
    return total


@pytest.mark.data
@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_arrays_are_mapped_not_copied(image_slices: Path, cache_dir: Path):
    images = load_images("svhn", ImagePrep(), data_dir=image_slices).data.train_images
    assert type(images) is np.ndarray
    assert isinstance(images.base, np.memmap)
    path = Path(str(images.base.filename))
    assert path.is_relative_to(cache_dir)
    before = path.read_bytes()
    assert images.sum(dtype=np.int64) > 0
    assert anonymous_bytes(str(path)) == 0
    assert images.flags.writeable, "torch.from_numpy takes it without a warning"
    images[:] = 0
    assert anonymous_bytes(str(path)) >= images.nbytes
    assert path.read_bytes() == before


@pytest.mark.data
def test_two_processes_decode_once_and_agree(image_root: Path, cache_dir: Path):
    script = (
        "import logging, sys; from pathlib import Path\n"
        "from zoogen.datasets import load_images; from zoogen.recipe import ImagePrep\n"
        "logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stderr)\n"
        "print(load_images('svhn', ImagePrep(side=28), data_dir=Path(sys.argv[1])).identity)\n"
    )
    command = [sys.executable, "-c", script, str(image_root)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    outputs = [child.communicate(timeout=100) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    decoding = [line for _, err in outputs for line in err.splitlines() if "decoding" in line]
    assert sum(line.startswith("decoding svhn (train)") for line in decoding) == 1, decoding
    names = sorted(path.name.rsplit("-", 1)[0] for path in (cache_dir / "images").iterdir())
    assert names == ["svhn-decoded", "svhn-decoded", "svhn-prepared", "svhn-prepared"]


def imported(more: str = "") -> str:
    command = [sys.executable, "-c", IMPORTED.format(more=more)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_importing_loads_no_heavy_library():
    assert imported() == "[]"


def test_the_import_test_can_fail():
    assert imported("; import PIL") == "['PIL']"


def test_unknown_name_lists_the_known():
    with pytest.raises(
        DataError, match=r"'cifar'; known are digits, mnist, fashion_mnist, cifar10, svhn"
    ):
        load_images("cifar", ImagePrep())


def test_not_found_and_no_download(cache_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ZOOGEN_DATA", raising=False)
    with pytest.raises(DataError) as raised:
        load_images("svhn", ImagePrep(), download=False)
    assert str(raised.value) == (
        f"svhn is not in {cache_dir}/sources and downloads are forbidden (--no-download); looked "
        "for svhn/train-*.parquet and test-*.parquet, or torchvision's train_32x32.mat and "
        "test_32x32.mat: run `python -m zoogen.datasets download svhn`, or name a folder that "
        "holds it with --data-dir"
    )


@pytest.mark.parametrize("given_by", ["--data-dir", "ZOOGEN_DATA"])
def test_a_given_folder_is_the_only_place(
    given_by: str, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is downloaded into it or into the cache, even though downloads are allowed."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("ZOOGEN_DATA", str(folder if given_by == "ZOOGEN_DATA" else tmp_path))
    data_dir = folder if given_by == "--data-dir" else None
    with pytest.raises(DataError, match=f"given, which {given_by} makes the only place searched"):
        load_images("mnist", ImagePrep(), data_dir=data_dir)
    assert list(folder.iterdir()) == []
    folder.rmdir()
    with pytest.raises(DataError, match=f"{given_by} names .*given, which is not a folder"):
        load_images("mnist", ImagePrep(), data_dir=data_dir)
    assert not cache_dir.exists()


@pytest.mark.data
def test_cache_folder_is_searched_when_nothing_is_given(
    image_slices: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("ZOOGEN_DATA", raising=False)
    cache_dir.mkdir()
    (cache_dir / "sources").symlink_to(image_slices)
    assert load_images("svhn", ImagePrep(), download=False).identity.train_size == 300


@pytest.mark.data
def test_a_killed_process_leaves_nothing_in_the_way(image_root: Path, cache_dir: Path):
    script = (
        "import sys; from pathlib import Path; from zoogen.datasets import load_images\n"
        "from zoogen.recipe import ImagePrep\n"
        "load_images('svhn', ImagePrep(), data_dir=Path(sys.argv[1]))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(image_root)])
    deadline = time.monotonic() + 60
    while not list(cache_dir.glob("images/.*.tmp")) and time.monotonic() < deadline:
        assert child.poll() is None
        time.sleep(0.002)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert list(cache_dir.glob("images/.*.tmp")), "killed while it decoded"
    loaded = load_images("svhn", ImagePrep(), data_dir=image_root)
    assert same_images(loaded.data.test_images, originals(image_root, "svhn", "test", 20))
    names = [path.name for path in (cache_dir / "images").iterdir()]
    assert len(names) == 2, names
    assert not [name for name in names if name.endswith(".tmp")]
