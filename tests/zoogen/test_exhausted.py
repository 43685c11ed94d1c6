"""Real errors of allocators, and others."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from zoogen.exhausted import out_of_memory

MUCH = 2**50


@pytest.mark.parametrize(
    "ask",
    [
        lambda: bytearray(MUCH),
        lambda: np.ones(MUCH, dtype=np.uint8),
        lambda: torch.empty(MUCH, dtype=torch.uint8),
    ],
    ids=["python", "numpy", "torch"],
)
def test_no_memory(ask: Callable[[], object]):
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        ask()
    assert out_of_memory(caught.value)


def test_no_memory_on_a_card():
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_other_errors():
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ValueError("DefaultCPUAllocator: "))
    assert not out_of_memory(OSError("No space left on device"))
