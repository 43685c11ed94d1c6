"""Rows of functionals: plain forms give the same gradients, and wrong ones are found."""

import copy
from functools import partial

import pytest
import torch

from benchmarks import functionals
from benchmarks.functionals import made, squares
from benchmarks.timing import WrongAnswer


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of fewer, HyperRep's norms over the batch make more of rounding than 32 bits hold.
    monkeypatch.setattr(functionals, "NETWORKS", 4)
    monkeypatch.setattr(functionals, "ROUNDS", 1)


def test_published_forms_give_the_same_gradients(few):
    for measure in (functionals.maxima, functionals.neurons):
        (row,) = measure()
        assert row.reached is not None
        assert row.verdict == "reported"


def test_other_gradients_are_found(few):
    module, batch = made("dwsnet", "siren")
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.predict.weight.mul_(1.1)
    contenders = [(m, partial(squares, m, [batch])) for m in (module, other)]
    with pytest.raises(WrongAnswer, match="of their size apart"):
        functionals.compared("x", "x", contenders)
