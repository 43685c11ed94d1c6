"""Initial weights: laws and moments for each initialiser, and the order of the flat vector."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from zoogen.archs import ARCHS
from zoogen.description import Architecture
from zoogen.errors import PlanError
from zoogen.members import Member
from zoogen.train.init import (
    KERNEL_INITIALISERS,
    TRUNCATED_STD,
    fans,
    initial_weights,
    orthogonal,
    truncated_normal,
)

ARCH1 = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
ARCH2 = ARCHS["arch2"].describe(input_shape=(3, 28, 28), classes=10)
SIREN = ARCHS["siren"].describe(input_shape=(1,), classes=1)
CUT_AT_2 = stats.truncnorm(-2, 2)


def member(seed: int = 1, **config) -> Member:
    return Member(index=0, seed=seed, split="test", config=config)


def pooled(arch: Architecture, tensor: str, count: int, **config) -> np.ndarray:
    spec = next(t for t in arch.tensors if t.name == tensor)
    at = slice(spec.offset, spec.offset + spec.size)
    return np.stack([initial_weights(arch, member(seed, **config))[at] for seed in range(count)])


def same_law(values: np.ndarray, law) -> bool:
    return stats.kstest(values.ravel(), law.cdf).pvalue > 0.001


def normal(std: float):
    return stats.norm(0, std)


def between(bound: float):
    return stats.uniform(-bound, 2 * bound)


def cut(std: float):
    return stats.truncnorm(-2, 2, 0, std)


@pytest.mark.parametrize(
    ("w_init", "law", "wrong"),
    [
        ("he_normal", cut(math.sqrt(2 / 144) / TRUNCATED_STD), cut(math.sqrt(2 / 144))),
        ("glorot_normal", cut(math.sqrt(2 / 288) / TRUNCATED_STD), normal(math.sqrt(2 / 288))),
        ("RandomNormal", normal(0.05), cut(0.05 / TRUNCATED_STD)),
        ("TruncatedNormal", cut(0.05), cut(0.05 / TRUNCATED_STD)),
        ("uniform", stats.uniform(0, 1), stats.uniform(-1, 2)),
        ("normal", normal(1.0), normal(0.9)),
        ("kaiming_normal", normal(math.sqrt(2 / 144)), cut(math.sqrt(2 / 144) / TRUNCATED_STD)),
        ("kaiming_uniform", between(math.sqrt(6 / 144)), between(math.sqrt(3 / 144))),
    ],
)
def test_laws_of_the_second_convolution(w_init: str, law, wrong) -> None:
    values = pooled(ARCH1, "conv2.weight", 10, w_init=w_init, init_std=0.05)
    assert same_law(values, law)
    assert not same_law(values, wrong)


def test_variance_corrected_initialisers_have_the_named_standard_deviation() -> None:
    assert CUT_AT_2.std() == pytest.approx(TRUNCATED_STD, rel=1e-12)
    he = pooled(ARCH2, "conv1.weight", 100, w_init="he_normal", init_std=9.0)
    glorot = pooled(ARCH2, "fc1.weight", 100, w_init="glorot_normal", init_std=9.0)
    assert he.std() == pytest.approx(math.sqrt(2 / 75), rel=0.02)
    assert glorot.std() == pytest.approx(math.sqrt(2 / (36 + 20)), rel=0.02)


def test_fans_of_kernels_and_matrices() -> None:
    assert fans((8, 3, 5, 5)) == (75, 200)
    assert fans((20, 36)) == (36, 20)


def test_orthogonal_over_kernel_positions_and_inputs() -> None:
    rng = np.random.default_rng(0)
    for shape in [(16, 1, 3, 3), (16, 16, 3, 3), (4, 6, 2, 2), (10, 16), (20, 36), (10, 5)]:
        matrix = orthogonal(rng, shape).reshape(shape[0], -1)
        small = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
        assert np.abs(small - np.eye(len(small))).max() < 1e-12
        assert np.abs(rng.standard_normal(small.shape) - np.eye(len(small))).max() > 0.1


def test_orthogonal_matrices_are_uniform_among_all() -> None:
    """An entry of a Haar matrix is spread like one coordinate of a point on the sphere."""
    rng = np.random.default_rng(1)
    draws = np.stack([orthogonal(rng, (3, 5)) for _ in range(3_000)])
    law = stats.beta(0.5, 2.0)  # squared coordinate on the sphere in five dimensions
    for i, j in [(0, 0), (2, 4)]:
        assert stats.kstest(draws[:, i, j] ** 2, law.cdf).pvalue > 0.001
        assert abs((draws[:, i, j] > 0).mean() - 0.5) < 4 * 0.5 / math.sqrt(3_000)


def test_orthogonal_layout_is_that_of_keras() -> None:
    """Keras reshapes a (kh·kw·in, out) matrix; ours is the same numbers, axes moved."""
    kernel = orthogonal(np.random.default_rng(5), (4, 3, 2, 2))
    flat = np.linalg.qr(np.random.default_rng(5).standard_normal((12, 4)))
    keras = (flat.Q * np.sign(np.diag(flat.R))).reshape(2, 2, 3, 4)
    assert np.allclose(kernel, keras.transpose(3, 2, 0, 1), atol=1e-12)
    assert not np.allclose(kernel, keras.transpose(3, 2, 1, 0), atol=1e-3)


def test_truncation_leaves_nothing_outside() -> None:
    values = truncated_normal(np.random.default_rng(2), (100, 1_000), 0.3)
    assert np.abs(values).max() <= 0.6
    assert same_law(values[:10], cut(0.3))


@pytest.mark.parametrize("w_init", KERNEL_INITIALISERS)
@pytest.mark.parametrize("arch", [ARCH1, ARCH2], ids=["arch1", "arch2"])
def test_biases_are_zero_and_kernels_are_not(arch: Architecture, w_init: str) -> None:
    weights = initial_weights(arch, member(w_init=w_init, init_std=0.1))
    assert weights.dtype == np.float32
    assert weights.shape == (arch.parameters,)
    for tensor in arch.tensors:
        part = weights[tensor.offset : tensor.offset + tensor.size]
        assert (part == 0).all() if tensor.role == "bias" else (part != 0).all()


def test_siren_as_the_published_code() -> None:
    first = pooled(SIREN, "layer1.weight", 300)
    second = pooled(SIREN, "layer2.weight", 20)
    last = pooled(SIREN, "layer3.weight", 300)
    bias = pooled(SIREN, "layer3.bias", 2_000)
    ends = {"first": math.sqrt(6) / 30, "second": math.sqrt(6 / 32) / 30, "last": 1 / math.sqrt(32)}
    for values, end in [
        (first, ends["first"]),
        (second, ends["second"]),
        (last, ends["last"]),
        (bias, ends["last"]),
    ]:
        assert same_law(values, stats.uniform(-end, 2 * end))
        assert not same_law(values, stats.uniform(-end / 2, end))
    assert not pooled(SIREN, "layer1.bias", 2).any()
    assert not pooled(SIREN, "layer2.bias", 2).any()


def test_the_last_siren_layer_is_what_torch_does_by_default() -> None:
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Linear(32, 1) for _ in range(300)]
    theirs = torch.stack([layer.weight.detach() for layer in layers]).numpy().ravel()
    ours = pooled(SIREN, "layer3.weight", 300).ravel()
    assert stats.kstest(ours, theirs).pvalue > 0.001


def test_a_member_s_weights_depend_on_its_seed_and_nothing_else() -> None:
    config = {"w_init": "he_normal", "init_std": 0.1}
    one, again, other = (initial_weights(ARCH1, member(s, **config)) for s in (4, 4, 5))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_golden_start() -> None:
    weights = initial_weights(ARCH1, member(7, w_init="orthogonal", init_std=0.1))
    assert weights[[0, 160, 4969 - 10]].tolist() == pytest.approx(GOLDEN, rel=1e-6)


GOLDEN = [-0.04141109436750412, -0.11589094251394272, -0.06473302096128464]


def test_biases_have_the_named_value() -> None:
    weights = initial_weights(ARCH1, member(w_init="normal", init_std=1.0, b_init="0.01"))
    for tensor in ARCH1.tensors:
        values = weights[tensor.offset : tensor.offset + tensor.size]
        assert (values == np.float32(0.01)).all() == (tensor.role == "bias")


def test_refusals() -> None:
    with pytest.raises(PlanError, match="no initialiser 'zeros'; there are: he_normal, "):
        initial_weights(ARCH1, member(w_init="zeros", init_std=0.1))
    buffer = replace(ARCH1.tensors[0], role="buffer")
    odd = replace(ARCH1, tensors=(buffer, *ARCH1.tensors[1:]))
    with pytest.raises(PlanError, match=r"no initial value for buffer 'conv1\.weight'"):
        initial_weights(odd, member(w_init="he_normal", init_std=0.1))
