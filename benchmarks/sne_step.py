"""How near a training step of SNE comes to the rate of a matrix product, in the same process.

What counts as work: the products of the encoder by `sne.work`, three times (forward, and two
gradients for each), nothing that is computed again. As is usual for rates, that is the work of the
formulas, however it is done: attention between single numbers, which `sne.fused` does without a
product, counts in full; the note says what the share is without it. The time is a whole step's:
gathering and encoding the weights, softmax, the head, the loss, both passes and the optimizer.

The product is what one of the encoder's layers would be on all tokens (chunks) of the batch, by
torch, into memory that is there. It stays within the cache; the batch's elements, of which there
are 30 times as many, would not, and such a product has a lower rate.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import encoders
from benchmarks.encoders import ARCHITECTURES, BATCH
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, Unmeasurable, main
from benchmarks.timing import Contender, race, require, speedup
from sne.model import Batch, Group
from sne.native.library import load
from sne.schedule import OptimizerConfig, make_optimizer
from sne.sne import Sne
from sne.work import forward_flops, spared_flops
from zoogen.native_code.build import compiler

BOUND = Promise(bound=0.6)
ROUNDS = 3
SIDE = 1024
"""Of the large square product."""
REPEATS = 50
"""Products in a round, so that it can be timed."""
FEW = 16
"""Networks of a step that is compiled."""
CLOSE = 1e-4
"""Distance of two gradients, as a share of one."""


def share(device: str) -> Iterator[Row]:
    """The step's arithmetic rate over that of a product of tokens, and of a large one; two rows."""
    if device == "cuda" and not torch.cuda.is_available():
        raise Unmeasurable("not measured: there is no GPU here")
    module, batch = _made("arch1", device)
    shapes, width = module.encoder.plan(batch).shapes, module.config.width
    tokens = sum(count for count, _ in shapes["chunks"])
    x, layer = torch.randn(tokens, width, device=device), nn.Linear(width, width, device=device)
    wide = torch.randn(SIDE, SIDE, device=device)
    product = REPEATS * 2 * tokens * width**2
    contenders = [
        Contender(
            label="a step",
            run=_waiting(step(module, batch), device),
            work=3 * forward_flops(shapes, module.config),
        ),
        Contender(label="product", run=_repeated(_into(x, layer.weight), device), work=product),
        Contender(
            label="GEMM", run=_repeated(_into(wide, wide), device), work=REPEATS * 2 * SIDE**3
        ),
    ]
    check = partial(check_gradients, "arch1", device)
    # On the CPU the process's own time, which other processes disturb less.
    clock = time.process_time if device == "cpu" else time.perf_counter
    samples = race(contenders, check=check, rounds=ROUNDS, clock=clock)
    rates = {label: found.rate / 1e9 for label, found in samples.items()}
    ours = samples["a step"]
    fused = device == "cpu" and load(width=width, heads=module.config.heads) is not None
    computed = 1 - 3 * spared_flops(shapes, module.config) / ours.work if fused else 1.0
    for other, what in (("product", f"({tokens:,} × {width})·({width} × {width})"), ("GEMM", SIDE)):
        promised = other == "product" and device == "cpu"
        yield Row(
            name=f"sne_step/{device}-{other.lower()}",
            what=f"{device}, training step on {BATCH} arch1: arithmetic rate / {other} {what}",
            unit="of the rate",
            promise=BOUND if promised else None,
            reached=speedup(ours, samples[other]),
            samples=(ours, samples[other]),
            note=(
                f"{rates['a step']:.0f} of {rates[other]:.0f} GFLOP/s; {ours.median:.2f} s a step; "
                f"{computed:.1%} of the products are computed, so "
                f"{computed * speedup(ours, samples[other]):.3f} by these alone"
            ),
        )


def compiled() -> Iterator[Row]:
    """What `--compile` gives on a CPU, its start shown."""
    if not compiler():
        raise Unmeasurable("not measured: there is no C++ compiler here")
    module, batch = _made("siren", "cpu", count=FEW)
    faster = copy.deepcopy(module)
    faster.compile()
    began = time.perf_counter()
    first = gradient(faster, batch)
    start_s = time.perf_counter() - began
    apart = float((first - gradient(module, batch)).norm() / first.norm())

    def check() -> None:
        require(apart < CLOSE, f"compiled, gradients are {apart:.2g} of their size apart")

    contenders = [
        Contender(label=label, run=step(made, batch), work=FEW)
        for label, made in (("compiled", faster), ("eager", module))
    ]
    ours, eager = race(contenders, check=check, clock=time.process_time).values()
    yield Row(
        name="sne_step/cpu-compiled",
        what=f"cpu, training step on {FEW} siren: torch.compile / eager",
        reached=speedup(ours, eager),
        samples=(ours, eager),
        note=(
            f"the first step took {start_s:.0f} s, and more with more slabs in a batch, of which "
            f"each is compiled; then {ours.median:.2f} against {eager.median:.2f} s"
        ),
    )


def step(module: Sne, batch: Batch) -> Callable[[], None]:
    """One step as `sne.fit` makes it, on a loss of the predictions alone."""
    optimizer = make_optimizer(OptimizerConfig(), module.parameters())

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        module(batch).prediction.square().mean().backward()
        optimizer.step()

    return run


def check_gradients(family: str, device: str) -> None:
    """Gradients are those in double precision, and encodings those of the walk."""
    module, batch = _made(family, device, count=2)
    exact = copy.deepcopy(module).double()
    found = gradient(module, batch)
    weights = [Group(architecture=g.architecture, weights=g.weights.double()) for g in batch]
    expected = gradient(exact, weights)
    apart = float((found - expected).norm() / expected.norm())
    require(apart < CLOSE, f"gradients are {apart:.2g} of their size apart from exact ones")
    encodings = encoders.encodings(module.encoder, batch).cpu()
    module, batch = _made(family, "cpu", count=2)
    encoders.require_encodings(encodings, encoders.walked(module, batch), "the walk")


def gradient(module: Sne, batch: Batch) -> Tensor:
    """Of the mean square of the predictions, all parameters in a row."""
    module.zero_grad()
    module(batch).prediction.square().mean().backward()
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def _made(family: str, device: str, *, count: int = BATCH) -> tuple[Sne, Batch]:
    architecture = ARCHITECTURES[family]
    group = encoders.networks(architecture, count)
    placed = Group(architecture=architecture, weights=group.weights.to(device))
    return encoders.sne(architecture).to(device), [placed]


def _into(a: Tensor, b: Tensor) -> Callable[[], object]:
    out = torch.empty(a.shape[0], b.shape[0], device=a.device)
    return partial(torch.mm, a, b.detach().t(), out=out)


def _repeated(act: Callable[[], object], device: str) -> Callable[[], None]:
    def run() -> None:
        with torch.no_grad():
            for _ in range(REPEATS):
                act()

    return _waiting(run, device)


def _waiting(act: Callable[[], None], device: str) -> Callable[[], None]:
    """Until the device is done."""

    def run() -> None:
        act()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


ROWS: Mapping[str, Measure] = {
    "cpu": partial(share, "cpu"),
    "cpu-compiled": compiled,
    "cuda": partial(share, "cuda"),
}

if __name__ == "__main__":
    main("sne_step", ROWS, long={})
