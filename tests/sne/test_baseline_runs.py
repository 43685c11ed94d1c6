"""Each baseline as a run: trained, interrupted and gone on with, measured, used on a network."""

from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest

from sne.checkpoint import load_run
from sne.config import Machine
from sne.encode import encode
from sne.fit import Progress
from sne.model import read_config
from sne.models import model_kind
from sne.recipes import default_config
from sne.train import train

SMALL: dict[str, dict[str, Any]] = {
    "nfn_np": {"channels": (4,), "head": (8,)},
    "nfn_hnp": {"channels": (4,), "head": (8,)},
    "nft": {"width": 8, "blocks": 1, "heads": 2, "head": (8,), "dropout": 0.3},
    "dwsnet": {"width": 8, "layers": 1, "heads": 2, "dropout": 0.3},
    "neuralgraph": {"width": 8, "layers": 2, "dropout": 0.3, "noise": 0.1, "drop": 0.01},
    "scalegmn": {"width": 8, "layers": 2, "dropout": 0.3},
    "hyperrep": {"width": 16, "blocks": 1, "feed": 16, "latent": 8, "projection": (8, 4)},
}


class Stop(Exception):
    """What ends a training in the middle."""


@pytest.mark.parametrize("name", SMALL)
def test_a_baseline_trains_goes_on_and_is_used_as_any_model(name, sine_zoo, tmp_path):
    def stop(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (1, 1):
            raise Stop

    config = default_config([str(sine_zoo)], model=name, recipe="inr")
    config = replace(
        config,
        settings=read_config(model_kind(name), SMALL[name]),
        training=replace(config.training, epochs=2, batch=21),
    )
    out = tmp_path / "run"
    with pytest.raises(Stop):
        train(config, out, machine=Machine(save_every=0.0), report=stop)
    run = train(config, out)
    whole = train(config, tmp_path / "whole")
    curves, expected = (
        pq.read_table(r.path / "curves.parquet").drop_columns("seconds").to_pylist()
        for r in (run, whole)
    )
    assert curves == expected
    assert len(curves) == 2
    (test,) = run.result["tests"]
    assert test["n"] == 8
    assert test["metrics"]["mse"]["value"] > 0
    again = load_run(out)
    network = pq.read_table(next((sine_zoo / "shards").iterdir())).to_pylist()[0]
    first = encode(again, f"{sine_zoo}#{network['member']}")
    second = encode(whole, f"{sine_zoo}#{network['member']}")
    assert first.prediction == pytest.approx(second.prediction, rel=1e-5)
    assert len(first.encoding)
