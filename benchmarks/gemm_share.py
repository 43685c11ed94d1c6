"""How near training comes to the rate of a matrix product, measured in the same process.

Multiplications and additions of a step are counted by torch on the plain network, forward and
backward, without what activations, dropout and the optimizer add.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import baselines, jobs
from benchmarks.cnn import DROPOUT, check_same_weights, tensors
from benchmarks.table import Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Contender, race, require, speedup

BATCH = 512
IMAGES = 8192
EPOCHS = 8
SIDE = 1024
"""Of the square float32 matrices."""
PRODUCTS = 20
AIM = 0.4
FORWARD: Mapping[str, int] = {
    "arch1": 2 * (9 * 16 * 13**2 + 144 * 16 * 6**2 + 144 * 16 * 2**2 + 160),
    "arch2": 2 * (25 * 8 * 24**2 + 200 * 6 * 8**2 + 24 * 4 * 3**2 + 36 * 20 + 200),
}
"""One image forward, by hand: kernel entries × positions."""


def share(arch: str, dropout: float) -> Iterator[Row]:
    """The engine's arithmetic rate over that of a matrix product."""
    job = jobs.cnn_job(arch, batch=BATCH, images=IMAGES, epochs=EPOCHS)
    team = jobs.chosen(job)
    members = jobs.cnn_members(team.members, dropout=dropout)
    flops = step_flops(arch) / BATCH
    work = len(members) * EPOCHS * IMAGES * flops
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    contenders = [
        Contender(label=team.name, run=lambda: team.train(job, members), work=work),
        Contender(label="GEMM", run=partial(_multiply, a, b), work=2 * SIDE**3 * PRODUCTS),
    ]
    ours, gemm = race(contenders, check=partial(_check, arch, team)).values()
    masks = f"dropout {dropout}" if dropout else "no dropout"
    yield Row(
        name=f"gemm_share/{arch}{'' if dropout else '-nodropout'}",
        what=f"{arch}, batch {BATCH}, {masks}: arithmetic rate / GEMM",
        unit="of the GEMM rate",
        reached=speedup(ours, gemm),
        samples=(ours, gemm),
        note=(
            f"aim {AIM}; {ours.rate / 1e9:.1f} of {gemm.rate / 1e9:.1f} GFLOP/s, "
            f"{flops / 1e6:.2f} MFLOP an image"
        ),
    )


def step_flops(arch: str) -> int:
    """One training step of the plain network, counted by torch."""
    images, labels = tensors(jobs.image_data(train=BATCH))
    model = baselines.cnn(arch, dropout=0.0)
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(images), labels).backward()
    return counter.get_total_flops()


def _check(arch: str, team: jobs.Team) -> None:
    check_same_weights(arch, BATCH, team)
    images, _ = tensors(jobs.image_data(train=BATCH))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        baselines.cnn(arch, dropout=0.0)(images)
    counted = counter.get_total_flops()
    require(counted == BATCH * FORWARD[arch], f"{arch}: torch counts {counted} FLOPs forward")


def _multiply(a: torch.Tensor, b: torch.Tensor) -> None:
    for _ in range(PRODUCTS):
        torch.mm(a, b)


ROWS: Mapping[str, Measure] = {
    f"{arch}{'' if dropout else '-nodropout'}": partial(share, arch, dropout)
    for arch in ("arch1", "arch2")
    for dropout in (DROPOUT, 0.0)
}

if __name__ == "__main__":
    main("gemm_share", ROWS, long={})
