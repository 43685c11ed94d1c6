"""Schürholt's zoos, in folders and files built as they are published.

Layouts: ModelZoos/ModelZooDataset, def_NN_experiment.py, dataset_base.py and load_dataset.ipynb.
"""

import json
from collections import OrderedDict
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import pytest
import torch
from conversions import converted, drawn, their_class
from published import conv_output

from zoogen.errors import SourceError
from zoogen.forward import forward, parameters_of
from zoogen.importers.find import find_source
from zoogen.importers.schuerholt_networks import describe
from zoogen.importers.source import Hints
from zoogen.importers.tensors import in_order, read_header

CNN_S = {0: (8, 1, 5, 5), 3: (6, 8, 5, 5), 6: (4, 6, 2, 2), 9: (20, 36), 11: (10, 20)}
CNN_L = {0: (16, 3, 3, 3), 4: (32, 16, 3, 3), 8: (15, 32, 3, 3), 13: (20, 60), 16: (10, 20)}


def module_list(
    layers: dict[int, tuple[int, ...]], rng: np.random.Generator
) -> "OrderedDict[str, Any]":
    state: OrderedDict[str, Any] = OrderedDict()
    for number, shape in layers.items():
        for name, size in (("weight", shape), ("bias", shape[:1])):
            state[f"module_list.{number}.{name}"] = drawn(rng, *size)
    return state


# --- Schürholt, raw


def raw_zoo(root: Path, rng: np.random.Generator, *, networks: int = 10) -> dict[Any, Any]:
    """Trials with checkpoints 0, 1 and 50, numbered both ways, and results from iteration 0 on."""
    states: dict[Any, Any] = {}
    for network in range(networks):
        trial = root / f"NNmodel_{network:05d}_seed={network}"
        trial.mkdir(parents=True)
        config = {
            "model::type": "CNN", "model::channels_in": 1, "model::nlin": "tanh",
            "model::dropout": 0.5 if network % 2 else 0, "model::init_type": "uniform",
            "optim::optimizer": "adam", "optim::lr": 0.0003, "optim::wd": 0, "seed": network + 1,
            "training::batchsize": 10, "dataset::dump": "/netscratch/dataset.pt", "cuda": False,
            "training::checkpoint_dir": None,
        }  # fmt: skip
        (trial / "params.json").write_text(json.dumps(config))
        lines = []
        for epoch in (0, 1, 50):
            name = f"checkpoint_{epoch:06d}" if network % 2 else f"checkpoint_{epoch}"
            (trial / name).mkdir()
            state = module_list(CNN_S, rng)
            torch.save(state, trial / name / "checkpoints")
            states[network, epoch] = state
            accuracy = -999 if epoch == 0 else 0.5 + network / 100
            result = {"train_acc": accuracy, "train_loss": accuracy, "test_acc": epoch / 100}
            lines.append(json.dumps({**result, "test_loss": 2.0, "training_iteration": epoch}))
        (trial / "result.json").write_text("\n".join(lines) + "\n")
    return states


def test_schuerholts_folders(tmp_path: Path, rng: np.random.Generator) -> None:
    root = tmp_path / "tune_zoo_fmnist_uniform"
    states = raw_zoo(root, rng)
    zoo = converted(root, tmp_path / "zoo")
    assert (zoo.plan.dataset, zoo.plan.family) == ("fashion_mnist", "schuerholt_small")
    assert zoo.plan.checkpoints == (0, 1, 50)
    images = torch.tensor(rng.normal(size=(3, 1, 28, 28)), dtype=torch.float32)
    for (network, epoch), state in states.items():
        row = zoo.row(network, epoch)
        assert row["test_accuracy"] == epoch / 100
        wanted = None if epoch == 0 else 0.5 + network / 100
        assert row["train_accuracy"] == wanted
        assert (row["seed"], row["config.activation"]) == (network + 1, "tanh")
        assert row["config.dropout"] == (0.5 if network % 2 else 0.0)
        if epoch == 50:
            with torch.inference_mode():
                got = zoo.to_module(row)(images)
            torch.testing.assert_close(got, conv_output(state, images), rtol=1e-4, atol=1e-4)
    assert zoo.plan.origin is not None
    assert zoo.plan.origin.licence == "CC BY 4.0"
    assert "config.dataset_dump" not in [c.name for c in zoo.columns]
    assert zoo.plan.shares == (7, 1, 2)


