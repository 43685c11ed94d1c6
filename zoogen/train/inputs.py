"""Images on the device that trains: kept as integers, made inputs batch by batch."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from zoogen.train.job import ImageData, Precision

DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DeviceImages:
    """One split of a data set: on the CPU the memory that was mapped, elsewhere a copy."""

    pixels: Integer[Tensor, "n h w c"]
    labels: Int64[Tensor, " n"]
    scale: Float[Tensor, " c"]
    shift: Float[Tensor, " c"]

    def inputs(self, index: Int64[Tensor, "*m b"]) -> Float[Tensor, "*m b c h w"]:
        """What a network sees of these images; the memory is channels-last."""
        chosen = self.pixels.index_select(0, index.reshape(-1)).to(self.scale.dtype)
        values = chosen.mul_(self.scale).add_(self.shift)
        return values.view(*index.shape, *self.pixels.shape[1:]).movedim(-1, -3)


def device_images(
    data: ImageData, *, train: bool, precision: Precision, device: str
) -> DeviceImages:
    """The training or the test images on a device."""
    dtype = DTYPES[precision]
    return DeviceImages(
        pixels=_shared(data.train_images if train else data.test_images).to(device),
        labels=torch.tensor(data.train_labels if train else data.test_labels).long().to(device),
        scale=torch.tensor(data.scale, dtype=dtype, device=device),
        shift=torch.tensor(data.shift, dtype=dtype, device=device),
    )


def _shared(images: np.ndarray) -> Tensor:
    """A tensor on the array's own memory, which nobody writes to."""
    if images.dtype == np.uint16:
        # Sums of channels, at most 4 · 255: the same bits as int16, which torch can index.
        images = images.view(np.int16)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(images)
