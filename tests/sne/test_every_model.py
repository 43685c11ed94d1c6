"""What holds for every model that `--model` names: what it claims, its trainings, their memory."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from measured import measured_peak
from memory_cases import ARCHITECTURES, train_for_real, workload
from test_models import OWN, ready
from weight_cases import ARCH1, networks

from sne.config import TrainConfig
from sne.fit import Fitted, Saving, fit
from sne.lesson import make_lesson
from sne.losses import invariance_error
from sne.material import make_module, read_material
from sne.model import FittedModel
from sne.models import MODELS, model_kind
from sne.recipes import default_config
from sne.rehearsal import plan_training
from sne.slabs import DEVICE_SLABS
from sne.state import State, load_state, save_state
from sne.symmetry import move_batch

ORDER_BLIND = ("deepsets", "statnn", "boosting")
"""Models that see no order at all: one that changes the function is as good as another."""
PLANNED = (
    "sne", "mlp", "deepsets", "statnn", "boosting", "nfn_np", "nfn_hnp", "nft", "dwsnet", "hyperrep"
)  # fmt: skip
"""Models whose plans `test_rehearsal` compares with what was allocated."""
TINY: Mapping[str, Mapping[str, Any]] = {
    "sne": {
        "chunk": 16, "width": 8, "heads": 1, "chunk_sabs": 2, "sabs": 1, "encoding": 8, "head": (8,)
    },
    "deepsets": {"width": 16, "layers": 2},
    "boosting": {"trees": 20, "smallest_leaf": 2},
    "nfn_np": {"channels": (4, 4), "head": (16, 16)},
    "nfn_hnp": {"channels": (4, 4), "head": (16, 16)},
    "nft": {"width": 8, "heads": 2, "blocks": 1, "head": (16,)},
    "dwsnet": {"width": 8},
    "hyperrep": {"width": 16, "blocks": 1, "feed": 16, "latent": 8, "projection": (8, 4)},
    "neuralgraph": {"width": 16, "layers": 2, "dropout": 0.2, "noise": 0.1, "drop": 0.01},
    "scalegmn": {"width": 16, "layers": 2},
}  # fmt: skip
"""Settings that train in seconds; others have their defaults."""


def config_for(name: str, zoo: Path | str, *, epochs: int, recipe: str = "cnn") -> TrainConfig:
    """A short training with the model's usual choices, but for its size."""
    found = default_config([str(zoo)], model=name, recipe=recipe)
    return replace(
        found,
        settings=replace(found.settings, **TINY.get(name, {})),
        training=replace(found.training, epochs=epochs, batch=8),
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_claim_of_invariance_is_true_and_none_is_missed(name):
    architecture = OWN.get(name, ARCH1)
    group = networks(architecture, 6)
    batch = [group.with_weights(group.weights * torch.linspace(0.2, 0.6, 6)[:, None])]
    module = ready(name, [networks(architecture, 12)])
    generator = torch.Generator().manual_seed(2)
    moved = move_batch(batch, generator=generator, copies=2)
    control = move_batch(batch, generator=generator, copies=2, functional=False)
    with torch.no_grad():
        plain, other, wrong = (module(b).prediction for b in (batch, moved, control))
    error = invariance_error(plain, other)
    assert model_kind(name).invariant == (error < 1e-6)
    if model_kind(name).invariant:
        seen = invariance_error(plain, wrong) > max(1e-8, 10 * error)
        assert seen == (name not in ORDER_BLIND)


class Stop(Exception):
    """What ends a training in the middle."""


@pytest.mark.parametrize("name", MODELS)
def test_a_training_that_was_stopped_goes_on_with_identical_losses(name, request, tmp_path):
    zoo, recipe = ("sine_zoo", "inr") if name in OWN else ("digits_zoo", "cnn")
    config = config_for(name, request.getfixturevalue(zoo), epochs=2, recipe=recipe)
    material = read_material(config, device=torch.device("cpu"))

    def fitted(state: State | None = None, *, stop: bool = False) -> Fitted:
        def save(state: State) -> None:
            save_state(tmp_path, state)
            if stop and (state.epoch, state.step) == (1, 1):
                raise Stop

        return fit(
            make_lesson(make_module(config, material), config, material),
            config.optimizer,
            epochs=config.training.epochs,
            state=state,
            report=lambda progress: None,
            saving=Saving(every_s=0.0, save=save),
        )

    if isinstance(make_module(config, material), FittedModel):
        pytest.skip("it is fitted at once: there is nothing to stop")
    whole = fitted()
    with pytest.raises(Stop):
        fitted(stop=True)
    again = fitted(load_state(tmp_path))
    assert losses(again) == losses(whole)
    for key, tensor in whole.best.items():
        assert torch.equal(again.best[key], tensor)


def losses(found: Fitted) -> list[tuple[Any, Any]]:
    assert len(found.curves) == 2
    return [(row["train_loss"], row["val_loss"]) for row in found.curves]


@pytest.mark.parametrize("architecture", ["siren", "arch1"])
@pytest.mark.parametrize("name", [n for n in MODELS if n not in PLANNED])
def test_a_training_takes_what_was_planned(name, architecture, one_thread):
    config = config_for(name, "zoo", epochs=2, recipe="inr" if architecture == "siren" else "cnn")
    found = [(ARCHITECTURES[architecture], 8)]
    plan = plan_training(config, workload(found), device="cpu", slabs=DEVICE_SLABS)
    peak = measured_peak(lambda: train_for_real(config, found, slabs=DEVICE_SLABS))
    assert peak <= plan.total_bytes <= 1.4 * peak, f"planned / measured {plan.total_bytes / peak}"
