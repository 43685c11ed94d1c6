"""The CNN Wild Park, in folders built as it is published.

Layouts: mkofinas/neural-graphs, cnn_trainer.py and generate_cnn_park_splits.py.
"""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conversions import converted, drawn, their_class


def omegaconf_like(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Objects pickled as omegaconf's are: by class name, with their content in their state."""
    dicts = their_class("omegaconf.dictconfig.DictConfig", monkeypatch)
    lists = their_class("omegaconf.listconfig.ListConfig", monkeypatch)
    nodes = their_class("omegaconf.nodes.AnyNode", monkeypatch)

    def wrap(value: Any, parent: Any) -> Any:
        made = (dicts if isinstance(value, dict) else lists if isinstance(value, list) else nodes)()
        made.__dict__ |= {"_parent": parent, "_metadata": None}
        if isinstance(value, dict):
            made._content = {k: wrap(v, made) for k, v in value.items()}
        elif isinstance(value, list):
            made._content = [wrap(v, made) for v in value]
        else:
            made._val = value
        return made

    return wrap(values, None)


@pytest.mark.parametrize("form", ["omegaconf", "plain"])
def test_the_wild_park(
    form: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, states = tmp_path / "park", {}
    splits: dict[str, Any] = {
        s: {"path": [], "score": [], "step": []} for s in ("train", "val", "test")
    }
    for network in range(6):
        channels = [3, 4 + network % 2, 8]
        config: dict[str, Any] = {
            "n_layers": 2, "n_classes": 10, "channels": channels, "kernel_size": [3, 5],
            "stride": [1, 1], "padding": [1, 2], "residual": [-1, -1],
            "activation": ["relu", "none"],
        }  # fmt: skip
        for step in (10, 20):
            shapes = {0: (channels[1], 3, 3, 3), 1: (8, channels[1], 5, 5)}
            state: dict[str, Any] = OrderedDict()
            for layer, shape in shapes.items():
                state[f"layers.{layer}.weight"] = drawn(rng, *shape)
                state[f"layers.{layer}.bias"] = drawn(rng, shape[0])
            state |= {"fc.weight": drawn(rng, 10, 8), "fc.bias": drawn(rng, 10)}
            name = f"cifar10_zooV2/NN_{network}/checkpoint_{step:06d}/checkpoint.pt"
            (root / name).parent.mkdir(parents=True)
            kept = omegaconf_like(config, monkeypatch) if form == "omegaconf" else config
            content = {"model": state, "optimizer": {}, "config": kept, "iteration": step}
            torch.save({**content, "last_result": {"test/acc": 0.5}}, root / name)
            split = "val" if network == 3 else "test" if network > 3 else "train"
            splits[split]["path"].append(name)
            splits[split]["score"].append(network / 10 + step / 1000)
            splits[split]["step"].append(step)
            states[network, step] = state
    for part in splits.values():  # the published lists are shuffled
        for values in part.values():
            values.reverse()
    (root / "cnn_park_splits.json").write_text(json.dumps(splits))
    monkeypatch.undo()
    zoo = converted(root, tmp_path / "zoo")
    assert (len(zoo), len(zoo.architectures), zoo.plan.architecture) == (6, 2, None)
    found = set()
    for row in zoo.table([c.name for c in zoo.columns], checkpoint="all").to_pylist():
        network = round((row["test_accuracy"] - row["epoch"] / 1000) * 10)
        state = states[network, row["epoch"]]
        flat = np.array(row["weights"], dtype=np.float32)
        for tensor in zoo.architectures[row["arch"]].tensors:
            own = flat[tensor.offset : tensor.offset + tensor.size].reshape(tensor.shape)
            assert own.tobytes() == state[tensor.name].numpy().tobytes()
        assert row["config.activations"] == "relu none"
        assert row["config.channels"] == f"3 {4 + network % 2} 8"
        assert row["split"] == ("val" if network == 3 else "test" if network > 3 else "train")
        found.add((network, row["epoch"]))
    assert found == set(states)
