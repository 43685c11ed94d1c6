"""The encoder against a plain walk through each network, and what may and may not change it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from weight_cases import ARCH1, GREY_ARCH2, INFERRED, SIREN, attention, networks

from benchmarks.reference_walk import encode
from sne.encoder import Encoder
from sne.model import Batch, Group, Preparation, prepare
from sne.scaling import InputScaling, Scaling, learn_scaling, no_scaling
from sne.settings import COMPONENTS, SneConfig
from sne.slabs import Slabs
from sne.sne import KIND
from zoogen.description import Architecture

MIXED: Sequence[tuple[Architecture, int]] = (
    (SIREN, 2), (INFERRED, 2), (attention(), 1),
)  # fmt: skip
SMALL = SneConfig(width=16, encoding=12, chunk=16, head=(), position_scale=1.0)
WHOLE = Slabs(elements=1 << 20, kept=1 << 20)


def batch_of(members: Sequence[tuple[Architecture, int]], *, seed: int = 0) -> Batch:
    return [networks(a, count, seed=seed + i) for i, (a, count) in enumerate(members)]


def make(config: SneConfig, scaling: InputScaling | None = None, *, seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(config, scaling or no_scaling()).eval()


def encoded(encoder: Encoder, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return encoder(batch)


def change(one: torch.Tensor, other: torch.Tensor) -> float:
    """Against the largest entry."""
    return float((one - other).abs().max() / one.abs().max())


CONFIGS = {
    "default": SneConfig(),
    "small": SMALL,
    "neuron": replace(SMALL, chunking="neuron"),
    "groups": replace(SMALL, layer_group=3),
    "two sabs": replace(SMALL, sabs=2, chunk_sabs=3, heads=2),
    "wide": replace(SMALL, bridge="pma", encoding=24),
    "no positions": replace(
        SMALL,
        element_positions=False,
        chunk_positions=False,
        kernel_positions=False,
        role_encoding=False,
    ),
    **{f"without {name}": replace(SMALL, without=(name,)) for name in COMPONENTS},
    "flat groups": replace(SMALL, without=("positional_and_hierarchical",), layer_group=7),
}


@pytest.mark.parametrize("name", [*CONFIGS, "magnitude"])
def test_encoder_agrees_with_the_walk(name):
    config = CONFIGS.get(name, SMALL)
    batch = batch_of(MIXED)
    how: Scaling = "magnitude" if name == "magnitude" else "compressed"
    scaling = learn_scaling(((g.architecture, g.weights * 3 + 1) for g in batch), how=how)
    encoder = make(config, scaling)
    with torch.no_grad():
        each = [encode(encoder, config, g.architecture, w) for g in batch for w in g.weights]
    expected = torch.stack(each)
    assert expected.std(0).mean() > 1e-3
    assert change(expected, encoded(encoder, batch)) < 1e-5


@pytest.mark.parametrize(
    "name", ["neuron", "groups", "no positions", "without level_encoder", "without type_encoder"]
)
def test_each_setting_changes_the_encoding(name):
    """Or the comparison with the walk would prove nothing about it."""
    batch = batch_of(MIXED)
    plain = encoded(make(SMALL), batch)
    assert change(plain, encoded(make(CONFIGS[name]), batch)) > 1e-3


@pytest.mark.parametrize("name", ["default", "groups", "without positional_and_hierarchical"])
def test_other_networks_padding_and_slabs_change_nothing(name):
    encoder = make(CONFIGS[name])
    batch = batch_of(MIXED)
    together = encoded(encoder, batch)
    alone = [encoded(encoder, [replace(g, weights=w[None])]) for g in batch for w in g.weights]
    assert change(together, torch.cat(alone)) < 1e-5
    parts = encoded(encoder, batch[::-1]).split([len(g.weights) for g in batch[::-1]])
    assert change(together, torch.cat(parts[::-1])) < 1e-5
    encoder.slabs = Slabs(elements=50, kept=0)
    assert change(together, encoded(encoder, batch)) < 1e-5


def test_slabs_that_are_computed_again_have_the_same_gradients():
    batch = batch_of([(SIREN, 3), (INFERRED, 2)])
    found: list[torch.Tensor] = []
    for slabs in (WHOLE, Slabs(elements=64, kept=0), Slabs(elements=64, kept=100)):
        encoder = make(SMALL).double()
        encoder.slabs = slabs
        encoder([replace(g, weights=g.weights.double()) for g in batch]).square().sum().backward()
        gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
        found.append(torch.cat([g.flatten() for g in gradients]))
    assert found[0].std() > 0
    assert change(found[0], found[1]) < 1e-10
    assert change(found[0], found[2]) < 1e-10


def test_every_weight_counts():
    """One weight at a time, of each tensor: the encoding moves."""
    encoder = make(SMALL)
    for architecture in (SIREN, INFERRED, attention()):
        group = networks(architecture, 1)
        plain = encoded(encoder, [group])
        copies = group.weights.repeat(len(architecture.tensors), 1)
        for row, tensor in enumerate(architecture.tensors):
            copies[row, tensor.offset + tensor.size // 2] += 1
        moved = encoded(encoder, [replace(group, weights=copies)])
        assert (moved - plain).abs().amax(1).min() > 1e-5 * plain.abs().max()


def test_a_chunk_is_encoded_from_its_own_weights_alone():
    encoder = make(SMALL)
    group = networks(SIREN, 2)
    weights = group.weights.clone()
    weights[1, 10] += 1
    with torch.no_grad():
        plain, moved = encoder.chunks([group]), encoder.chunks([replace(group, weights=weights)])
    assert len(plain) == sum(count for count, _ in encoder.plan([group]).shapes["chunks"])
    assert ((plain - moved).abs().amax(1) > 1e-3).sum() == 1
    assert (plain == moved).all(1).sum() == len(plain) - 1


UNORDERED = replace(SMALL, element_positions=False, chunk_positions=False)


def _shuffled(kind: str) -> Group:
    """The 8 × 8 weights of a SIREN: chunks of 16 (two rows) in another order, or elements."""
    group = networks(SIREN, 2)
    tensor = next(t for t in SIREN.tensors if t.shape == (8, 8))
    own = slice(tensor.offset, tensor.offset + tensor.size)
    chunks = group.weights[:, own].view(2, 4, 16)
    chunks = chunks[:, [2, 0, 3, 1]] if kind == "chunks" else chunks.flip(2)
    weights = group.weights.clone()
    weights[:, own] = chunks.reshape(2, 64)
    return replace(group, weights=weights)


@pytest.mark.parametrize("kind", ["chunks", "elements"])
def test_order_counts_where_it_is_encoded_and_only_there(kind):
    on = {"chunks": "chunk_positions", "elements": "element_positions"}[kind]
    for config, ordered in ((UNORDERED, False), (replace(UNORDERED, **{on: True}), True)):
        encoder = make(config)
        plain = encoded(encoder, [networks(SIREN, 2)])
        moved = change(plain, encoded(encoder, [_shuffled(kind)]))
        assert moved > 1e-4 if ordered else moved < 1e-6


def test_kernel_positions_tell_kernels_apart():
    tensor = GREY_ARCH2.tensors[0]
    group = networks(GREY_ARCH2, 1)
    weights = group.weights.clone()
    kernels = weights[:, : tensor.size].view(tensor.shape)
    weights[:, : tensor.size] = kernels.transpose(2, 3).reshape(1, -1)
    for config, differs in ((replace(UNORDERED, kernel_positions=False), False), (UNORDERED, True)):
        encoder = make(config)
        plain = encoded(encoder, [group])
        moved = change(plain, encoded(encoder, [replace(group, weights=weights)]))
        assert moved > 1e-4 if differs else moved < 1e-5


def test_groups_are_never_used_below_the_limit():
    encoder, grouped = make(SMALL), make(replace(SMALL, layer_group=145))
    batch = [networks(ARCH1, 2)]  # 144 chunks of 16 in its largest tensors
    assert not grouped.plan(batch).joins
    assert torch.equal(encoded(encoder, batch), encoded(grouped, batch))
    assert make(replace(SMALL, layer_group=144)).plan(batch).joins


def test_scaled_weights_are_what_is_encoded():
    group = networks(SIREN, 2)
    shifted = replace(group, weights=group.weights * 5 + 2)
    scaling = learn_scaling([(SIREN, shifted.weights)], how="standard")
    plain = encoded(make(SMALL), [group])
    assert change(plain, encoded(make(SMALL, scaling), [shifted])) > 1e-3  # sample's own moments
    by_hand = replace(
        scaling, mean=torch.full_like(scaling.mean, 2), std=torch.full_like(scaling.std, 5)
    )
    assert change(plain, encoded(make(SMALL, by_hand), [shifted])) < 1e-5


def test_initial_encodings_depend_on_the_weights():
    """With torch's own values they hardly do."""
    group = networks(SIREN, 20)
    for config, depends in ((SneConfig(), True), (SneConfig(initial="torch"), False)):
        for seed in range(3):
            z = encoded(make(config, seed=seed), [group])
            share = float(z.std(0).mean() / z.abs().mean())
            assert share > 0.03 if depends else share < 0.01


def test_the_inr_model_has_the_published_size():
    preparation = Preparation(architectures=(SIREN,), scaling=no_scaling(), task="number")
    module = prepare(KIND, preparation)
    parts: dict[str, int] = dict.fromkeys(
        ("chunk", "tensor", "layer", "network", "bridge", "predictor"), 0
    )
    for name, parameter in module.named_parameters():
        parts[next(part for part in parts if part in name.split("."))] += parameter.numel()
    assert parts == {
        "chunk": 75_328,
        "tensor": 87_424,
        "layer": 87_424,
        "network": 87_424,
        "bridge": 2_080,
        "predictor": 17_409,
    }
    assert sum(parts.values()) == 357_089
