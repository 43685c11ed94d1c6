"""A trial as a value: its name is its content, whatever the path, the machine or the day."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest import tiny_config, tiny_trial

from sne.config import TrainConfig
from sne.schedule import OptimizerConfig
from sweeps import trial as trial_module
from sweeps.results import ZooLabel
from sweeps.trial import Trial, make_trial
from sweeps.zoos import ZooRef

LABEL = ZooLabel(hash="a" * 64, dataset="digits", family="arch1", recipe="quick", seed=0)
OTHER = replace(LABEL, hash="b" * 64)


def trial_of(config: TrainConfig, uri: str = "zoos/a", label: ZooLabel = LABEL) -> Trial:
    ref = ZooRef(uri=uri, label=label)
    data = replace(config.data, zoo=(uri,), target="test_accuracy")
    return Trial(config=replace(config, data=data), train=(ref,), test=(ref,))


def test_paths_and_test_zoos_are_no_part_of_a_hash():
    config = tiny_config()
    trial = trial_of(config)
    assert len(trial.hash) == 16
    assert trial_of(config, uri="s3://elsewhere/a").hash == trial.hash
    more = replace(trial, test=(*trial.test, ZooRef(uri="zoos/b", label=OTHER)))
    assert more.hash == trial.hash


@pytest.mark.parametrize(
    "changed",
    [
        tiny_config(seed=1),
        tiny_config(epochs=3),
        tiny_config(model="mlp"),
        replace(tiny_config(), optimizer=OptimizerConfig(learning_rate=1e-4)),
    ],
)
def test_settings_are(changed: TrainConfig):
    assert trial_of(changed).hash != trial_of(tiny_config()).hash


def test_so_are_zoos_and_the_protocol(monkeypatch: pytest.MonkeyPatch):
    config = tiny_config()
    trial = trial_of(config)
    assert trial_of(config, label=OTHER).hash != trial.hash
    before = trial.hash
    monkeypatch.setattr(trial_module, "PROTOCOL_VERSION", trial_module.PROTOCOL_VERSION + 1)
    assert trial.hash != before


def test_another_process_gives_it_the_same_name():
    trial = trial_of(tiny_config("sne"))
    code = (
        "import json, sys\n"
        "from sweeps.trial import Trial\n"
        "print(Trial.from_json(json.load(sys.stdin)).hash)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(trial.to_json()),
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == trial.hash


def test_a_trial_survives_json():
    trial = trial_of(tiny_config("sne"))
    assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial
    assert str(trial) == "sne on digits × arch1, seed 0"


def test_a_default_target_has_the_hash_of_the_named_one(opened):
    trial = tiny_trial(opened)
    assert trial.config.data.target == "test_accuracy"
    assert trial.config.data.zoo == (opened[0].ref.uri,)
    assert trial.hash == trial_of(trial.config, label=opened[0].ref.label).hash
    assert make_trial(trial.config, train=trial.train, test=(), target=_target()).hash == trial.hash


def _target():
    from sne.targets import Target

    return Target(column="test_accuracy", kind="share")
