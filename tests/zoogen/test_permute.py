"""The proof of a description: what it declares permutable is, and nothing else."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.zoogen.arch_cases import CLASSES, random_weights, smallest
from zoogen.archs import ARCHS, to_module
from zoogen.description import Architecture, Axis, Factor, Space, TensorSpec
from zoogen.permute import Symmetry, draw_symmetry, gather, permute

CASES = {
    "arch1-relu": ("arch1", (1, 28, 28), 10, {}, "relu"),
    "arch1-tanh": ("arch1", (1, 20, 20), 10, {}, "tanh"),
    "arch2-grey": ("arch2", (1, 28, 28), 10, {}, "tanh"),
    "arch2-colour": ("arch2", (3, 28, 28), 10, {}, "relu"),
    "siren": ("siren", (1,), 1, {}, "none"),
    "siren-image": ("siren", (2,), 3, {"width": 8, "depth": 5}, "none"),
    "schuerholt-large": ("schuerholt_large", (1, 32, 32), 10, {}, "gelu"),
    "mlp": ("mlp", (1, 6, 6), 10, {"width": 8}, "sigmoid"),
}
CHAINS = tuple(CASES)
CASES |= {
    name: (name, smallest(name).input_shape, CLASSES, {}, "none")
    for name in ARCHS
    if name not in {case[0] for case in CASES.values()} | {"schuerholt_small"}
}
"""A new architecture is proved here by being registered."""
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-10}


@pytest.fixture(params=CASES)
def case(request) -> tuple[Architecture, str]:
    name, shape, classes, options, activation = CASES[request.param]
    return ARCHS[name].describe(input_shape=shape, classes=classes, **options), activation


@pytest.fixture(params=CHAINS)
def chain(request) -> tuple[Architecture, str]:
    name, shape, classes, options, activation = CASES[request.param]
    return ARCHS[name].describe(input_shape=shape, classes=classes, **options), activation


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def _weights(architecture: Architecture, rng: np.random.Generator, dtype=np.float64) -> np.ndarray:
    scale = 0.04 if architecture.family == "siren" else 0.2
    return random_weights(architecture, rng, scale=scale).astype(dtype)


def _output(
    architecture: Architecture, activation: str, rng: np.random.Generator, dtype=np.float64
) -> Callable[[np.ndarray], np.ndarray]:
    """Weights to the module's output on one drawn input."""
    x = torch.from_numpy(rng.normal(size=(5, *architecture.input_shape)).astype(dtype))

    def output(weights: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return to_module(architecture, weights, {"activation": activation})(x).numpy()

    return output


def _change(output: Callable[[np.ndarray], np.ndarray], old: np.ndarray, new: np.ndarray) -> float:
    """Largest change of the output, relative to its size."""
    before = output(old)
    return float(np.abs(output(new) - before).max() / np.abs(before).max())


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("flip_signs", [False, True])
def test_declared_symmetries_leave_the_output_alone(case, rng, dtype, flip_signs):
    architecture, activation = case
    weights = _weights(architecture, rng, dtype)
    output = _output(architecture, activation, rng, dtype)
    for _ in range(3):
        symmetry = draw_symmetry(architecture, rng, flip_signs=flip_signs)
        moved = permute(architecture, symmetry, weights)
        assert moved.dtype == dtype
        assert (moved != weights).mean() > 0.5
        assert _change(output, weights, moved) < TOLERANCE[dtype]


def test_each_space_alone_leaves_the_output_alone(case, rng):
    architecture, activation = case
    weights = _weights(architecture, rng)
    output = _output(architecture, activation, rng)
    drawn = _moving_symmetry(architecture, rng)
    assert set(drawn.orders) == {s.name for s in architecture.spaces if s.permutable}
    for name, order in drawn.orders.items():
        moved = permute(architecture, Symmetry(orders={name: order}, signs={}), weights)
        assert not np.array_equal(moved, weights)
        assert _change(output, weights, moved) < 1e-10


def test_one_tensor_alone_changes_the_output(case, rng):
    """Every tensor takes part in the symmetry: without it the function is another."""
    architecture, activation = case
    weights = _weights(architecture, rng)
    output = _output(architecture, activation, rng)
    index, _ = gather(architecture, _moving_symmetry(architecture, rng))
    checked = 0
    for tensor in architecture.tensors:
        at = slice(tensor.offset, tensor.offset + tensor.size)
        moved = weights.copy()
        moved[at] = weights[index[at]]
        # A constant added to all keys leaves the softmax alone, wherever it stands.
        if np.array_equal(moved, weights) or tensor.name.endswith("key.bias"):
            continue
        assert _change(output, weights, moved) > 1e-6, tensor.name
        checked += 1
    assert checked > 2


def test_one_axis_alone_changes_the_output(chain, rng):
    architecture, activation = chain
    weights = _weights(architecture, rng)
    output = _output(architecture, activation, rng)
    symmetry = _moving_symmetry(architecture, rng)
    checked = 0
    for tensor, position in _movable_axes(architecture):
        moved = _permute_one_axis(architecture, symmetry, weights, tensor=tensor, axis=position)
        assert _change(output, weights, moved) > 1e-4, (tensor.name, position)
        checked += 1
    hidden = sum(s.permutable for s in architecture.spaces)
    assert checked == 3 * hidden  # rows of the weight, the bias, columns of the next weight


def _moving_symmetry(architecture: Architecture, rng: np.random.Generator) -> Symmetry:
    """Drawn again where chance left a space as it was: four channels stay once in 24 draws."""
    while True:
        symmetry = draw_symmetry(architecture, rng)
        # A row for each head, where a space lies within another.
        if all((order != np.arange(order.shape[-1])).any() for order in symmetry.orders.values()):
            return symmetry


def _movable_axes(architecture: Architecture) -> list[tuple[TensorSpec, int]]:
    return [
        (tensor, position)
        for tensor in architecture.tensors
        for position, axis in enumerate(tensor.axes)
        if any(architecture.space(f.space).permutable for f in axis.factors)
    ]


def _permute_one_axis(
    architecture: Architecture,
    symmetry: Symmetry,
    weights: np.ndarray,
    *,
    tensor: TensorSpec,
    axis: int,
) -> np.ndarray:
    """By hand: spell out the axis' product of spaces, reorder one of them, nothing else."""
    moved = weights.copy()
    block = moved[tensor.offset : tensor.offset + tensor.size]
    factors = sorted(tensor.axes[axis].factors, key=lambda f: -f.stride)
    inner = [architecture.space(f.space).size for f in factors]
    shape = (*tensor.shape[:axis], *inner, *tensor.shape[axis + 1 :])
    values = block.reshape(shape)
    for place, factor in enumerate(factors):
        if factor.space in symmetry.orders:
            values = values.take(symmetry.orders[factor.space], axis=axis + place)
    block[:] = values.reshape(-1)
    return moved


def test_applying_to_every_axis_by_hand_equals_permute(chain, rng):
    architecture, _ = chain
    weights = _weights(architecture, rng)
    symmetry = draw_symmetry(architecture, rng)
    by_hand = weights
    for tensor, position in _movable_axes(architecture):
        by_hand = _permute_one_axis(architecture, symmetry, by_hand, tensor=tensor, axis=position)
    assert np.array_equal(by_hand, permute(architecture, symmetry, weights))


def _with_space(architecture: Architecture, name: str, **changes: bool) -> Architecture:
    spaces = tuple(
        replace(space, **changes) if space.name == name else space for space in architecture.spaces
    )
    return replace(architecture, spaces=spaces)


@pytest.mark.parametrize(
    ("name", "wrong_space"),
    [("arch2-colour", "input"), ("arch2-colour", "fc2"), ("arch2-colour", "flatten.position"),
     ("arch1-relu", "fc"), ("arch1-relu", "conv2.rows"), ("siren-image", "layer5"),
     ("vit", "place"), ("vit", "classes"), ("vit", "patches.rows"), ("resnet", "classes"),
     ("resnet", "stage1_1_a.rows")],
)  # fmt: skip
def test_the_proof_fails_for_a_space_that_is_wrongly_called_permutable(rng, name, wrong_space):
    family, shape, classes, options, activation = CASES[name]
    right = ARCHS[family].describe(input_shape=shape, classes=classes, **options)
    wrong = _with_space(right, wrong_space, permutable=True)
    weights = _weights(right, rng)
    drawn = draw_symmetry(wrong, rng)
    size = right.space(wrong_space).size
    order = np.roll(np.arange(size), 1)  # never the identity
    moved = permute(wrong, replace(drawn, orders={**drawn.orders, wrong_space: order}), weights)
    assert _change(_output(right, activation, rng), weights, moved) > 1e-4


def test_the_proof_fails_for_a_product_read_in_the_wrong_order(rng):
    right = ARCHS["arch2"].describe(input_shape=(1, 28, 28), classes=10)
    swapped = Axis(
        size=36, factors=(Factor(space="conv3"), Factor(space="flatten.position", stride=4))
    )
    tensors = tuple(
        replace(t, axes=(t.axes[0], swapped)) if t.name == "fc1.weight" else t
        for t in right.tensors
    )
    wrong = replace(right, tensors=tensors)
    weights = _weights(right, rng)
    symmetry = replace(draw_symmetry(wrong, rng), orders={"conv3": np.array([1, 0, 3, 2])})
    output = _output(right, "relu", rng)
    assert _change(output, weights, permute(wrong, symmetry, weights)) > 1e-4
    assert _change(output, weights, permute(right, symmetry, weights)) < 1e-10


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_signs_are_a_symmetry_of_tanh_but_not_of_relu(rng, activation):
    described = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
    assert not draw_symmetry(described, rng, flip_signs=True).signs  # it speaks for both
    claimed = _with_space(described, "conv2", sign_flips=True)
    signs = {"conv2": np.where(np.arange(16) % 2, 1, -1)}
    weights = _weights(described, rng)
    moved = permute(claimed, Symmetry(orders={}, signs=signs), weights)
    change = _change(_output(described, activation, rng), weights, moved)
    assert change < 1e-10 if activation == "tanh" else change > 1e-4


def test_signs_are_drawn_only_when_asked_and_fairly(rng):
    architecture = ARCHS["siren"].describe(input_shape=(1,), classes=1, width=400)
    assert not draw_symmetry(architecture, rng).signs
    signs = draw_symmetry(architecture, rng, flip_signs=True).signs
    assert set(signs) == {"layer1", "layer2"}
    assert all(set(np.unique(s)) == {-1, 1} and abs(s.mean()) < 0.2 for s in signs.values())


def test_equal_seeds_draw_equal_symmetries():
    architecture = ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)
    first, again, other = (
        draw_symmetry(architecture, np.random.default_rng(seed)).orders["conv3"]
        for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_stack_of_networks_is_permuted_row_by_row(rng):
    architecture = ARCHS["siren"].describe(input_shape=(1,), classes=1)
    stack = rng.normal(size=(2, 3, architecture.parameters)).astype(np.float32)
    symmetry = draw_symmetry(architecture, rng, flip_signs=True)
    moved = permute(architecture, symmetry, stack)
    assert moved.dtype == np.float32
    assert np.array_equal(moved[1, 2], permute(architecture, symmetry, stack[1, 2]))


def test_gather_moves_every_entry_once(case, rng):
    architecture, _ = case
    index, signs = gather(architecture, draw_symmetry(architecture, rng, flip_signs=True))
    assert np.array_equal(np.sort(index), np.arange(architecture.parameters))
    assert set(np.unique(signs)) <= {-1, 1}


def test_no_order_at_all_is_the_identity(case):
    architecture, _ = case
    index, signs = gather(architecture, Symmetry(orders={}, signs={}))
    assert np.array_equal(index, np.arange(architecture.parameters))
    assert (signs == 1).all()


def test_space_within_another_has_a_row_for_each_outer_index(rng):
    spaces = (
        Space(name="head", size=3, permutable=True),
        Space(name="channel", size=50, permutable=True, within="head"),
    )
    architecture = Architecture(
        family="heads",
        input_shape=(1,),
        output_size=1,
        spaces=spaces,
        tensors=(),
        nodes=(),
        edges=(),
    )
    orders = draw_symmetry(architecture, rng).orders
    assert orders["channel"].shape == (3, 50)
    assert np.array_equal(np.sort(orders["channel"], axis=1), np.tile(np.arange(50), (3, 1)))
    assert not np.array_equal(orders["channel"][0], orders["channel"][1])
