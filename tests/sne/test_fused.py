"""Blocks in one call against the same blocks made of torch's operations."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sne import fused
from sne.blocks import Pma, Sab
from sne.native import library

pytestmark = pytest.mark.skipif(
    library.load(width=64, heads=4) is None, reason="no C++ compiler here"
)
SETS = [(7, 32), (3, 72), (40, 5), (250, 1), (2, 300), (65, 10)]
Block: TypeAlias = Sab | Pma


def made(block: str, *, width: int, heads: int) -> Block:
    torch.manual_seed(0)
    entering = 1 if block == "numbers" else width
    return Pma(width, width, heads=heads) if block == "pma" else Sab(entering, width, heads=heads)


def sets(block: str, count: int, size: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    entering = 1 if block == "numbers" else width
    x = torch.randn(count, size, entering, generator=generator)
    return x.requires_grad_(block != "numbers")


def some(count: int, size: int) -> Tensor:
    """A mask of any pattern, with one real element at least."""
    mask = torch.rand(count, size, generator=torch.Generator().manual_seed(2)) < 0.6
    mask[:, -1] |= ~mask.any(1)
    return mask


def results(module: Block, x: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
    """What a block gives, and the gradients of a sum over it."""
    y = module(x, mask)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(y.dtype)
    module.zero_grad()
    x.grad = None
    (y * weights).sum().backward()
    given = {n: p.grad for n, p in module.named_parameters() if p.grad is not None}
    return {"y": y.detach(), **given, **({} if x.grad is None else {"x": x.grad})}


def exact(module: Block, x: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
    """The same in double precision, which no fused block takes."""
    wide = x.detach().double().requires_grad_(x.requires_grad)
    return results(deepcopy(module).double(), wide, mask)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("block", ["sab", "numbers", "pma"])
@pytest.mark.parametrize(("width", "heads"), [(64, 4), (32, 4)])
def test_results_and_gradients_are_those_of_torch(
    width: int, heads: int, block: str, masked: bool, calls: list[str]
):
    module = made(block, width=width, heads=heads)
    for count, size in SETS:
        x, mask = sets(block, count, size, width), some(count, size) if masked else None
        found, expected = results(module, x, mask), exact(module, x, mask)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            apart = (found[name] - value).norm()
            assert apart <= 2e-6 * value.norm(), f"{name} of {count} sets of {size}"
    assert calls == [block] * len(SETS)


@pytest.mark.parametrize("block", ["sab", "numbers", "pma"])
def test_nothing_is_kept_and_nothing_else_changes_without_gradients(block: str):
    module, x = made(block, width=64, heads=4), sets(block, 9, 32, 64)
    with torch.no_grad():
        found = module(x, some(9, 32))
    assert not found.requires_grad
    assert torch.equal(found, results(module, x, some(9, 32))["y"])


@pytest.mark.parametrize("block", ["sab", "numbers", "pma"])
def test_a_set_is_computed_alike_wherever_it_lies(block: str):
    module, x = made(block, width=64, heads=4), sets(block, 50, 7, 64)
    with torch.no_grad():
        whole, part = module(x), module(x[31:33])
    # What a PMA does once for each set is torch's, whose bits depend on how many sets there are.
    close = torch.allclose(whole[31:33], part, atol=1e-6)
    assert close if block == "pma" else torch.equal(whole[31:33], part)


@pytest.mark.parametrize("block", ["sab", "numbers", "pma"])
def test_large_scores_stay_finite_and_right(block: str):
    module, x = made(block, width=64, heads=4), sets(block, 4, 32, 64)
    with torch.no_grad():
        x *= 300
    found, expected = results(module, x, None), exact(module, x, None)
    assert all(torch.isfinite(value).all() for value in found.values())
    assert ((found["y"] - expected["y"]).norm() / expected["y"].norm()) < 1e-4


@pytest.mark.parametrize("block", ["sab", "numbers", "pma"])
def test_what_is_not_finite_shows_in_its_own_set_alone(block: str):
    module, x = made(block, width=64, heads=4), sets(block, 9, 32, 64).detach()
    x[4, 3, 0] = torch.nan
    with torch.no_grad():
        good = module(x).flatten(1).isfinite().all(1)
    assert good.tolist() == [i != 4 for i in range(9)]


def test_threads_do_not_disturb_each_other():
    module, inputs = made("sab", width=64, heads=4), [sets("sab", 60, 32, 64) for _ in range(4)]
    alone = [results(deepcopy(module), x, None) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(lambda x: results(deepcopy(module), x, None), inputs))
    for one, other in zip(alone, beside, strict=True):
        assert all(torch.equal(other[name], value) for name, value in one.items())


@pytest.mark.parametrize("block", ["sab", "pma"])
def test_what_it_cannot_take_goes_by_operations(block: str, calls: list[str]):
    few = made(block, width=16, heads=4)
    few(sets(block, 3, 8, 16))  # heads of four numbers
    module, x = made(block, width=64, heads=4), sets(block, 1, fused.LARGEST + 1, 64)
    module(x)
    module.double()(x[:, :9].double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module.float()(x[:, :9])
    number = torch.randn(3, 8, 1, requires_grad=True)
    made("numbers", width=64, heads=4)(number).sum().backward()
    assert number.grad is not None
    assert not calls
    module(x[:, :9])
    assert calls == [block]


def test_without_a_compiler_blocks_are_made_of_operations(
    monkeypatch: pytest.MonkeyPatch, calls: list[str]
):
    monkeypatch.setattr(fused, "load", lambda **_: None)
    for block in ("sab", "numbers", "pma"):
        module, x = made(block, width=64, heads=4), sets(block, 5, 32, 64)
        found, expected = results(module, x, some(5, 32)), exact(module, x, some(5, 32))
        assert ((found["y"] - expected["y"]).norm() / expected["y"].norm()) < 2e-6
    assert not calls


def test_code_that_does_not_compile_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cache_dir: object
):
    (source := cache_folder(cache_dir)).joinpath("blocks.cpp").write_text("this is no C++")
    monkeypatch.setattr(library, "HERE", source)
    library.load.cache_clear()
    library.log.addHandler(caplog.handler)
    try:
        assert library.load(width=64, heads=4) is None
        assert library.load(width=64, heads=4) is None
    finally:
        library.log.removeHandler(caplog.handler)
        library.load.cache_clear()
    [line] = {r.getMessage() for r in caplog.records if r.levelname == "WARNING"}
    assert "could not compile the attention code" in line
    assert line.startswith("attention runs by torch's own operations, more slowly")


def cache_folder(given: Any) -> Any:
    folder = given / "source"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blocks that ran fused, one after another."""
    seen: list[str] = []
    forward = library.Library.forward

    def noted(self: Any, block: Any, *arguments: Any) -> None:
        seen.append(block)
        forward(self, block, *arguments)

    monkeypatch.setattr(library.Library, "forward", noted)
    return seen


