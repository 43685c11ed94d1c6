"""Predictions of a pool: side by side on a CPU's threads, the same as in one."""

import threading
import time

import numpy as np
import pyarrow as pa
import pytest
import torch

from sne import side_by_side as side_by_side_module
from sne.model import Preparation, prepare
from sne.models import model_kind
from sne.pool import Pool
from sne.predict import Inference, predict
from sne.scaling import no_scaling
from sne.side_by_side import side_by_side
from zoogen.archs import arch_family

ARCHITECTURES = (
    arch_family("siren").describe(input_shape=(1,), classes=1),
    arch_family("arch2").describe(input_shape=(1, 28, 28), classes=10),
)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def pool_of(count: int) -> Pool:
    generator = torch.Generator().manual_seed(0)
    weights = tuple(torch.randn(count, a.parameters, generator=generator) for a in ARCHITECTURES)
    total = count * len(ARCHITECTURES)
    return Pool(
        architectures=ARCHITECTURES,
        weights=weights,
        target=np.zeros(total),
        zoo=np.zeros(total, dtype=np.int64),
        rows=pa.table({"zoo": ["a"] * total, "member": list(range(total))}),
    )


@pytest.mark.parametrize("name", ["sne", "deepsets"])
def test_two_threads_predict_what_one_does(name: str, two_threads: None):
    kind = model_kind(name)
    preparation = Preparation(architectures=ARCHITECTURES, scaling=no_scaling(), task="number")
    module, pool = prepare(kind, preparation), pool_of(5)
    found = predict(module, pool, how=Inference(batch=4))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    expected = predict(module, pool, how=Inference(batch=4))
    for mine, other in ((found.raw, expected.raw), (found.encoding, expected.encoding)):
        # Predictions of an untrained head are small sums of larger numbers.
        close = max(1e-5 * np.abs(other).max(), 2e-7)
        np.testing.assert_allclose(mine, other, rtol=0, atol=close)
    assert len(np.unique(found.raw)) == len(pool)  # a mixed-up order would be seen


def test_pieces_go_on_at_the_same_time_in_order_and_are_drawn_late(two_threads: None):
    meeting, drawn, known = threading.Barrier(2, timeout=20), list[int](), list[int]()

    def pieces():
        for piece in range(6):
            drawn.append(piece)
            yield piece

    def work(piece: int) -> tuple[int, int]:
        meeting.wait()  # nobody passes alone
        time.sleep(0.01 * (piece % 2))
        return piece, torch.get_num_threads()

    for piece, threads in side_by_side(work, pieces(), threads=2):
        known.append(piece)
        assert threads == 1
        assert len(drawn) <= piece + 3
    assert known == list(range(6))
    assert torch.get_num_threads() == 2


def test_a_thread_that_first_computes_later_does_so_alone(two_threads: None):
    """Not with the number that the process has by then: bits would depend on who takes a piece."""
    side_by_side_module._workers.cache_clear()
    meeting = threading.Barrier(3, timeout=20)
    list(side_by_side(lambda _: meeting.wait(), range(3), threads=3))
    assert torch.get_num_threads() == 2

    def work(_: int) -> tuple[str, int]:
        meeting.wait()
        return threading.current_thread().name, torch.get_num_threads()

    found = list(side_by_side(work, range(3), threads=3))
    assert [number for _, number in found] == [1, 1, 1]
    assert len({name for name, _ in found}) == 3


def test_an_error_comes_out_and_the_threads_number_is_set_back(two_threads: None):
    def work(piece: int) -> int:
        if piece == 1:
            raise ValueError("the second")
        return piece

    with pytest.raises(ValueError, match="the second"):
        list(side_by_side(work, range(4), threads=2))
    assert torch.get_num_threads() == 2
