"""What statistics can tell: their invariances, which say what each set can and cannot hold."""

from pathlib import Path

import numpy as np
import pytest

from sweeps.information import SETS, main


def chain(seed: int = 0):
    """Two networks 1-6-6-1."""
    rng = np.random.default_rng(seed)
    sizes = [(6, 1), (6, 6), (1, 6)]
    return [(rng.normal(size=(2, *s)), rng.normal(size=(2, s[0]))) for s in sizes]


def reordered(layers, *, together: bool):
    """The first hidden layer's neurons in another order: on both sides, or as inputs only."""
    order = np.random.default_rng(1).permutation(6)
    (first, bias), (second, more), last = layers
    moved = (first[:, order], bias[:, order]) if together else (first, bias)
    return [moved, (second[:, :, order], more), last]


@pytest.mark.parametrize("name", SETS)
def test_no_set_depends_on_the_order_of_neurons(name):
    layers = chain()
    moved = reordered(layers, together=True)
    np.testing.assert_allclose(SETS[name](moved), SETS[name](layers), rtol=1e-9)


@pytest.mark.parametrize("name", SETS)
def test_only_paths_see_which_neurons_meet(name):
    layers = chain()
    torn = reordered(layers, together=False)
    same = np.allclose(SETS[name](torn), SETS[name](layers), rtol=1e-9)
    assert same == (name != "paths")


def test_sums_over_paths_are_those_of_a_plain_walk():
    layers = chain()
    (a, _), (b, _), (c, _) = layers
    walked = [
        sum(abs(c[n, 0, i] * b[n, i, j] * a[n, j, 0]) for i in range(6) for j in range(6))
        for n in range(2)
    ]
    found = SETS["paths"](layers)
    assert np.isclose(found, np.log(walked)[:, None], rtol=1e-9).any(axis=1).all()


def test_the_command_prints_a_row_for_each_set(sine_zoo: Path, capsys):
    assert main([str(sine_zoo), "--seeds", "1"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in SETS)


def test_a_network_that_is_no_chain_is_refused(arch1_zoo: Path, capsys):
    assert main([str(arch1_zoo)]) == 2
    assert "no chain of linear layers" in capsys.readouterr().err