def test_weights_that_are_frozen_get_no_gradient():
    module: nn.Module = made("sab", width=64, heads=4)
    x = sets("sab", 3, 8, 64)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    module(x).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize("block", ["sab", "numbers", "pma"])
def test_blocks_can_be_computed_again_for_their_gradients(block: str):
    module, x = made(block, width=64, heads=4), sets(block, 9, 32, 64)
    expected = results(module, x, None)

    class Again(nn.Module):
        def forward(self, x: Tensor, mask: Tensor | None) -> Any:
            return checkpoint(module, x, mask, use_reentrant=False)

    again: Any = Again()
    again.zero_grad, again.named_parameters = module.zero_grad, module.named_parameters
    found = results(again, x, None)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_what_would_be_read_as_something_else_is_refused():
    module, x = made("sab", width=64, heads=4), sets("sab", 3, 8, 64)
    with pytest.raises(TypeError, match=r"wanted a boolean mask of \(3, 8\), got .* of \(1, 8\)"):
        fused._fused(code(), "sab", x, some(1, 8), *layers(module))
    with pytest.raises(TypeError, match="wanted a boolean mask"):
        fused._fused(code(), "sab", x, some(3, 8).float(), *layers(module))
    with pytest.raises(
        TypeError, match=r"wanted weights as the elements are, torch.float32 on cpu"
    ):
        fused._fused(code(), "sab", x, None, *layers(module.double()))


def code() -> library.Library:
    found = library.load(width=64, heads=4)
    assert found is not None
    return found


def layers(module: Any) -> list[Tensor]:
    return [t for part in (module.project, module.feed) for t in (part.weight, part.bias)]
