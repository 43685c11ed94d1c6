"""A card's size by its label, and what of it a plan may use."""

import pytest

from sne.cards import GIB, RESERVED_BYTES, Card, parse_card, size_text
from sne.errors import SettingError


@pytest.mark.parametrize(
    ("label", "size"),
    [
        ("11GB", 11 * GIB),
        ("24gb", 24 * GIB),
        ("11GiB", 11 * GIB),
        ("1.5 GB", 3 * GIB // 2),
        ("512MB", GIB // 2),
    ],
)
def test_labels_count_in_powers_of_two(label, size):
    card = parse_card(label)
    assert card == Card(label=label, total_bytes=size)
    assert card.budget_bytes == max(0, size - RESERVED_BYTES)


@pytest.mark.parametrize("label", ["11", "GB", "-1GB", "0GB", "nanGB", "11TB", "eleven GB", ""])
def test_what_is_no_size_is_refused(label):
    with pytest.raises(SettingError) as caught:
        parse_card(label)
    assert str(caught.value) == (
        f"a card's size is a number and GB or MB, such as 11GB, got {label!r}"
    )


def test_sizes_are_said_in_one_unit_that_fits():
    assert [size_text(n) for n in (0, GIB // 4, GIB, 11 * GIB)] == [
        "0.0 MiB", "256.0 MiB", "1.00 GiB", "11.00 GiB",
    ]  # fmt: skip
    assert str(parse_card("11GB")) == "11GB has 10.20 GiB to give (11.00 GiB, less 819.2 MiB)"
