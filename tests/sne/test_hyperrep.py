"""HyperRep: tokens, views, both losses, and what is learnt without labels."""

import copy
from dataclasses import replace
from math import log
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from functional_cases import CNN, INR, spread
from weight_cases import ARCH1

from sne.baselines.hyperrep import Hyperrep, HyperrepConfig, erase, nt_xent
from sne.config import Symmetry
from sne.errors import ModelError, SettingError
from sne.fresh import new_module
from sne.model import Preparation, ProbedModel, prepare
from sne.models import model_kind
from sne.recipes import default_config
from sne.scaling import no_scaling
from zoogen.description import Architecture

SMALL: dict[str, Any] = {
    "width": 16, "blocks": 2, "feed": 16, "latent": 8, "projection": (8, 4), "dropout": 0.0,
}  # fmt: skip


def hyperrep(architecture: Architecture = CNN, **settings: Any) -> Hyperrep:
    preparation = Preparation(
        architectures=(architecture,), scaling=no_scaling(), task="number", outputs=1
    )
    kind = model_kind("hyperrep")
    module = prepare(kind, preparation, config=kind.config(**{**SMALL, **settings}))
    assert isinstance(module, Hyperrep)
    assert isinstance(module, ProbedModel)
    return module


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("architecture", [CNN, INR], ids=lambda a: a.family)
def test_a_token_is_a_neurons_weights_and_its_bias(architecture):
    module, (group,) = hyperrep(architecture), spread(architecture, 2)
    tokens = module._tokens(group.weights)
    for stage, token in zip(module.stages, tokens, strict=True):
        assert stage.bias is not None
        for neuron in range(stage.outputs.size):
            length = stage.weight.size // stage.outputs.size
            first = stage.weight.offset + neuron * length
            bias = group.weights[:, stage.bias.offset + neuron]
            own = torch.cat([group.weights[:, first : first + length], bias[:, None]], dim=1)
            assert torch.equal(token[:, neuron], own)


def test_the_contrast_is_that_of_the_paper():
    """A loop over views: the partner's score against those of all others but itself."""
    torch.manual_seed(3)
    one, other, temperature = torch.randn(4, 5), torch.randn(4, 5), 0.3
    views = torch.cat([one, other])
    total = 0.0
    for number, view in enumerate(views):
        scores = [float(F.cosine_similarity(view, v, dim=0)) / temperature for v in views]
        partner = scores[(number + 4) % 8]
        others = [s for place, s in enumerate(scores) if place != number]
        total -= partner - float(torch.tensor(others).logsumexp(0))
    found = float(nt_xent(one, other, temperature=temperature))
    assert found == pytest.approx(total / 8, rel=1e-5)
    same = float(nt_xent(one, one, temperature=1e-3))
    assert same < 1e-6 < log(7)


def test_erased_parts_are_runs_of_the_wanted_length():
    weights = torch.ones(400, 100)
    found = erase(weights, generator=generator(), often=0.5, shares=(0.1, 0.3))
    gone = found == 0
    lengths = gone.sum(1)
    assert 0.4 < float((lengths > 0).float().mean()) < 0.6
    assert set(lengths[lengths > 0].tolist()) <= set(range(10, 31))
    # A run has one begin, and runs begin anywhere.
    begins = (gone & ~gone.roll(1, 1)).sum(1) + (gone[:, 0] & gone[:, -1])
    assert begins.max() == 1
    assert gone.any(0).all()
    assert torch.equal(erase(weights, generator=generator(), often=0.0, shares=(0.1, 0.3)), weights)


def test_the_loss_is_contrast_and_reconstruction_of_the_views():
    module, batch = hyperrep().train(), spread(CNN, 5)
    losses = module.teach(batch, generator=generator())
    assert float(losses["loss"].detach()) == pytest.approx(
        0.85 * float(losses["contrast"].detach()) + 0.15 * float(losses["reconstruction"].detach())
    )
    chance = generator()
    views = [module._view(batch, chance) for _ in range(2)]
    assert not torch.equal(*views)
    squares, numbers = 0.0, 0
    with torch.no_grad():
        for view in views:
            given = module._tokens(view)
            for found, wanted in zip(module.decoder(module.encoder(given)), given, strict=True):
                squares += float((found - wanted).square().sum())
                numbers += wanted.numel()
    assert numbers == 2 * 5 * CNN.parameters
    assert float(losses["reconstruction"].detach()) == pytest.approx(squares / numbers, rel=1e-4)


def test_steps_bring_views_together_and_networks_back():
    module, batch = hyperrep().train(), spread(CNN, 8)
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    seen: list[tuple[float, float]] = []
    for step in range(60):
        optimizer.zero_grad()
        losses = module.teach(batch, generator=torch.Generator().manual_seed(step))
        losses["loss"].backward()
        optimizer.step()
        seen.append((float(losses["contrast"].detach()), float(losses["reconstruction"].detach())))
    (first_contrast, first_error), *_, (contrast, error) = seen
    assert contrast < 0.6 * first_contrast
    assert error < 0.9 * first_error


def test_a_batch_of_one_can_be_learnt_from():
    module = hyperrep().train()
    losses = module.teach(spread(CNN, 1), generator=generator())
    losses["loss"].backward()
    assert losses["loss"].isfinite()


def test_it_sees_the_order_of_neurons_until_it_has_learnt_better():
    """Nothing makes it invariant but views: what DWSNet and NFN are by construction."""
    module = copy.deepcopy(hyperrep()).eval()
    (group,) = spread(CNN, 3)
    turned = torch.cat([group.weights[:, :600].view(3, 8, 75).flip(1).flatten(1),
                        group.weights[:, 600:]], dim=1)  # fmt: skip
    other = [replace(group, weights=turned)]
    with torch.no_grad():
        assert not torch.allclose(module([group]).encoding, module(other).encoding, atol=1e-3)


def test_the_published_sizes():
    module = hyperrep(ARCH1, **{k: getattr(HyperrepConfig(), k) for k in SMALL})
    assert sum(p.numel() for p in module.parameters()) == 54_278_307
    assert module.encoder.positions.shape == (59, 512)


def test_networks_that_are_no_chain_are_refused():
    with pytest.raises(
        ModelError, match=r"hyperrep takes chains of linear .* is not described: ch"
    ):
        hyperrep(replace(INR, edges=()))
    refusal = getattr(hyperrep(), "refusal")  # noqa: B009
    assert refusal(INR).startswith("hyperrep has a place for each neuron of arch2 (3×8·5·5, 8×6·5")


def test_a_penalty_on_predictions_is_refused():
    config = default_config(["zoo"], model="hyperrep")
    config = replace(config, settings=HyperrepConfig(**SMALL), symmetry=Symmetry(invariance=1.0))
    preparation = Preparation(architectures=(CNN,), scaling=no_scaling("standard"), task="number")
    with pytest.raises(SettingError, match=r"hyperrep learns without predictions .* --invariance"):
        new_module(config, preparation)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"width": 15}, "a width that is a multiple of the heads"),
        ({"contrast": 1.5}, "contrast, erasing, erased and dropout are shares"),
        ({"temperature": 0.0}, "temperature and strengths of the probe are above 0"),
        ({"probe": ()}, "temperature and strengths of the probe are above 0"),
    ],
)
def test_settings_that_are_none_are_refused(settings, text):
    with pytest.raises(SettingError, match=text):
        HyperrepConfig(**{**SMALL, **settings})