def test_the_large_cnn_is_known(tmp_path: Path, rng: np.random.Generator) -> None:
    state, path = module_list(CNN_L, rng), tmp_path / "checkpoints"
    torch.save(state, path)
    architecture = describe(read_header(path), path)
    assert (architecture.family, architecture.parameters) == ("schuerholt_large", 10_853)
    x = images = torch.tensor(rng.normal(size=(2, 3, 32, 32)), dtype=torch.float32)
    for layer in (0, 4, 8):
        x = torch.nn.functional.conv2d(
            x, state[f"module_list.{layer}.weight"], state[f"module_list.{layer}.bias"]
        )
        x = torch.nn.functional.gelu(torch.nn.functional.max_pool2d(x, 2))
    w, b = state["module_list.13.weight"], state["module_list.13.bias"]
    hidden = torch.nn.functional.gelu(x.flatten(1) @ w.T + b)
    wanted = hidden @ state["module_list.16.weight"].T + state["module_list.16.bias"]
    flat = torch.from_numpy(in_order(state, architecture, path))
    got = forward(
        architecture, parameters_of(architecture, flat), images, config={"activation": "gelu"}
    )
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


# --- Schürholt, packed


def packed_zoo(path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Any:
    cls = their_class("checkpoints_to_datasets.dataset_base.ModelDatasetBase", monkeypatch)
    states, content = {}, {}
    for split, networks in (("trainset", range(4)), ("valset", (4,)), ("testset", (5, 6))):
        dataset = cls()
        keys = [(network, epoch) for network in networks for epoch in (5, 15)]
        states |= {key: module_list(CNN_S, rng) for key in keys}
        dataset.data_in = [states[key] for key in keys]
        dataset.paths = [PosixPath(f"/netscratch/zoo/NN_tune_trainable_{n}") for n, _ in keys]
        dataset.epochs = [epoch for _, epoch in keys]
        dataset.mode, dataset.root = "checkpoint", [PosixPath("/netscratch/zoo")]
        dataset.properties = {
            "test_acc": [n / 10 + e / 1000 for n, e in keys],
            "training_iteration": [e for _, e in keys],
            "ggap": [np.float64(0.125)] * len(keys),
            "optim::lr": [10.0 ** -(n + 1) for n, _ in keys],
            "model::nlin": ["leakyrelu"] * len(keys),
        }
        content[split] = dataset
    torch.save(content, path)
    return states


def test_schuerholts_packed_file(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dataset_mnist_hyp_rand.pt"
    states = packed_zoo(path, rng, monkeypatch)
    monkeypatch.undo()  # their classes are gone when it is read
    zoo = converted(path, tmp_path / "zoo")
    assert (zoo.plan.dataset, zoo.plan.family, len(zoo)) == ("mnist", "schuerholt_small", 7)
    for (network, epoch), state in states.items():
        row = zoo.row(network, epoch)
        flat = torch.cat([t.reshape(-1) for t in state.values()]).numpy()
        assert row["weights"].tobytes() == flat.tobytes()
        assert row["test_accuracy"] == network / 10 + epoch / 1000
        assert row["config.learning_rate"] == 10.0 ** -(network + 1)
        assert row["config.activation"] == "leaky_relu"
        assert row["split"] == ("train" if network < 4 else "val" if network == 4 else "test")


class Malicious:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "gotcha")


class Sneaky:
    """Calls a function by a name that is allowed, with the function as its state's neighbour."""

    def __reduce__(self) -> Any:
        return eval, ("__import__('os').getpid()",)


@pytest.mark.parametrize("attack", ["attribute", "path", "eval"])
def test_a_malicious_packed_file_runs_nothing(
    attack: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap, path = tmp_path / "trap", tmp_path / "dataset.pt"
    cls = their_class("checkpoints_to_datasets.dataset_base.ModelDatasetBase", monkeypatch)
    dataset = cls()
    dataset.data_in, dataset.epochs = [module_list(CNN_S, rng)], [5]
    dataset.paths = [Malicious(trap)] if attack == "path" else ["a"]
    dataset.properties = {"test_acc": [Sneaky()]} if attack == "eval" else {"test_acc": [0.5]}
    if attack == "attribute":
        dataset.extra = Malicious(trap)
    torch.save({"trainset": dataset}, path)
    with pytest.raises(SourceError, match="code in files is never run"):
        find_source(path, format_name=None, hints=Hints()).listing(lambda *_: None)
    assert not trap.exists()
    if attack != "eval":
        torch.load(path, weights_only=False)  # what an unsafe loader would have done
        assert trap.exists()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("params.json", "[1", "is no JSON object"),
        ("result.json", "{}", "line 1: no result of an epoch"),
        ("checkpoint_5/checkpoints", "zzz", "no PyTorch file"),
    ],
)
def test_a_damaged_trial_is_named(
    file: str, content: str, said: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    trial = tmp_path / "NNmodel_1"
    (trial / "checkpoint_5").mkdir(parents=True)
    torch.save(module_list(CNN_S, rng), trial / "checkpoint_5" / "checkpoints")
    (trial / "params.json").write_text("{}")
    (trial / file).write_text(content)
    source = find_source(tmp_path, format_name=None, hints=Hints())
    with pytest.raises(SourceError, match=said):
        source.listing(lambda *_: None)
