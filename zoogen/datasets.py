"""Image data by name: digits, mnist, fashion_mnist, cifar10, svhn.

`load_images` finds the files (Parquet or torchvision's layout), decodes them once into arrays in
the cache folder and gives them prepared as a recipe says, mapped into memory: all processes of a
machine share one copy. `zoogen.images` holds the steps. As a command it lists and downloads:

    python -m zoogen.datasets list
    python -m zoogen.datasets download svhn

Importing this module loads neither torch nor torchvision, Pillow or pyarrow.
"""

from dataclasses import dataclass
from pathlib import Path

from zoogen.errors import DataError
from zoogen.images.arrays import StoredArrays
from zoogen.images.catalog import ImageSet, image_set
from zoogen.images.prepare import prepared_arrays
from zoogen.images.sources import (
    EMBEDDED,
    Place,
    Source,
    SourceKind,
    describe_layouts,
    find_source,
    place_to_search,
)
from zoogen.recipe import ImagePrep
from zoogen.train.job import ImageData


@dataclass(frozen=True, kw_only=True, slots=True)
class DataIdentity:
    """What the plan records of the images, after preparation; plain values, ready for JSON."""

    name: str
    train_size: int
    test_size: int
    channels: int
    side: int
    """Height and width in pixels."""
    content_hash: str
    """SHA-256 over the prepared images and labels, subset included."""
    licence: str
    chance_accuracy: float
    """Share of the most frequent label among the test images that are used."""
    source: SourceKind
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    """A network sees pixel · scale + shift, one of each for each channel."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedImages:
    """Images ready for training, and what they are."""

    data: ImageData
    identity: DataIdentity


def load_images(
    name: str, prep: ImagePrep, *, data_dir: Path | None = None, download: bool = True
) -> PreparedImages:
    """One data set, prepared; decoded or downloaded first where that has not been done yet.

    Args:
        name: a name of `IMAGE_SETS`.
        prep: side, colour and limits. A side of None is the data set's own; grey has no effect on
            images of one channel.
        data_dir: the only folder searched. None: the environment variable ZOOGEN_DATA, then the
            only one; without it the cache folder.
        download: whether missing data may be fetched into the cache folder.

    Raises:
        DataError: not found, not allowed to download, damaged, or not what its name says.
    """
    wanted = image_set(name)
    source = locate(wanted, data_dir=data_dir, download=download)
    arrays = prepared_arrays(wanted, source, prep)
    data = _image_data(wanted, prep, arrays)
    return PreparedImages(data=data, identity=_identity(wanted, source, data, arrays))


def locate(wanted: ImageSet, *, data_dir: Path | None, download: bool) -> Source:
    """The data set's files: found in the one place that is searched, or downloaded.

    Raises:
        DataError: they are not there, and downloading is not allowed or failed.
    """
    if wanted.torchvision_class is None:
        return EMBEDDED
    place = place_to_search(data_dir)
    found = find_source(wanted, place.folder)
    if found:
        return found
    if place.given_by or not download:
        raise DataError(_not_found(wanted, place))
    from zoogen.images.download import download_images

    return download_images(wanted, place.folder)


def _not_found(wanted: ImageSet, place: Place) -> str:
    command = f"`python -m zoogen.datasets download {wanted.name}`"
    looked_for = f"looked for {describe_layouts(wanted)}"
    if place.given_by:
        return (
            f"{wanted.name} is not in {place.folder}, which {place.given_by} makes the only place "
            f"searched; {looked_for}: put it there, or run {command} and leave {place.given_by} out"
        )
    return (
        f"{wanted.name} is not in {place.folder} and downloads are forbidden (--no-download); "
        f"{looked_for}: run {command}, or name a folder that holds it with --data-dir"
    )


def _image_data(wanted: ImageSet, prep: ImagePrep, arrays: StoredArrays) -> ImageData:
    """Grey images are sums over the channels, so their scale carries the division."""
    channels = arrays.train[0].shape[3]
    summed = wanted.channels // channels if prep.colour == "grey" else 1
    return ImageData(
        train_images=arrays.train[0],
        train_labels=arrays.train[1],
        test_images=arrays.test[0],
        test_labels=arrays.test[1],
        scale=tuple(s / summed for s in _each(prep.scale, channels, wanted.name)),
        shift=_each(prep.shift, channels, wanted.name),
    )


def _each(value: float | tuple[float, ...], channels: int, name: str) -> tuple[float, ...]:
    if not isinstance(value, tuple):
        return (value,) * channels
    if len(value) != channels:
        raise DataError(
            f"the preparation has {len(value)} numbers, one for each channel, and {name} has "
            f"{channels} channels: choose a recipe for this data set"
        )
    return value


def _identity(
    wanted: ImageSet, source: Source, data: ImageData, arrays: StoredArrays
) -> DataIdentity:
    return DataIdentity(
        name=wanted.name,
        train_size=len(data.train_labels),
        test_size=len(data.test_labels),
        channels=data.train_images.shape[3],
        side=data.train_images.shape[1],
        content_hash=arrays.content_hash,
        licence=wanted.licence,
        chance_accuracy=arrays.chance_accuracy,
        source=source.kind,
        scale=data.scale,
        shift=data.shift,
    )


def main() -> None:
    """The command; its parser and libraries load only now."""
    from zoogen.images.command import run

    run()


if __name__ == "__main__":
    main()
