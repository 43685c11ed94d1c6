"""The contract of every model: one class, run on all that `--model` names."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from weight_cases import ARCH1, GREY_ARCH2, INFERRED, SIREN, networks

from sne.errors import ModelError, SettingError, WeightsError
from sne.losses import TASKS
from sne.model import (
    Batch,
    FittedModel,
    Group,
    Model,
    Preparation,
    ProbedModel,
    prepare,
    read_config,
)
from sne.models import MODELS, model_kind
from sne.predict import infer
from sne.recipes import default_config
from sne.scaling import Scaling, learn_scaling
from sne.settings import COMPONENTS, SneConfig
from sne.zoo import Architecture
from zoogen.archs import ARCHS

WIDER_IMAGES = ARCHS["arch1"].describe(input_shape=(1, 20, 20), classes=10)
"""The tensors of ARCH1 under another description."""
ANY_ARCHITECTURE = ("sne", "deepsets")
OWN = {"dwsnet": SIREN}
"""Networks that a model is tried on where it takes no convolutions."""
SEVERAL = ("neuralgraph", "scalegmn")
"""Models that take ARCH1 and GREY_ARCH2 when they are prepared for both."""
SMALL: Mapping[str, Mapping[str, Any]] = {
    "boosting": {"trees": 5, "smallest_leaf": 2},
    "hyperrep": {"width": 16, "blocks": 1, "feed": 16, "latent": 8, "projection": (8, 4)},
    "nft": {"width": 16},
    "neuralgraph": {"width": 16},
    "scalegmn": {"width": 16},
}
"""Settings that are fast; others have their defaults."""
OUTPUTS = {"share": 1, "number": 1, "category": 3}


def scaling_of_recipe(name: str) -> Scaling:
    """How the model's inputs are scaled when it reads classifiers."""
    return default_config((), model=name, recipe="cnn").training.scaling


def refusal_of(module: Any, architecture: Architecture) -> str | None:
    """Why the module cannot take the architecture; `nn.Module` hides the method from the types."""
    return module.refusal(architecture)


def target(batch: Batch) -> torch.Tensor:
    """Something to learn: the spread of each network's weights, as a share."""
    return torch.cat([g.weights.std(1) for g in batch]).sigmoid()


@pytest.fixture(params=MODELS)
def name(request) -> str:
    return request.param


@pytest.fixture
def batch(request) -> Batch:
    chosen = request.getfixturevalue("name") if "name" in request.fixturenames else ""
    group = networks(OWN.get(chosen, ARCH1), 12)
    scale = torch.linspace(0.5, 2, 12)[:, None]
    return [replace(group, weights=group.weights * scale)]


def ready(
    name: str, batch: Batch, *, task: str = "share", seed: int = 0, **settings: Any
) -> torch.nn.Module:
    """Prepared, and fitted where a model is fitted at once."""
    preparation = Preparation(
        architectures=tuple(g.architecture for g in batch),
        scaling=learn_scaling(
            ((g.architecture, g.weights) for g in batch), how=scaling_of_recipe(name)
        ),
        task=task,
        outputs=OUTPUTS[task],
    )
    kind = model_kind(name)
    config = read_config(kind, {**SMALL.get(name, {}), **settings})
    module = prepare(kind, preparation, config=config, seed=seed)
    known = target(batch) if task != "category" else torch.arange(12.0) % 3
    if isinstance(module, FittedModel):
        module.fit(batch, known, None)
    if isinstance(module, ProbedModel):
        module.fit_probe((infer(module, batch).encoding, known), None)
    # As it predicts: batch norms by what they learnt, no dropout.
    return module.eval()


