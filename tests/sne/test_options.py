"""The commands' flags: what help says, what a recipe sets, and that flags arrive."""

import importlib
import json
from pathlib import Path

import pytest

from sne.config import Data, TrainConfig, differences
from sne.models import MODELS, model_kind
from sne.options import parse_options
from sne.recipes import RECIPES, default_config
from sne.settings import SneConfig


def test_the_recipe_follows_from_the_networks(digits_zoo, sine_zoo):
    def parse(zoo: Path, *flags: str) -> TrainConfig:
        return parse_options(["--zoo", str(zoo), "--out", "run", *flags]).config

    waves, images = parse(sine_zoo), parse(digits_zoo)
    assert (waves.settings.encoding, waves.settings.head) == (32, (512,))
    assert waves.symmetry.invariance == 0.1
    assert (images.settings.encoding, images.settings.head) == (1024, (1000, 1000))
    assert images.symmetry.invariance == 0
    assert parse(digits_zoo, "--recipe", "inr").settings == waves.settings
    assert (
        parse(digits_zoo, "--model", "mlp").symmetry == parse(sine_zoo, "--model", "mlp").symmetry
    )
    assert waves == default_config([str(sine_zoo)], recipe="inr")


def test_flags_arrive(digits_zoo, sine_zoo):
    found = parse_options(
        [
            *("--zoo", str(digits_zoo), "--zoo", str(sine_zoo), "--out", "runs/x"),
            *("--target", "epoch", "--checkpoints", "all", "--status", "ok", "unfitted"),
            *("--epochs", "7", "--batch", "3", "--seed", "5", "--precision", "bf16"),
            *("--learning-rate", "0.01", "--milestones", "0.5", "--clip-norm", "1"),
            *("--invariance", "0.2", "--augment", "--sign-flips", "--sne.chunk", "8"),
            *("--sne.head", "4", "2", "--sne.without", "type_encoder", "--device", "cpu"),
            *("--sne.no-role-encoding", "--threads", "1", "--json"),
        ]
    )
    config = found.config
    assert config.data == Data(
        zoo=(str(digits_zoo), str(sine_zoo)),
        target="epoch",
        checkpoints="all",
        status=("ok", "unfitted"),
    )
    assert (config.training.epochs, config.training.batch, config.training.seed) == (7, 3, 5)
    assert config.training.precision == "bf16"
    assert (config.optimizer.learning_rate, config.optimizer.milestones) == (0.01, (0.5,))
    assert config.optimizer.clip_norm == 1
    assert config.symmetry.invariance == 0.2
    assert config.symmetry.augment
    assert config.symmetry.sign_flips
    assert config.settings == SneConfig(
        chunk=8, head=(4, 2), without=("type_encoder",), role_encoding=False, encoding=1024
    )
    assert (found.out, found.json) == (Path("runs/x"), True)
    assert (found.machine.device, found.machine.threads) == ("cpu", 1)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_config_survives_json(model, recipe):
    config = default_config(["a", "b"], model=model, recipe=recipe)
    value = json.loads(json.dumps(config.to_json()))
    assert TrainConfig.from_json(value, model_kind(model)) == config
    assert differences(value, config.to_json()) == []


def test_differences_are_named():
    one, other = default_config(["a"]).to_json(), default_config(["a"], recipe="cnn").to_json()
    assert differences(one, other) == [
        "settings.encoding: 32 there, 1024 now",
        "settings.head: (512,) there, (1000, 1000) now",
        "training.scaling: standard there, compressed now",
        "optimizer.clip_norm: 1.0 there, None now",
        "symmetry.invariance: 0.1 there, 0.0 now",
    ]


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("train", ["--zoo", "--target", "--epochs", "--invariance", "--sne.chunk", "--save-every"]),
        ("evaluate", ["--zoo", "--split", "--checkpoints", "--json"]),
        ("encode", ["--out", "--nonfinite", "safetensors", "torchvision:NAME"]),
        ("embed", ["--zoo", "--perplexity", "--most"]),
    ],
)
def test_help(capsys, command, flags):
    main = importlib.import_module(f"sne.{command}").main
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: python -m sne.{command}" in text
    assert "For example" in text
    assert "Exit codes" in text
    for flag in flags:
        assert flag in text
