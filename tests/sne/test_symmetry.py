"""Symmetries: proven on the networks' own outputs, equal to numpy's, and a control that is none."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weight_cases import ARCH1, ARCH2, INFERRED, SIREN, attention, drawn, networks, tensor_rows

from sne.errors import SettingError
from sne.model import Group
from sne.symmetry import control_move, draw, functional_move, has_symmetry, move_batch
from zoogen.description import Architecture
from zoogen.forward import forward, parameters_of
from zoogen.permute import Symmetry, gather

CPU = torch.device("cpu")
CASES = {"arch1": (ARCH1, "tanh"), "arch2": (ARCH2, "relu"), "siren": (SIREN, None)}


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


@pytest.fixture(params=CASES)
def case(request) -> tuple[Architecture, str | None]:
    return CASES[request.param]


def outputs(group: Group, activation: str | None) -> torch.Tensor:
    """What the networks themselves compute, in double precision, on some inputs."""
    architecture = group.architecture
    x = torch.randn(
        5,
        *architecture.input_shape,
        generator=torch.Generator().manual_seed(2),
        dtype=torch.float64,
    )

    def one(weights: torch.Tensor) -> torch.Tensor:
        parameters = parameters_of(architecture, weights)
        return forward(architecture, parameters, x, config={"activation": activation})

    # 0.2: so that w0 = 30 does not turn the sines into noise.
    return torch.stack([one(w) for w in group.weights.double() * 0.2])


def change(group: Group, moved: Group, activation: str | None) -> torch.Tensor:
    """Largest change of each network's output, against the largest output."""
    before = outputs(group, activation)
    return (outputs(moved, activation) - before).abs().amax((1, 2)) / before.abs().max()


@pytest.mark.parametrize("flip_signs", [False, True])
def test_drawn_symmetries_leave_every_network_alone(case, flip_signs, generator):
    architecture, activation = case
    group = networks(architecture, 4)
    moved = move_batch([group], generator=generator, copies=2, flip_signs=flip_signs)
    assert len(moved) == 2
    for copy in moved:
        assert ((copy.weights != group.weights).double().mean(1) > 0.5).all()
        # float32 weights are moved exactly; only the order of sums differs.
        assert change(group, copy, activation).max() < 1e-10
    assert not torch.equal(moved[0].weights, moved[1].weights)


def test_signs_flip_where_they_are_allowed_and_asked_for(case, generator):
    architecture, _ = case
    group = networks(architecture, 2)
    for flip_signs in (False, True):
        (moved,) = move_batch([group], generator=generator, flip_signs=flip_signs)
        same = torch.equal(moved.weights.sort(1).values, group.weights.sort(1).values)
        assert same == (not flip_signs or architecture is not SIREN)
        assert torch.equal(moved.weights.abs().sort(1).values, group.weights.abs().sort(1).values)


def test_the_control_changes_every_network(case, generator):
    architecture, activation = case
    group = networks(architecture, 4)
    (moved,) = move_batch([group], generator=generator, functional=False)
    assert torch.equal(moved.weights.sort(1).values, group.weights.sort(1).values)
    assert change(group, moved, activation).min() > 1e-3


def test_the_control_moves_one_axis_of_one_tensor(generator):
    drawn_ = draw(ARCH1, 3, generator=generator)
    move = control_move(ARCH1, drawn_, count=3, device=CPU)
    index = move.index - torch.arange(ARCH1.parameters)
    touched = [t for t in ARCH1.tensors if (index[:, t.offset : t.offset + t.size] != 0).any()]
    assert [t.shape for t in touched] == [(16, 16, 3, 3)]
    own = touched[0]
    cells = move.index[:, own.offset : own.offset + own.size].view(3, *own.shape) - own.offset
    places = torch.arange(own.size).view(own.shape)
    fixed = [
        bool((cells // s % n == places // s % n).all()) for s, n in ((144, 16), (9, 16), (1, 9))
    ]
    assert fixed.count(False) == 1


@pytest.mark.parametrize("architecture", [ARCH1, SIREN, attention()], ids=lambda a: a.family)
def test_every_network_has_a_draw_of_its_own(architecture, generator):
    drawn_ = draw(architecture, 200, generator=generator, flip_signs=True)
    for name, orders in drawn_.orders.items():
        size = architecture.space(name).size
        assert torch.equal(orders.sort(-1).values, torch.arange(size).expand_as(orders))
        assert (orders[0] != orders[1]).any() or size < 5
        first = orders.reshape(-1, size)[:, 0].double()
        assert abs(float(first.mean()) - (size - 1) / 2) < 0.25 * size
    assert all(abs(float(s.mean())) < 0.15 and (s.abs() == 1).all() for s in drawn_.signs.values())
    assert drawn_.signs or architecture is ARCH1


def _numpy(architecture: Architecture, drawn_, network: int) -> tuple[np.ndarray, np.ndarray]:
    symmetry = Symmetry(
        orders={k: v[network].numpy() for k, v in drawn_.orders.items()},
        signs={k: v[network].numpy().astype(int) for k, v in drawn_.signs.items()},
    )
    return gather(architecture, symmetry)


@pytest.mark.parametrize(
    "architecture", [ARCH1, ARCH2, SIREN, attention(), INFERRED], ids=lambda a: a.family
)
def test_moves_are_those_of_the_description(architecture, generator):
    _agrees_with_numpy(architecture, generator)


@settings(max_examples=40, deadline=None)
@given(rows=tensor_rows(), seed=st.integers(0, 99))
def test_moves_are_those_of_any_description(rows, seed):
    _agrees_with_numpy(drawn(rows), torch.Generator().manual_seed(seed))


def _agrees_with_numpy(architecture: Architecture, generator: torch.Generator) -> None:
    drawn_ = draw(architecture, 3, generator=generator, flip_signs=True)
    move = functional_move(architecture, drawn_, count=3, device=CPU)
    for network in range(3):
        index, signs = _numpy(architecture, drawn_, network)
        assert np.array_equal(move.index[network].numpy(), index)
        assert np.array_equal(move.signs[network].numpy(), signs)
    # Of fewer, two draws may well be the same.
    if drawn_.orders and max(architecture.space(n).size for n in drawn_.orders) > 8:
        other = _numpy(architecture, draw(architecture, 3, generator=generator), 0)
        assert not np.array_equal(move.index[0].numpy(), other[0])


def test_equal_seeds_draw_equally():
    group = networks(SIREN, 2)
    one, again, other = (
        move_batch([group], generator=torch.Generator().manual_seed(seed))[0].weights
        for seed in (4, 4, 5)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_networks_without_declared_symmetries_stay_as_they_are(generator):
    assert has_symmetry(SIREN)
    assert not has_symmetry(INFERRED)
    group = networks(INFERRED, 2)
    (moved,) = move_batch([group], generator=generator)
    assert torch.equal(moved.weights, group.weights)
    with pytest.raises(SettingError, match="declares no permutable space that axes share"):
        move_batch([group], generator=generator, functional=False)
