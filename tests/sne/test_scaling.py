"""Input scaling: by kind, over all networks, and what unseen kinds get."""

import pytest
import torch
from weight_cases import ARCH1, GREY_ARCH2, INFERRED, SIREN, attention, networks

from sne.scaling import SMALLEST_KNEE, ScaleInputs, Scaling, learn_scaling, no_scaling
from sne.tokens import LAYER_TYPES, ROLES

LINEAR, CONV = LAYER_TYPES.index("linear"), LAYER_TYPES.index("conv2d")
WEIGHT, BIAS = ROLES.index("weight"), ROLES.index("bias")


def _groups():
    return [networks(ARCH1, 5, seed=1), networks(GREY_ARCH2, 7, seed=2)]


def test_moments_are_those_of_all_weights_of_a_kind():
    groups = _groups()
    scaling = learn_scaling(((g.architecture, g.weights * 3 + 1) for g in groups), how="standard")
    values = torch.cat(
        [
            (g.weights[:, t.offset : t.offset + t.size] * 3 + 1).flatten()
            for g in groups
            for t in g.architecture.tensors
            if (t.layer_type, t.role) == ("conv2d", "bias")
        ]
    )
    assert float(scaling.mean[CONV, BIAS]) == pytest.approx(float(values.mean()), rel=1e-5)
    assert float(scaling.std[CONV, BIAS]) == pytest.approx(
        float(values.std(correction=0)), rel=1e-5
    )
    assert scaling.mean[LINEAR, BIAS] != scaling.mean[CONV, BIAS]


def test_scaled_training_networks_have_mean_0_and_spread_1():
    groups = _groups()
    scale = ScaleInputs(learn_scaling((g.architecture, g.weights * 3 + 1) for g in groups))
    for kind in (("conv2d", "weight"), ("linear", "bias")):
        parts = []
        for group in groups:
            scaled = scale(group.architecture, group.weights * 3 + 1)
            for t in group.architecture.tensors:
                if (t.layer_type, t.role) == kind:
                    parts.append(scaled[:, t.offset : t.offset + t.size].flatten())
        values = torch.cat(parts)
        assert float(values.mean()) == pytest.approx(0, abs=1e-5)
        assert float(values.std()) == pytest.approx(1, abs=0.02)


def test_unseen_kinds_take_their_nearest_role_and_are_named():
    group = networks(SIREN, 20)
    scaling = learn_scaling([(SIREN, group.weights * 2 + 5)], how="standard")
    assert scaling.unseen(SIREN) == ()
    assert scaling.unseen(INFERRED) == (
        "conv2d weight",
        "batch_norm scale",
        "batch_norm shift",
        "batch_norm buffer",
        "attention weight",
        "attention bias",
        "embedding embedding",
        "embedding token",
    )
    mean, std = scaling.mean, scaling.std
    assert mean[CONV, WEIGHT] == mean[LINEAR, WEIGHT]
    embedding = LAYER_TYPES.index("embedding")
    assert mean[embedding, ROLES.index("token")] == mean[LINEAR, WEIGHT]
    assert std[LAYER_TYPES.index("layer_norm"), ROLES.index("shift")] == std[LINEAR, BIAS]
    everything = group.weights * 2 + 5
    norm = mean[LAYER_TYPES.index("batch_norm"), ROLES.index("scale")]
    assert float(norm) == pytest.approx(float(everything.mean()), rel=1e-5)
    assert learn_scaling([(attention(), networks(attention(), 3).weights)]).unseen(SIREN) == (
        "linear bias",
    )


def test_a_constant_kind_is_only_centred():
    weights = networks(INFERRED, 4).weights
    norm = INFERRED.tensors[1]
    weights[:, norm.offset : norm.offset + norm.size] = 1.0
    scaling = learn_scaling([(INFERRED, weights)], how="standard")
    kind = LAYER_TYPES.index("batch_norm"), ROLES.index("scale")
    assert (float(scaling.mean[kind]), float(scaling.std[kind])) == (1, 1)


def test_no_scaling_changes_nothing_and_misses_nothing():
    group = networks(ARCH1, 2)
    assert torch.equal(ScaleInputs(no_scaling())(ARCH1, group.weights), group.weights)
    assert no_scaling().unseen(INFERRED) == ()


@pytest.mark.parametrize("how", ["standard", "compressed", "magnitude"])
def test_scaling_travels_with_the_state(how: Scaling):
    weights = networks(SIREN, 5).weights * 4
    scaling = learn_scaling([(SIREN, weights)], how=how)
    scale = ScaleInputs(no_scaling(how))
    scale.load_state_dict(ScaleInputs(scaling).state_dict())
    assert torch.equal(scale(SIREN, weights), ScaleInputs(scaling)(SIREN, weights))
    assert torch.equal(scale.scaling.std, scaling.std)
    assert torch.equal(scale.scaling.seen, scaling.seen)


def test_the_knee_is_the_geometric_mean_of_the_weights_that_are_not_zero():
    weights = networks(SIREN, 9).weights
    weights[0] = 0
    tensor = SIREN.tensors[0]
    kinds = [t for t in SIREN.tensors if t.role == "weight"]
    values = torch.cat([weights[:, t.offset : t.offset + t.size].flatten() for t in kinds])
    knee = learn_scaling([(SIREN, weights)]).knee
    assert knee is not None
    expected = values[values != 0].abs().log().mean().exp()
    assert tensor in kinds
    assert float(knee[LINEAR, WEIGHT]) == pytest.approx(float(expected), rel=1e-5)
    assert knee[CONV, WEIGHT] == knee[LINEAR, WEIGHT]


def test_few_large_networks_do_not_hide_the_others():
    weights = networks(SIREN, 50).weights
    weights[:2] *= 1000
    shown = {
        how: ScaleInputs(learn_scaling([(SIREN, weights)], how=how))(SIREN, weights)[2:].std()
        for how in ("standard", "compressed")
    }
    assert shown["standard"] < 0.02
    assert shown["compressed"] > 0.4


def test_magnitudes_are_centred_and_show_no_sign():
    weights = networks(SIREN, 40).weights
    scale = ScaleInputs(learn_scaling([(SIREN, weights)], how="magnitude"))
    assert torch.equal(scale(SIREN, weights), scale(SIREN, -weights))
    assert abs(float(scale(SIREN, weights).mean())) < 1e-5
    assert float(scale(SIREN, weights).std()) == pytest.approx(1, abs=0.02)


def test_a_kind_of_zeros_stays_zero():
    weights = torch.zeros(3, SIREN.parameters)
    scaling = learn_scaling([(SIREN, weights)])
    assert scaling.knee is not None
    assert float(scaling.knee.min()) >= SMALLEST_KNEE
    assert torch.equal(ScaleInputs(scaling)(SIREN, weights), weights)
