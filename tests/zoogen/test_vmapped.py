"""What `vmap` promises beyond the contract: nothing is read back inside a step; on a GPU too."""

from collections.abc import Iterator
from math import inf

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.zoogen.engine_cases import (
    classifier,
    disagreements,
    few_images,
    image_job,
    inr,
    signal_job,
    train,
)
from zoogen.train.engines import load_engine
from zoogen.train.vmapped import LOOK, _ImageGroup, _SignalGroup

READS_BACK = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "equal", "unique")
"""Operations whose result the host waits for; an index by booleans is one more."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Watch(TorchDispatchMode):
    """Notes every operation by which a value would leave the device."""

    def __init__(self) -> None:
        super().__init__()
        self.on = True
        self.seen: list[str] = []
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__.split(".")[0]
        by_booleans = name.startswith("index") and any(
            isinstance(i, torch.Tensor) and i.dtype == torch.bool
            for i in (args[1] if isinstance(args[1], list | tuple) else [])
        )
        self.calls += self.on
        if self.on and (name in READS_BACK or by_booleans):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def test_an_epoch_of_images_reads_nothing_back() -> None:
    members = [
        classifier(0, dropout=0.3),
        classifier(1, optimizer="sgd", activation="tanh", momentum=0.9),
        classifier(2, optimizer="rmsprop", learning_rate=inf),
    ]
    group = _ImageGroup(image_job(batch_size=16), members, "cpu")
    with Watch() as watch:
        group._epoch(0)
    assert watch.seen == []
    assert watch.calls > 100


def test_inr_steps_between_two_looks_read_nothing_back() -> None:
    group = _SignalGroup(signal_job(steps=LOOK - 1), [inr(0), inr(1, learning_rate=inf)], "cpu")
    with Watch() as watch:
        # The first report comes when all steps are done; results are read after it.
        next(group.run(lambda progress: setattr(watch, "on", False)))
    assert watch.seen == []
    assert watch.calls > 100


def test_the_watch_sees_what_is_read_back() -> None:
    with Watch() as watch:
        values = torch.arange(3.0)
        float(values[0])
        values[values > 1]
    assert watch.seen == ["_local_scalar_dense", "index"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_trains_the_same_networks() -> None:
    members = [
        classifier(i, optimizer=o, dropout=0.3, activation=("relu", "tanh")[i % 2])
        for i, o in enumerate(("sgd", "adam", "rmsprop"))
    ]
    inrs = [inr(i, frequency=1.0 + i) for i in range(4)]
    for job, group in (
        (image_job("arch2", precision="float64", data=few_images("arch2")), members),
        (signal_job(precision="float64"), inrs),
    ):
        snapshots = load_engine("vmap").train(job, group, device="cuda", report=lambda _: None)
        ours = {(s.member, s.epoch): s for s in snapshots}
        assert disagreements(ours, train("loop", job, group), weights=1e-6, metrics=1e-8) == []
