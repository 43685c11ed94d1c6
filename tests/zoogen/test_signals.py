"""Sine waves and images as what INRs are fitted to."""

import numpy as np
import pytest

from zoogen.members import Member
from zoogen.signals import pixel_inputs, pixel_target, sine_inputs, sine_target, with_image
from zoogen.train.job import ImageData


def test_two_thousand_points_are_the_published_grid():
    published = np.arange(-np.pi, np.pi, np.pi / 1000).astype(np.float32)
    assert sine_inputs(2000).shape == (2000, 1)
    np.testing.assert_array_equal(sine_inputs(2000)[:, 0], published)


def test_every_number_of_points_is_exact_and_leaves_pi_out():
    for points in range(1, 3000):
        inputs = sine_inputs(points)
        assert inputs.shape == (points, 1)
        assert inputs[0, 0] == np.float32(-np.pi)
        assert inputs[-1, 0] < np.float32(np.pi)


def test_a_plain_arange_would_not_be_exact():
    """The test above can fail: rounding gives some numbers of points one entry more."""
    plain = [len(np.arange(-np.pi, np.pi, 2 * np.pi / points)) for points in range(1, 3000)]
    assert any(length != points for points, length in enumerate(plain, start=1))


def test_target_is_the_published_formula():
    """Navon et al.'s generator writes a·sin(b·x) in a longer way."""
    amplitude, frequency = 3.7, 6.21
    x = np.arange(-np.pi, np.pi, np.pi / 1000)
    published = amplitude * np.sin(x * 2 * np.pi / (1 / frequency * 2 * np.pi))
    target = sine_target({"amplitude": amplitude, "frequency": frequency}, 2000)
    assert target.dtype == np.float32
    np.testing.assert_allclose(target[:, 0], published, atol=1e-6)
    other = sine_target({"amplitude": amplitude, "frequency": frequency + 0.01}, 2000)
    assert np.abs(other[:, 0] - published).max() > 1e-2


def test_no_points_are_refused():
    with pytest.raises(ValueError, match="at least one point, got 0"):
        sine_inputs(0)


def test_pixel_inputs_run_along_rows_first():
    inputs = pixel_inputs(2, 3)
    expected = [[-1, -1], [0, -1], [1, -1], [-1, 1], [0, 1], [1, 1]]
    np.testing.assert_array_equal(inputs, np.array(expected, np.float32))


def image_data(rng: np.random.Generator, channels: int) -> ImageData:
    """Colour images, or grey ones as the sum of three channels."""
    summed = 3 if channels == 1 else 1
    dtype = np.uint16 if channels == 1 else np.uint8
    images = rng.integers(0, 255 * summed + 1, size=(5, 4, 6, channels)).astype(dtype)
    return ImageData(
        train_images=images,
        train_labels=np.array([3, 1, 4, 1, 5]),
        test_images=images[:1],
        test_labels=np.array([3]),
        scale=(1 / 127.5 / summed,) * channels,
        shift=(-1.0,) * channels,
    )


@pytest.mark.parametrize(("channels", "white"), [(1, 765), (3, 255)])
def test_pixel_target_is_the_image_between_zero_and_one(
    rng: np.random.Generator, channels: int, white: int
):
    data = image_data(rng, channels)
    target = pixel_target({"image_index": 2}, data)
    assert target.dtype == np.float32
    assert target.shape == (24, channels)
    np.testing.assert_allclose(
        target.reshape(4, 6, channels), data.train_images[2] / white, atol=1e-6
    )
    assert np.abs(target - pixel_target({"image_index": 1}, data)).max() > 0.1


def test_members_take_the_training_images_in_turn(rng: np.random.Generator):
    data = image_data(rng, 1)
    members = [Member(index=i, seed=i, split="train", config={"dropout": 0.0}) for i in (0, 4, 7)]
    configs = [with_image(member, data).config for member in members]
    assert [config["image_index"] for config in configs] == [0, 4, 2]
    assert [config["image_label"] for config in configs] == [3, 5, 4]
    assert configs[0]["dropout"] == 0.0
    assert "image_index" not in members[0].config
