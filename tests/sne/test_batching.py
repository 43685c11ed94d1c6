"""Plans: the cheapest buckets, little padding, few calls, no floats, and kept for the next."""

from dataclasses import fields, is_dataclass
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weight_cases import ARCH1, ARCH2, INFERRED, SIREN, drawn, tensor_rows

from sne.batching import Planner, plan_batch
from sne.buckets import CALLS, MOST, padded_lengths
from sne.errors import SettingError
from sne.plan import Grouping

MIXED = [(ARCH1, 20), (SIREN, 22), (ARCH2, 22)]
CPU = torch.device("cpu")


def _cost(lengths: list[int], tops: tuple[int, ...], width: int) -> int:
    padded = [min(top for top in tops if top >= length) for length in lengths]
    used = len(set(padded))
    return sum(p * (2 * width + p) for p in padded) + used * CALLS * 2 * width


@settings(max_examples=80, deadline=None)
@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=40), few=st.integers(1, 6))
def test_buckets_are_the_cheapest_there_are(lengths, few):
    values = sorted(set(lengths))[:few]
    lengths = [length for length in lengths if length in values]
    padded = padded_lengths(torch.tensor(lengths), width=8).tolist()
    assert all(p >= length for p, length in zip(padded, lengths, strict=True))
    best = min(
        _cost(lengths, (*tops, values[-1]), 8)
        for count in range(len(values))
        for tops in combinations(values[:-1], count)
    )
    assert _cost(lengths, tuple(sorted(set(padded))), 8) == best


def test_many_lengths_take_few_buckets():
    lengths = torch.arange(1, 400)
    padded = padded_lengths(lengths, width=64)
    assert len(padded.unique()) <= MOST
    assert int((padded - lengths).sum()) < 0.15 * int(padded.sum())


def test_a_batch_takes_a_handful_of_calls_and_little_padding():
    plan = plan_batch(MIXED, Grouping())
    assert all(len(stage) <= 6 for stage in plan.shapes.values())
    assert plan.padding < 0.01
    tensors = plan.shapes["tensors"]
    real = (
        20 * 162
        + 22 * (1 + 1 + 2 + 1 + 1 + 1)
        + 22 * len(plan_batch([(ARCH2, 1)], Grouping()).codes)
    )
    assert sum(rows * size for rows, size in tensors) < 1.1 * real


def test_networks_of_one_architecture_need_no_padding():
    plan = plan_batch([(ARCH1, 64)], Grouping())
    assert plan.shapes == {
        "chunks": ((64, 10), (768, 16), (9536, 32)),
        "tensors": ((256, 1), (64, 5), (64, 9), (128, 72)),
        "layers": ((256, 2),),
        "networks": ((64, 4),),
        "joins": (),
    }
    assert plan.padding == 0
    assert all(s.mask is None for s in (*plan.tensors, *plan.layers, *plan.networks))


@settings(max_examples=30, deadline=None)
@given(one=tensor_rows(), other=tensor_rows(), group=st.sampled_from([2, 3, 4096]))
def test_every_row_is_gathered_once(one, other, group):
    one, other = drawn(one), drawn(other)
    plan = plan_batch([(one, 2), (other, 3)], Grouping(chunk=3, layer_group=group))
    weights = torch.zeros(2 * one.parameters + 3 * other.parameters)
    for bucket in plan.chunks:
        for i in range(bucket.size):
            real = bucket.length > i
            weights[bucket.start[real] + i * bucket.stride[real]] += 1
    assert (weights == 1).all()
    rows = sum(len(bucket.start) for bucket in plan.chunks)
    given_rows = [rows, 0]
    taken = torch.zeros(rows)
    for s in plan.tensors:
        real = s.members if s.mask is None else s.members[s.mask]
        taken.index_add_(0, real.flatten(), torch.ones(real.numel()))
        given_rows[1] += len(s.members)
    assert (taken == 1).all()
    assert sorted(plan.order.tolist()) == list(range(5))


def test_plans_hold_integers_only():
    def tensors(value):
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, tuple):
            for part in value:
                yield from tensors(part)
        elif is_dataclass(value):
            for field in fields(value):
                yield from tensors(getattr(value, field.name))

    kinds = {t.dtype for t in tensors(plan_batch(MIXED, Grouping(layer_group=20)))}
    assert kinds == {torch.int64, torch.bool}


def test_planners_keep_plans():
    planner = Planner(Grouping())
    plan = planner([(ARCH1, 2)], CPU)
    assert planner([(ARCH1, 2)], CPU) is plan
    assert planner([(ARCH1, 3)], CPU) is not plan
    assert planner([(INFERRED, 2)], CPU) is not plan


@pytest.mark.parametrize("members", [[], [(ARCH1, 0)]])
def test_an_empty_batch_is_refused(members):
    with pytest.raises(SettingError, match="a batch holds at least one network, and each network"):
        plan_batch(members, Grouping())
