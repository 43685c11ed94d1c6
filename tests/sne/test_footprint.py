"""Counting bytes of tensors without data: what lives, what autograd holds, what kernels take."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sne.footprint import FAKE, ROUNDING, Footprint, footprint, stands_for


def floats(count: int) -> Tensor:
    return torch.empty(count, device=FAKE)


def test_bytes_count_as_long_as_a_tensor_lives():
    with footprint("cuda") as counted:
        one = floats(1024)
        assert counted.live == 4096
        two = one + 1
        assert counted.live == 8192
        del one
        assert counted.live == 4096
        del two
    assert (counted.live, counted.peak) == (0, 8192)


def test_views_and_changes_in_place_take_nothing():
    with footprint("cuda") as counted:
        x = floats(1024)
        y = x.view(2, -1)[:, 3:].T
        x.add_(1)
        del x
        assert counted.live == 4096
        assert y.shape == (509, 2)
    assert counted.peak == 4096


def test_blocks_are_rounded_up():
    with footprint("cuda") as counted:
        kept = [floats(1), floats(129)]
        assert counted.live == 3 * ROUNDING
    assert len(kept) == 2


def test_tensors_on_the_cpu_are_computed_and_count_once_they_are_moved():
    with footprint("cuda") as counted:
        index = torch.tensor([3, 1, 2]).sort().values
        assert index.tolist() == [1, 2, 3]
        assert counted.live == 0
        moved = index.to(FAKE)
        assert counted.live == ROUNDING
    assert moved.device == FAKE


def test_what_autograd_keeps_counts_until_the_backward_pass():
    x = floats(1024).requires_grad_()
    with footprint("cuda") as counted:
        loss = x.sin().exp().sum()
        # exp keeps its result, sin its input, which was there before.
        assert counted.live == 4096 + ROUNDING
        loss.backward()
        del loss
        assert counted.live == 4096
    assert x.grad is not None


def test_what_is_kept_is_told_apart():
    with footprint("cuda") as counted:
        assert counted.keep(lambda: [floats(1024), floats(1024)]) == 8192
        assert counted.keep(lambda: None) == 0
        assert counted.live == 8192


def attend(kind: Any, *, keys: int, head: int = 16, mask: Tensor | None = None) -> int:
    """Peak of attention and its backward pass, beyond its inputs."""
    given = [floats(8 * 4 * keys * head).view(8, 4, keys, head).requires_grad_() for _ in range(3)]
    with footprint(kind) as counted:
        q, k, v = given
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.1).sum().backward()
    return counted.peak


@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_attention_is_memory_efficient_where_the_device_has_a_kernel(kind):
    small, large = attend(kind, keys=256), attend(kind, keys=1024)
    assert large == pytest.approx(4 * small, rel=0.01)
    every_score = 4 * 8 * 4 * 1024 * 1024
    assert large < every_score / 2


def test_cuda_has_no_kernel_for_odd_heads():
    every_score = 4 * 8 * 4 * 1024 * 1024
    assert attend("cuda", keys=1024, head=6) > every_score
    assert attend("cpu", keys=1024, head=6) < every_score


def test_masks_are_padded_as_cudas_kernel_wants_them():
    mask = torch.empty(8, 4, 1, 1009, dtype=torch.bool, device=FAKE)
    grown = attend("cuda", keys=1009, mask=mask) - attend("cuda", keys=1009)
    assert grown == 4 * 32 * 1024  # what it was made of is gone by then
    assert attend("cpu", keys=1009, mask=mask) - attend("cpu", keys=1009) == 253 * ROUNDING


def test_kernels_are_those_of_the_device_only_while_it_is_counted():
    with footprint("cuda"):
        pass
    given = [floats(8 * 4 * 1024 * 16).view(8, 4, 1024, 16) for _ in range(3)]
    with Footprint("cuda") as counted:
        F.scaled_dot_product_attention(given[0], given[1], given[2])
    assert counted.peak > 4 * 8 * 4 * 1024 * 1024


def test_fakes_stand_for_the_device_that_is_counted_and_nothing_else_does():
    cpu = torch.device("cpu")
    assert (stands_for(FAKE), stands_for(cpu)) == ("meta", "cpu")
    for kind in ("cuda", "cpu"):
        with footprint(kind):
            assert (stands_for(FAKE), stands_for(cpu)) == (kind, "cpu")
        assert stands_for(FAKE) == "meta"


def test_what_kernels_take_for_themselves_is_in_the_peak():
    x = floats(1 << 20)
    peaks = {}
    for kind in ("cuda", "cpu"):
        with footprint(kind) as counted:
            found = x.sort()
            assert counted.live == 12 << 20
        peaks[kind] = counted.peak
        del found
    assert peaks["cpu"] == 12 << 20
    assert peaks["cuda"] == 52 << 20


def test_attention_keeps_whole_blocks_of_its_gradient():
    """Of 7 sets of 32 elements and 4 heads of 16, a block of 64 × 64 numbers for each head."""
    given = [floats(7 * 4 * 32 * 16).view(7, 4, 32, 16).requires_grad_() for _ in range(3)]
    with footprint("cuda") as counted:
        out = F.scaled_dot_product_attention(given[0], given[1], given[2])
        loss = torch.empty_like(out)
        before = counted.live
        out.backward(loss)
    gradients, sums = 3 * 7 * 4 * 32 * 16 * 4, 7 * 4 * 32 * 4
    assert counted.peak - before == gradients + sums + 7 * 4 * (4 * 64 * 64 + 16)
