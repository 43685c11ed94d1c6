"""What is particular to engine `native`: the source it writes, its packing, its compiler.

That it trains as `loop` does is tested with all engines in test_engines_agree.py.
"""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from zoogen.archs import ARCHS
from zoogen.description import Architecture, Edge
from zoogen.errors import PlanError
from zoogen.native_code import build
from zoogen.train import dropout
from zoogen.train.native import engine, library, packing, source
from zoogen.train.native.engine import NativeEngine

ARCH2 = ARCHS["arch2"].describe(input_shape=(3, 28, 28), classes=10)
NEEDS_COMPILER = pytest.mark.skipif(build.compiler() is None, reason="no C++ compiler here")


def test_the_source_is_a_list_of_calls_with_constant_sizes() -> None:
    text = source.write(ARCH2)
    assert "using K0 = Conv<3, 28, 28, 8, 5, 5, 1>;" in text
    assert "max_pool<8, 24, 24, 2>" in text
    # The linear layer behind the flatten is the convolution that covers the map.
    assert "using K5 = Conv<4, 3, 3, 20, 3, 3, 1>;" in text
    # Dropout sites count in node order; the logits have none.
    assert "activate<20, 3>" in text
    assert "NO_DROPOUT" not in text


def test_packing_inverts_and_reads_a_flattened_layer_as_a_kernel(rng: np.random.Generator) -> None:
    order = packing.packing_order(ARCH2)
    flat = rng.normal(size=ARCH2.parameters).astype(np.float32)
    packed = packing.pack(flat, order, np.float32)
    assert np.array_equal(packing.unpack(packed, order), flat)
    weight = next(t for t in ARCH2.tensors if t.name == "fc1.weight")
    part = slice(weight.offset, weight.offset + weight.size)
    kernel = flat[part].reshape(20, 4, 3, 3)
    assert np.array_equal(packed[part].reshape(3, 3, 4, 20), kernel.transpose(2, 3, 1, 0))


def _with_node(architecture: Architecture, name: str, **changes: object) -> Architecture:
    nodes = tuple(
        replace(n, **changes) if n.name == name else n  # pyright: ignore[reportArgumentType]
        for n in architecture.nodes
    )
    return replace(architecture, nodes=nodes)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        (_with_node(ARCH2, "conv1", padding=(1, 1)), "it has no padded convolution (conv1)"),
        (_with_node(ARCH2, "conv3", activation="silu"), "it has no activation 'silu' (conv3)"),
        (_with_node(ARCH2, "pool1", stride=(1, 1)), "it wants pools that do not overlap (pool1)"),
        (_with_node(ARCH2, "fc1", op="layer_norm"), "it has no layer_norm"),
        (
            replace(
                ARCH2,
                edges=(*ARCH2.edges, Edge(source="conv1", target="conv3", kind="residual")),
            ),
            "it runs sequential networks only",
        ),
    ],
)
def test_what_it_cannot_write_is_refused_with_a_reason(
    architecture: Architecture, reason: str
) -> None:
    assert source.refusal(architecture) == reason


def test_the_published_architectures_are_not_refused() -> None:
    siren = ARCHS["siren"].describe(input_shape=(1,), classes=1)
    assert source.refusal(ARCH2) is None
    assert source.refusal(siren) is None


@NEEDS_COMPILER
def test_a_compiler_that_fails_is_quoted(cache_dir: object) -> None:
    with pytest.raises(PlanError, match=r"(?s)could not compile .* error.*use --engine vmap"):
        library.build_network("this is no C++", precision="float32", lanes=8)


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "compiler", lambda: None)
    monkeypatch.setattr(engine, "compiler", lambda: None)
    assert NativeEngine().name == "native"
    build.compiler_version.cache_clear()
    with pytest.raises(PlanError, match="wanted a C\\+\\+ compiler and found none"):
        build.compiler_version()


@NEEDS_COMPILER
def test_processes_that_start_together_compile_once(cache_dir: object) -> None:
    code = (
        "from zoogen.archs import ARCHS\n"
        "from zoogen.train.native import library\n"
        "a = ARCHS['siren'].describe(input_shape=(1,), classes=1)\n"
        "library.load(a, precision='float32')\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    folder = build.cache_root() / "native"
    assert len(list(folder.glob("*.so"))) == 1
    assert not list(folder.glob("compiling-*"))


@NEEDS_COMPILER
def test_a_library_is_keyed_by_what_made_it(cache_dir: object) -> None:
    first = library.build_network(source.write(ARCH2), precision="float32", lanes=8)
    assert library.build_network(source.write(ARCH2), precision="float32", lanes=8) == first
    assert library.build_network(source.write(ARCH2), precision="float32", lanes=4) != first


@NEEDS_COMPILER
def test_two_networks_in_one_process_do_not_share_symbols() -> None:
    siren = ARCHS["siren"].describe(input_shape=(1,), classes=1)
    units = [library.load(a, precision="float32").units for a in (ARCH2, siren, ARCH2)]
    assert units == [8658, 130, 8658]


def test_the_rate_is_handed_over_as_an_integer() -> None:
    # stages.hpp compares 16 random bits with this number, as dropout.py does.
    assert dropout.threshold(0.35) == 22938
