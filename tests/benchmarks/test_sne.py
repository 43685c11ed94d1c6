"""What the rows of SNE rest on: checks that find wrong answers, and the spread of costs."""

import importlib.util

import pytest
import torch

from benchmarks import encoders, run, sne_cost, sne_loading, sne_step
from benchmarks.encoders import ARCHITECTURES
from benchmarks.processes import scratch
from benchmarks.reading import made_up, write_zoo
from benchmarks.timing import Samples, WrongAnswer
from sne.model import Batch
from sne.sne import Sne


def test_the_spread_is_that_of_equal_work_within_a_round():
    cheap = Samples(label="a", work=2, seconds=(2.0, 20.0, 2.0))
    dear = Samples(label="b", work=1, seconds=(1.5, 15.0, 1.2))
    assert sne_cost.spread([cheap, dear]) == pytest.approx(1.5)
    assert sne_cost.spread([cheap]) == 1


def test_batches_and_single_networks_are_encoded_alike_and_the_check_sees_others():
    module = encoders.sne(ARCHITECTURES["siren"])
    batch = [encoders.networks(ARCHITECTURES["siren"], 2)]
    found = encoders.encodings(module.encoder, batch)
    encoders.require_encodings(encoders.one_by_one(module.encoder, batch), found, "a batch")
    with pytest.raises(WrongAnswer, match="apart from those of a batch"):
        encoders.require_encodings(found * 1.001, found, "a batch")


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch):
    sne_step.check_gradients("siren", "cpu")
    exact = sne_step.gradient

    def wrong(module: Sne, batch: Batch) -> torch.Tensor:
        found = exact(module, batch)
        return found * 1.001 if found.dtype == torch.float32 else found

    monkeypatch.setattr(sne_step, "gradient", wrong)
    with pytest.raises(WrongAnswer, match="of their size apart from exact ones"):
        sne_step.check_gradients("siren", "cpu")


def test_loading_gives_each_network_once_as_it_was_written(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sne_loading, "NETWORKS", 20)
    with scratch() as folder:
        weights, accuracies, architecture = made_up(20)
        write_zoo(folder / "zoo", weights, accuracies, architecture)
        config = sne_loading.training(folder / "zoo")
        sne_loading.check(config, weights)
        with pytest.raises(WrongAnswer, match="other weights"):
            sne_loading.check(config, weights * 2)
        loaded = sne_loading.load(config)
        monkeypatch.setattr(sne_loading, "load", lambda config: loaded[1:])
        with pytest.raises(WrongAnswer, match="2 networks were loaded"):
            sne_loading.check(config, weights)


def test_every_theme_is_a_module():
    assert all(importlib.util.find_spec(f"benchmarks.{theme}") for theme in run.THEMES)
    assert importlib.util.find_spec("benchmarks.sne_nothing") is None
