"""The CNN Wild Park, in folders built as it is published.

Layouts: mkofinas/neural-graphs, cnn_trainer.py and generate_cnn_park_splits.py.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conversions import converted, drawn, their_class
from torch import Tensor

from zoogen.importers.wild_park_networks import described

NOT_CONFIGURED = 2
"""The network whose configuration is not whole."""


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


def their_network(
    network: int, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and state dict, with the published names."""
    channels = [3, 4 + network % 2, 8, 6]
    config: dict[str, Any] = {
        "n_layers": 3, "n_classes": 10, "channels": channels, "kernel_size": [3, 5, 3],
        "stride": [1, 1, 1], "padding": [1, 2, 1], "residual": [-1, -1, 0 if network else -1],
        "activation": ["relu", "none", "leaky_relu"],
    }  # fmt: skip
    if network == NOT_CONFIGURED:
        del config["kernel_size"]
    state: dict[str, Tensor] = OrderedDict()
    for layer, kernel in enumerate((3, 5, 3)):
        shape = (channels[layer + 1], channels[layer], kernel, kernel)
        state[f"layers.{layer}.weight"] = drawn(rng, *shape)
        state[f"layers.{layer}.bias"] = drawn(rng, shape[0])
    state |= {"fc.weight": drawn(rng, 10, 6), "fc.bias": drawn(rng, 10)}
    return config, state


@pytest.mark.parametrize("form", ["omegaconf", "plain"])
def test_the_wild_park(
    form: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, states = tmp_path / "park", {}
    splits: dict[str, Any] = {
        s: {"path": [], "score": [], "step": []} for s in ("train", "val", "test")
    }
    for network, step in product(range(6), (10, 20)):
        config, state = their_network(network, rng)
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
    assert (len(zoo), len(zoo.architectures), zoo.plan.architecture) == (6, 4, None)
    found = set()
    for row in zoo.table([c.name for c in zoo.columns], checkpoint="all").to_pylist():
        network = round((row["test_accuracy"] - row["epoch"] / 1000) * 10)
        state = states[network, row["epoch"]]
        flat = np.array(row["weights"], dtype=np.float32)
        architecture = zoo.architectures[row["arch"]]
        for tensor, theirs in zip(architecture.tensors, state.values(), strict=True):
            own = flat[tensor.offset : tensor.offset + tensor.size].reshape(tensor.shape)
            assert own.tobytes() == theirs.numpy().tobytes()
        known = network != NOT_CONFIGURED
        assert architecture.family == ("wildpark" if known else "wild-park")
        if known:
            images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(network))
            expected = their_output(list(state.values()), images, residual=network > 0)
            with torch.no_grad():
                assert torch.allclose(zoo.to_module(row)(images), expected, atol=1e-5)
        assert row["config.activations"] == "relu none leaky_relu"
        assert row["config.channels"] == f"3 {4 + network % 2} 8 6"
        assert row["split"] == ("val" if network == 3 else "test" if network > 3 else "train")
        found.add((network, row["epoch"]))
    assert found == set(states)


def their_output(state: list[Tensor], images: Tensor, *, residual: bool) -> Tensor:
    """The published network, written out: the third layer may add the first one's output."""
    first = F.relu(F.conv2d(images, state[0], state[1], padding=1))
    third = F.conv2d(F.conv2d(first, state[2], state[3], padding=2), state[4], state[5], padding=1)
    if residual:
        shared = min(first.shape[1], third.shape[1])
        third = torch.cat([third[:, :shared] + first[:, :shared], third[:, shared:]], dim=1)
    return F.linear(F.leaky_relu(third).mean((2, 3)), state[6], state[7])


FITTING: Mapping[str, Any] = {
    "channels": [3, 4, 4], "kernel_size": [3, 5], "residual": [-1, -1], "activation": ["relu"] * 2,
}  # fmt: skip
SHAPES = ((4, 3, 3, 3), (4,), (4, 4, 5, 5), (4,), (10, 4), (10,))


@pytest.mark.parametrize(
    "change",
    [
        {"channels": [3, 4]},
        {"channels": [3, 4, 10**12]},
        {"channels": [3, 4, True]},
        {"channels": "3 4 4"},
        {"kernel_size": [5, 5]},
        {"kernel_size": [3]},
        {"kernel_size": None},
        {"residual": [-1, 0]},
        {"residual": [-1, 10**9]},
        {"residual": [-1, "0"]},
        {"stride": [1, 2]},
        {"padding": [0, 0]},
        {"activation": ["relu", "swiglu"]},
        {"activation": ["relu", ["relu"]]},
        {"activation": [None, None]},
    ],
)
def test_a_configuration_that_does_not_say_all_is_not_believed(change):
    found = described(FITTING, SHAPES)
    assert found is not None
    assert found.parameters == sum(np.prod(shape) for shape in SHAPES)
    assert described({**FITTING, **change}, SHAPES) is None
    assert described(None, SHAPES) is None
    assert described(FITTING, SHAPES[:-1]) is None
    assert described(FITTING, (*SHAPES[:-1], (9,))) is None
    assert described(FITTING, (*SHAPES[:-1], ())) is None
