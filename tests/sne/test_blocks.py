"""Blocks against Set Transformer's published code, and what masks and order do to them."""

import pytest
import torch

from benchmarks.reference_walk import mab, third
from sne.blocks import Mean, Pma, Rows, Sab
from sne.positions import KINDS, sinusoid

SIZES = [(1, 64, 4), (16, 16, 2), (64, 64, 1)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


@pytest.mark.parametrize(("width_in", "width", "heads"), SIZES)
def test_sab_is_the_published_block(width_in, width, heads):
    sab, x = Sab(width_in, width, heads=heads), torch.randn(3, 7, width_in) * 3
    parts = [*(third(sab.project, i) for i in range(3)), sab.feed]
    expected = torch.stack([mab(row, row, parts, heads) for row in x])
    assert torch.allclose(sab(x), expected, atol=2e-6)
    wrong = torch.stack([mab(row, row, parts, 1 if heads > 1 else 2) for row in x])
    assert not torch.allclose(sab(x), wrong, atol=1e-4)


@pytest.mark.parametrize(("width_in", "width", "heads"), [(16, 16, 2), (64, 64, 4), (16, 24, 4)])
def test_pma_is_the_published_block_behind_a_feed_forward(width_in, width, heads):
    pma, x = Pma(width_in, width, heads=heads), torch.randn(3, 7, width_in) * 3
    parts = (pma.query, pma.key, pma.value, pma.feed)
    expected = [mab(pma.seed, torch.relu(pma.before(row)), parts, heads)[0] for row in x]
    assert torch.allclose(pma(x), torch.stack(expected), atol=2e-6)
    without = [mab(pma.seed, row, parts, heads)[0] for row in x]
    assert not torch.allclose(pma(x), torch.stack(without), atol=1e-3)


@pytest.mark.parametrize("block", [Sab(8, 8, heads=2), Pma(8, 8, heads=2), Mean(8, 8), Rows(8, 8)])
def test_masked_elements_are_as_if_they_were_not_there(block):
    x, mask = torch.randn(2, 6, 8), torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]]) > 0
    x[0, 4:] *= 9
    whole, short = block(x, mask), block(x[:1, :4])
    kept = whole[:1, :4] if whole.ndim == 3 else whole[:1]
    assert torch.allclose(kept, short, atol=1e-5)
    assert torch.isfinite(whole).all()
    if not isinstance(block, Rows):
        other = block(x)
        assert not torch.allclose(other[0, :4] if other.ndim == 3 else other[0], short[0])


@pytest.mark.parametrize("block", [Sab(8, 8, heads=2), Pma(8, 8, heads=2), Mean(8, 8), Rows(8, 8)])
def test_order_moves_sets_along_and_leaves_vectors_alone(block):
    x, order = torch.randn(2, 6, 8), torch.randperm(6)
    plain, moved = block(x), block(x[:, order])
    expected = plain[:, order] if plain.ndim == 3 else plain
    assert torch.allclose(moved, expected, atol=1e-6)
    assert not torch.allclose(block(x + 0.1 * torch.randn_like(x)), plain, atol=1e-3)


def test_sinusoids_are_the_published_ones_rolled():
    found = sinusoid(torch.tensor([0, 3]), width=8, kind="layer_type")
    angles = 3 / 10_000 ** (torch.arange(4) / 4)
    expected = torch.stack([angles.sin(), angles.cos()], 1).flatten()
    assert torch.allclose(found[1], expected)
    assert found[0].tolist() == [0, 1] * 4
    level = sinusoid(torch.tensor([3]), width=8, kind="level")
    assert torch.allclose(level[0], expected.roll(8 // len(KINDS)))


def test_two_kinds_added_together_can_be_told_apart():
    """Type 1 at level 3 is not type 3 at level 1, for any two of the kinds."""
    one, three = torch.tensor([1]), torch.tensor([3])
    for first in KINDS:
        for second in KINDS:
            a, b = (sinusoid(one, width=64, kind=k) for k in (first, second))
            c, d = (sinusoid(three, width=64, kind=k) for k in (first, second))
            assert first == second or (a + d - c - b).abs().max() > 0.1


def test_none_has_no_sinusoid():
    assert (sinusoid(torch.tensor([-1]), width=8, kind="place") == 0).all()