class TestContract:
    @pytest.mark.parametrize("task", OUTPUTS)
    def test_one_encoding_and_one_prediction_a_network(self, name, batch, task):
        module = ready(name, batch, task=task)
        assert isinstance(module, Model)
        outputs = module(batch)
        assert outputs.encoding.shape[0] == outputs.prediction.shape[0] == 12
        assert outputs.prediction.shape[1] == OUTPUTS[task]
        assert torch.isfinite(outputs.encoding).all()
        assert outputs.prediction.std(0).max() > 0
        assert TASKS[task].loss(outputs.prediction, torch.zeros(12)).isfinite()

    def test_every_parameter_has_a_gradient(self, name, batch):
        module = ready(name, batch)
        parameters = dict(module.named_parameters())
        if isinstance(module, FittedModel):
            assert not parameters
            return
        if isinstance(module, ProbedModel):
            module.teach(batch, generator=torch.Generator().manual_seed(2))["loss"].backward()
        else:
            TASKS["share"].loss(module(batch).prediction, target(batch)).backward()
        # A constant added to all of a query's scores changes nothing. What ScaleGMN reads where an
        # activation is not known: here all are.
        unused = {n for n in parameters if n.endswith("pool.key.bias") or ".each.free." in n}
        for key, parameter in parameters.items():
            if key in unused:
                continue
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
            assert (parameter.grad != 0).any(), key

    def test_a_networks_row_does_not_depend_on_the_others(self, name, batch):
        module = ready(name, batch)
        with torch.no_grad():
            plain = module(batch)
            order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
            moved = module([batch[0].rows(order)])
            split = module([batch[0].rows(slice(5)), batch[0].rows(slice(5, 12))])
        for one, other in (
            (plain.encoding[order], moved.encoding),
            (plain.encoding, split.encoding),
        ):
            assert torch.allclose(one, other, atol=1e-5)
        assert torch.allclose(plain.prediction[order], moved.prediction, atol=1e-5)
        assert torch.allclose(plain.prediction, split.prediction, atol=1e-5)

    def test_state_comes_back(self, name, batch):
        module, other = ready(name, batch), ready(name, batch, seed=5)
        with torch.no_grad():
            plain = module(batch).prediction
            if not isinstance(module, FittedModel):
                assert not torch.equal(other(batch).prediction, plain)
            assert all(isinstance(v, torch.Tensor) for v in module.state_dict().values())
            other.load_state_dict(module.state_dict())
            assert torch.equal(other(batch).prediction, plain)

    def test_equal_seeds_prepare_equal_modules(self, name, batch):
        before = torch.random.get_rng_state()
        one, again = ready(name, batch, seed=3), ready(name, batch, seed=3)
        assert torch.equal(torch.random.get_rng_state(), before)
        for key, value in one.state_dict().items():
            assert torch.equal(value, again.state_dict()[key]), key

    def test_other_architectures_are_taken_or_refused_with_the_reason(self, name, batch):
        module = ready(name, batch)
        others = (GREY_ARCH2, ARCH1 if batch[0].architecture == SIREN else SIREN, INFERRED)
        for architecture in others:
            group = networks(architecture, 2)
            reason = refusal_of(module, architecture)
            if name in ANY_ARCHITECTURE:
                assert reason is None
                assert module([group]).prediction.shape == (2, 1)
                continue
            assert reason is not None
            assert name in reason
            assert architecture.family in reason
            assert "choose a model that takes any architecture" in reason
            with pytest.raises(ModelError) as caught:
                module([*batch, group])
            assert str(caught.value) == reason
            if name in SEVERAL and architecture is GREY_ARCH2:
                both = ready(name, [*batch, group])
                assert both([*batch, group]).prediction.shape == (14, 1)
                continue
            with pytest.raises(ModelError):
                ready(name, [*batch, group])

    def test_networks_with_the_same_tensors_are_taken(self, name, batch):
        module, own = ready(name, batch), batch[0].architecture
        other = WIDER_IMAGES if own == ARCH1 else replace(own, family="of other waves")
        assert refusal_of(module, other) is None
        same = [replace(batch[0], architecture=other)]
        assert torch.equal(module(same).prediction, module(batch).prediction)

    def test_weights_of_another_length_are_refused(self, name, batch):
        module = ready(name, batch)
        own = batch[0].architecture
        text = f"{own.family} has {own.parameters:,} weights for each network, got 9"
        with pytest.raises(WeightsError, match=text):
            module([Group(architecture=own, weights=torch.zeros(2, 9))])


@pytest.mark.parametrize(
    ("name", "architecture", "count"),
    [
        ("sne", SIREN, 357_089),
        ("deepsets", ARCH1, 99_457),
        ("statnn", ARCH1, 1_059_001),
        ("mlp", ARCHS["siren"].describe(input_shape=(1,), classes=1), 14_017),
        ("statnn", SIREN, 1_045_001),
    ],
)
def test_models_have_the_published_sizes(name, architecture, count):
    module = ready(name, [networks(architecture, 12)])
    assert sum(p.numel() for p in module.parameters()) == count


def test_unknown_models_and_settings_are_refused_with_what_there_is():
    with pytest.raises(SettingError, match="no model 'gnn'; there are: sne, mlp, deepsets"):
        model_kind("gnn")
    with pytest.raises(SettingError, match="no setting 'hight'; there are: bridge, chunk"):
        read_config(model_kind("sne"), {"hight": 3})
    with pytest.raises(SettingError, match="no component 'levels'; there are: level_encoder, type"):
        SneConfig(without=("levels",))
    with pytest.raises(SettingError, match=r"must be a multiple of the heads, got width 64"):
        SneConfig(heads=7)
    with pytest.raises(SettingError, match="sizes are at least 1"):
        SneConfig(head=(0,))


def test_configs_come_back_from_plain_values():
    config = SneConfig(without=COMPONENTS[:1], head=(5, 6))
    values = {"without": list(COMPONENTS[:1]), "head": [5, 6]}
    assert read_config(model_kind("sne"), values) == config


def test_boosting_that_is_not_fitted_says_so(batch):
    preparation = Preparation(
        architectures=(ARCH1,), scaling=learn_scaling([(ARCH1, batch[0].weights)]), task="share"
    )
    with pytest.raises(ModelError, match="boosting has no trees yet: fit it, or load"):
        prepare(model_kind("boosting"), preparation)(batch)
    with pytest.raises(SettingError, match="no task 'ranking' for boosting; there are: share, num"):
        prepare(model_kind("boosting"), replace(preparation, task="ranking"))


def test_boosting_stops_where_validation_networks_say_and_keeps_its_text():
    group = networks(SIREN, 120)
    weights = group.weights * torch.linspace(0.5, 2, 120)[:, None]
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    train, val = ([Group(architecture=SIREN, weights=weights[o])] for o in (order[:80], order[80:]))
    preparation = Preparation(
        architectures=(SIREN,), scaling=learn_scaling([(SIREN, train[0].weights)]), task="number"
    )
    kind = model_kind("boosting")
    config = read_config(kind, {"patience": 10, "learning_rate": 0.2, "absolute": False})
    module: Any = prepare(kind, preparation, config=config)
    module.fit(train, target(train), (val, target(val)))
    assert module.text.startswith("tree\n")
    assert 0 < module.text.count("\nTree=") < 400
    error = (module(val).prediction[:, 0] - target(val)).square().mean()
    assert error < 0.2 * target(val).var()
