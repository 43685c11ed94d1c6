"""Parquet files of images: where they are found, and what is said of those that are not right."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoogen.datasets import load_images
from zoogen.errors import DataError
from zoogen.images.catalog import IMAGE_SETS
from zoogen.images.sources import find_source
from zoogen.recipe import ImagePrep

pytestmark = pytest.mark.data
TRAIN, TEST = "train-00000-of-00001.parquet", "test-00000-of-00001.parquet"


@pytest.fixture
def pack(image_slices: Path, cache_dir: Path, tmp_path: Path) -> Path:
    """A folder of MNIST slices that a test may damage."""
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name in (TRAIN, TEST):
        (folder / name).write_bytes((image_slices / "mnist" / name).read_bytes())
    return folder


def refused(pack: Path, name: str = "mnist") -> str:
    with pytest.raises(DataError) as raised:
        load_images(name, ImagePrep(), data_dir=pack.parent, download=False)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(str(pack))
    return message.removeprefix(str(pack)).lstrip("/ ")


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("svhn", "svhn"),
        ("svhn", "svhn/cropped_digits"),
        ("svhn", "cropped_digits"),
        ("cifar10", "cifar10/plain_text"),
        ("mnist", "mnist/mnist"),
    ],
)
def test_folder_names_of_the_hub(name: str, inside: str, image_slices: Path, tmp_path: Path):
    folder = tmp_path / inside
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(image_slices / name)
    source = find_source(IMAGE_SETS[name], tmp_path)
    assert source is not None
    assert source.train == (folder / TRAIN,)
    others = [other for other in IMAGE_SETS if other not in (name, "digits")]
    assert all(find_source(IMAGE_SETS[other], tmp_path) is None for other in others)


def test_several_parts_are_read_in_order(pack: Path):
    whole = load_images("mnist", ImagePrep(), data_dir=pack.parent).identity
    table = pq.read_table(pack / TRAIN)
    (pack / TRAIN).unlink()
    pq.write_table(table.slice(0, 100), pack / "train-00000-of-00002.parquet")
    pq.write_table(table.slice(100), pack / "train-00001-of-00002.parquet")
    assert load_images("mnist", ImagePrep(), data_dir=pack.parent).identity == whole
    (pack / "train-00001-of-00002.parquet").unlink()
    assert refused(pack) == (
        "holds 1 of the 2 parts that train-00000-of-00002.parquet belongs to: complete the copy, "
        "or remove what does not belong there"
    )


def test_a_split_that_is_missing(pack: Path):
    (pack / TEST).unlink()
    expected = "holds train-*.parquet but not test-*.parquet: complete the copy, or remove it"
    assert refused(pack) == expected


@pytest.mark.parametrize("keep", [0, 3, 1000, -1000, -5])
def test_truncated(pack: Path, keep: int):
    (pack / TRAIN).write_bytes((pack / TRAIN).read_bytes()[:keep])
    message = refused(pack)
    assert message.startswith(f"{TRAIN} is not a whole Parquet file (")
    assert message.endswith("): fetch it again")


def test_a_flipped_bit(pack: Path):
    content = bytearray((pack / TEST).read_bytes())
    content[len(content) // 2] ^= 1
    (pack / TEST).write_bytes(content)
    assert refused(pack).startswith(f"{TEST} is damaged (")


def test_not_parquet(pack: Path):
    (pack / TRAIN).write_text("<html>please log in</html>\n" * 100)
    assert refused(pack).startswith(f"{TRAIN} is not a whole Parquet file (")


@pytest.mark.parametrize(
    "columns",
    [
        {"text": ["a"], "label": [1]},
        {"image": ["a.png"], "label": [1]},
        {"image": [{"path": "a.png"}], "label": [1]},
        {"image": [{"bytes": b"", "path": ""}], "label": ["one"]},
        {"image": [{"bytes": b"", "path": ""}]},
    ],
    ids=["no image", "image is text", "no bytes", "label is text", "no label"],
)
def test_wrong_columns(pack: Path, columns: dict[str, list[object]]):
    pq.write_table(pa.table(columns), pack / TRAIN)
    message = refused(pack)
    assert message.startswith(
        f"{TRAIN} holds no labelled images: wanted a column image (or img) of struct<bytes, path> "
        "and an integer column label, got "
    )
    assert all(f"{name}: " in message for name in columns)


def write_rows(path: Path, images: list[bytes | None], labels: list[int | None]) -> None:
    rows = [{"bytes": data, "path": "x"} for data in images]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"image": pa.array(rows, kind), "label": pa.array(labels, pa.int64())})
    pq.write_table(table, path)


def first_images(path: Path, column: str = "image") -> list[bytes]:
    return [row["bytes"] for row in pq.read_table(path).column(column).to_pylist()[:3]]


def test_bad_rows_are_named(pack: Path):
    good = first_images(pack / TRAIN)
    write_rows(pack / TRAIN, [good[0], None, good[2]], [0, 1, 2])
    assert refused(pack) == f"{TRAIN}, row 1: no image bytes (a path alone is not enough)"
    write_rows(pack / TRAIN, [*good[:2], good[2][:200]], [0, 1, 2])
    assert refused(pack).startswith(f"{TRAIN}, row 2 is not a whole PNG or JPEG image (")
    write_rows(pack / TRAIN, [b"GIF89a", *good[1:]], [0, 1, 2])
    assert refused(pack).startswith(f"{TRAIN}, row 0 is not a whole PNG or JPEG image (")
    write_rows(pack / TRAIN, [*good], [0, None, 2])
    assert refused(pack) == f"{TRAIN} has rows without a label"
    for label in (10, -1):
        write_rows(pack / TRAIN, [*good], [0, 1, label])
        expected = f"{TRAIN} has the label {label} in row 2, wanted 0..9: it is another data set"
        assert refused(pack) == expected
    write_rows(pack / TRAIN, [], [])
    assert refused(pack) == f"{TRAIN} holds 0 images and 0 labels"
    write_rows(pack / TRAIN, [*good], [0, 1, 2])
    assert load_images("mnist", ImagePrep(), data_dir=pack.parent).identity.train_size == 3


def test_damage_anywhere_in_a_png(pack: Path):
    """Pillow raises many kinds of errors; each becomes one sentence."""
    good = first_images(pack / TRAIN)
    for place in range(0, len(good[0]), 9):
        damaged = good[0][:place] + bytes([good[0][place] ^ 0x55]) + good[0][place + 1 :]
        write_rows(pack / TRAIN, [damaged], [0])
        assert refused(pack).startswith(f"{TRAIN}, row 0 is not a whole PNG")


def test_images_of_another_data_set(pack: Path, image_slices: Path):
    colour = first_images(image_slices / "svhn" / TRAIN)
    write_rows(pack / TRAIN, [*colour], [0, 1, 2])
    expected = "row 0: mnist has 28x28 L images, this one is 32x32 RGB"
    assert refused(pack) == f"{TRAIN}, {expected}"


def test_unreadable_file(pack: Path):
    (pack / TRAIN).unlink()
    (pack / TRAIN).mkdir()
    assert refused(pack) == f"{TRAIN} cannot be read: Is a directory"
