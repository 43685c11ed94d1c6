"""What INRs are fitted to: sine waves of known frequency and amplitude, and images.

Inputs are the same for all members of a zoo; a member's configuration gives its target. Everything
is computed in float64 and rounded once.

Source: Navon et al. 2023 (arXiv:2301.12780) and its published code: the sine generator; the
coordinates on which its MNIST INRs are rendered. How those MNIST INRs were fitted is not published.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from zoogen.members import Member, Value
from zoogen.train.job import ImageData


def sine_inputs(points: int) -> Float32[np.ndarray, "points 1"]:
    """Equidistant points on [-π, π): exactly `points` of them, -π the first, π left out."""
    return _sine_grid(points).astype(np.float32)[:, None]


def sine_target(config: Mapping[str, Value], points: int) -> Float32[np.ndarray, "points 1"]:
    """The member's wave, amplitude · sin(frequency · x), on the points of `sine_inputs`."""
    amplitude, frequency = float(config["amplitude"]), float(config["frequency"])
    return (amplitude * np.sin(frequency * _sine_grid(points))).astype(np.float32)[:, None]


def pixel_inputs(height: int, width: int) -> Float32[np.ndarray, "points 2"]:
    """Pixel coordinates (x, y) on [-1, 1]², both ends included, row by row: x runs fastest."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return np.stack([x.reshape(-1), y.reshape(-1)], axis=1).astype(np.float32)


def with_image(member: Member, data: ImageData) -> Member:
    """The member with its image: number (member index mod training images) and label.

    They become the columns `config.image_index` and `config.image_label`.
    """
    index = member.index % len(data.train_labels)
    image = {"image_index": index, "image_label": int(data.train_labels[index])}
    return replace(member, config={**member.config, **image})


def pixel_target(config: Mapping[str, Value], data: ImageData) -> Float32[np.ndarray, "points c"]:
    """The member's training image with pixels in [0, 1], in the order of `pixel_inputs`.

    Black is 0 and white is 1, as the published code reads its INRs' outputs (they add 0.5 to the
    last layer); a classifier's [-1, 1] is mapped there.
    """
    image = data.train_images[int(config["image_index"])].astype(np.float64)
    classifier_input = image * np.asarray(data.scale) + np.asarray(data.shift)
    pixels = (classifier_input + 1) / 2
    return pixels.reshape(-1, image.shape[-1]).astype(np.float32)


def _sine_grid(points: int) -> np.ndarray:
    """The published generator's arange; where rounding gives one point more it is cut off."""
    if points < 1:
        raise ValueError(f"a sine needs at least one point, got {points}")
    return np.arange(-np.pi, np.pi, 2 * np.pi / points)[:points]
