"""Tokens: every weight once, what each chunk knows, and the way back."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weight_cases import ARCH1, ARCH2, INFERRED, SIREN, drawn, networks, tensor_rows

from sne.errors import SettingError, WeightsError
from sne.model import Group
from sne.tokens import LAYER_TYPES, ROLES, check_weights, chunk, tokenize, unchunk

ANY = {"max_examples": 60, "deadline": None}


@settings(**ANY)
@given(
    rows=tensor_rows(),
    width=st.integers(1, 40),
    chunking=st.sampled_from(["flat", "neuron"]),
)
def test_weights_come_back_bit_for_bit(rows, width, chunking):
    architecture = drawn(rows)
    tokens = tokenize(architecture, width=width, chunking=chunking)
    weights = networks(architecture, 2).weights
    weights[0, 0], weights[1, -1] = float("nan"), -0.0
    chunks, mask = chunk(weights, tokens, width=width)
    again = unchunk(chunks, tokens, parameters=architecture.parameters)
    assert torch.equal(again.view(torch.int32), weights.view(torch.int32))
    assert torch.equal(mask.sum(1), tokens.length)
    assert int(tokens.length.sum()) == architecture.parameters
    assert (chunks[:, ~mask] == 0).all()
    chunks[1, 0, 0] += 1
    other = unchunk(chunks, tokens, parameters=architecture.parameters)
    assert (other != again).sum() >= 1


@settings(**ANY)
@given(rows=tensor_rows(), width=st.integers(1, 12))
def test_neuron_chunks_hold_weights_of_one_output(rows, width):
    architecture = drawn(rows)
    tokens = tokenize(architecture, width=width, chunking="neuron")
    outputs = torch.cat(
        [
            torch.arange(t.shape[0]).repeat_interleave(t.size // t.shape[0])
            if len(t.shape) > 1
            else torch.zeros(t.size, dtype=torch.int64)
            for t in architecture.tensors
        ]
    )
    chunks, mask = chunk(outputs[None].double(), tokens, width=width)
    first = chunks[0, :, :1].expand(-1, width)
    assert torch.equal(chunks[0][mask], first[mask])


def test_flat_chunks_cross_neurons():
    """The check above can fail."""
    tokens = tokenize(SIREN, width=12)
    assert len(tokens) < len(tokenize(SIREN, width=12, chunking="neuron"))


def test_convolutions_are_cut_at_each_kernel_position():
    tensor = INFERRED.tensors[0]
    assert tensor.shape == (6, 3, 5, 3)
    weights = networks(INFERRED, 1).weights
    tokens = tokenize(INFERRED, width=7)
    chunks, mask = chunk(weights, tokens, width=7)
    kernels = weights[0, : tensor.size].view(tensor.shape)
    own = tokens.tensor == 0
    assert int(own.sum()) == 15 * 3  # 18 weights at each of 15 positions
    for row in range(5):
        for column in range(3):
            here = own & (tokens.row == row) & (tokens.column == column)
            assert torch.equal(chunks[0, here][mask[here]], kernels[:, :, row, column].flatten())
            assert tokens.place[here].tolist() == [0, 1, 2]
            assert tokens.length[here].tolist() == [7, 7, 4]


def test_chunks_know_what_they_are_of():
    tokens = tokenize(INFERRED, width=32)
    for number, tensor in enumerate(INFERRED.tensors):
        own = tokens.tensor == number
        assert (tokens.level[own] == tensor.level).all()
        assert {LAYER_TYPES[i] for i in tokens.layer_type[own]} == {tensor.layer_type}
        assert {ROLES[i] for i in tokens.role[own]} == {tensor.role}


def test_small_zoo_networks_have_162_chunks():
    """9 × 16 weights, 2 × 9 × 8 chunks of 32, 5 of the last layer, 4 biases."""
    tokens = tokenize(ARCH1, width=32)
    assert len(tokens) == 9 + 72 + 72 + 5 + 4
    assert Counter(tokens.length.tolist()) == {32: 144 + 5, 16: 9 + 3, 10: 1}


@settings(**ANY)
@given(rows=tensor_rows())
def test_unknown_layer_types_are_other(rows):
    architecture = drawn(rows)
    tokens = tokenize(architecture, width=8)
    known = {t.layer_type for t in architecture.tensors} <= set(LAYER_TYPES)
    assert ((tokens.layer_type == LAYER_TYPES.index("other")).any()) != known


def test_a_chunk_without_weights_is_refused():
    with pytest.raises(SettingError, match="a chunk holds at least one weight, got a width of 0"):
        tokenize(ARCH2, width=0)


def test_weights_of_another_length_are_refused():
    group = Group(architecture=ARCH1, weights=torch.zeros(2, 7))
    with pytest.raises(WeightsError, match="arch1 has 4,970 weights for each network, got 7: were"):
        check_weights(group.architecture, group.weights)
