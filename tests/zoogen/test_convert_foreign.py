"""Schürholt's zoos, DWSNets' INRs and the CNN Wild Park, in folders built as they are published.

Layouts: ModelZoos/ModelZooDataset (def_NN_experiment.py, dataset_base.py), AvivNavon/DWSNets
(inr_trainer.py, generate_data_splits.py), mkofinas/neural-graphs (cnn_trainer.py,
generate_cnn_park_splits.py).
"""

import json
import sys
from collections import OrderedDict
from pathlib import Path, PosixPath
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from published import conv_output, linear_state

from zoogen import convert, verify
from zoogen.errors import SourceError
from zoogen.importers.find import detect, find_source
from zoogen.importers.source import Hints
from zoogen.reader import Zoo, open_zoo

CNN_S = {0: (8, 1, 5, 5), 3: (6, 8, 5, 5), 6: (4, 6, 2, 2), 9: (20, 36), 11: (10, 20)}
CNN_L = {0: (16, 3, 3, 3), 4: (32, 16, 3, 3), 8: (15, 32, 3, 3), 13: (20, 60), 16: (10, 20)}


def converted(source: Path, zoo: Path, *flags: str) -> Zoo:
    assert convert.main([str(source), str(zoo), *flags]) == 0
    with pytest.raises(SystemExit) as stopped:
        verify.main([str(zoo)])
    assert stopped.value.code == 0
    return open_zoo(zoo)


def drawn(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.tensor(rng.normal(0, 0.3, shape), dtype=torch.float32)


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
    assert (zoo.plan.dataset, zoo.plan.family) == ("fashion_mnist", "arch2")
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
    from zoogen.importers.schuerholt_networks import describe
    from zoogen.importers.tensors import in_order, read_header

    state, path = module_list(CNN_L, rng), tmp_path / "checkpoints"
    torch.save(state, path)
    architecture = describe(read_header(path), path)
    assert (architecture.family, architecture.parameters) == ("schuerholt_large", 10_853)
    from zoogen.forward import forward, parameters_of

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


def their_class(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class of another project, importable while the file is written."""
    module_name, _, short = name.rpartition(".")
    parts = module_name.split(".")
    for end in range(1, len(parts) + 1):
        full = ".".join(parts[:end])
        if full not in sys.modules:
            monkeypatch.setitem(sys.modules, full, ModuleType(full))
    cls = type(short, (), {"__module__": module_name})
    setattr(sys.modules[module_name], short, cls)
    return cls


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
    assert (zoo.plan.dataset, zoo.plan.family, len(zoo)) == ("mnist", "arch2", 7)
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


# --- DWSNets


def siren_output(state: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """sin(30·(Wx + b)) twice, a linear layer, + 0.5, in float64."""
    y = x.astype(np.float64)
    for layer in range(3):
        w, b = (state[f"seq.{layer}.{n}"].numpy().astype(np.float64) for n in ("weight", "bias"))
        y = y @ w.T + b
        y = np.sin(30 * y) if layer < 2 else y + 0.5
    return y


def test_image_inrs_with_labels(tmp_path: Path, rng: np.random.Generator) -> None:
    root, states, split = tmp_path / "mnist-inrs", {}, {}
    for number in range(10):
        name = ("train", "train", "val", "test")[number % 4]
        path = root / "mnist_png_training_3_7" / f"{number}" / "checkpoints" / "model_final.pth"
        path.parent.mkdir(parents=True)
        states[number] = linear_state((2, 8, 8, 1), rng, "seq.")
        torch.save(OrderedDict(states[number]), path)
        part = split.setdefault(name, {"path": [], "label": []})
        part["path"].append(f"/home/them/dataset/{path.relative_to(tmp_path).as_posix()}")
        part["label"].append(str(number))
    (root / "mnist_splits.json").write_text(json.dumps(split))
    zoo = converted(root, tmp_path / "zoo")
    assert (zoo.plan.kind, zoo.plan.dataset, zoo.plan.family) == ("signals", "mnist", "siren")
    assert zoo.plan.origin is not None
    assert zoo.plan.origin.split == "source"
    x = rng.uniform(-1, 1, (50, 2)).astype(np.float32)
    for row in zoo.table().to_pylist():
        number = row["config.image_label"]
        assert row["split"] == ("train", "train", "val", "test")[number % 4]
        with torch.inference_mode():
            got = zoo.to_module(row)(torch.tensor(x)).numpy()
        np.testing.assert_allclose(got, siren_output(states[number], x), rtol=2e-3, atol=2e-3)


def test_wave_inrs_with_their_coefficients(tmp_path: Path, rng: np.random.Generator) -> None:
    root, states = tmp_path / "ssl", {}
    root.mkdir()
    x = np.arange(-np.pi, np.pi, np.pi / 1000)
    for seed in range(5):
        coef = rng.uniform(0, 10, 2).tolist()
        state = linear_state((1, 4, 4, 1), rng, "seq.")
        states[seed] = (coef, dict(state))
        torch.save(
            {**state, "coef": coef, "x": x, "y": coef[0] * np.sin(coef[1] * x)},
            root / f"model_{seed}.pth",
        )
    names = [f"artifacts/model_{seed}.pth" for seed in range(5)]
    splits = {"train": names[:3], "test": names[3:4], "val": names[4:]}
    (root / "ssl_splits.json").write_text(json.dumps(splits))
    zoo = converted(root, tmp_path / "zoo")
    assert (zoo.plan.dataset, zoo.plan.family, len(zoo)) == ("sine", "siren", 5)
    for row in zoo.table().to_pylist():
        (amplitude, frequency), state = states[row["seed"]]
        assert (row["amplitude"], row["frequency"]) == (amplitude, frequency)
        assert row["split"] == {3: "test", 4: "val"}.get(row["seed"], "train")
        error = siren_output(state, x[:, None]) - (amplitude * np.sin(frequency * x))[:, None]
        assert row["mse"] == pytest.approx(np.mean(error**2), rel=1e-2)


# --- the Wild Park


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


def test_each_format_is_told_from_its_folder(tmp_path: Path) -> None:
    marks = {
        "schuerholt": "a/params.json",
        "dwsnets": "b/model_0.pth",
        "wild-park": "c/d/checkpoint.pt",
        "state-dicts": "networks.csv",
    }
    for name, mark in marks.items():
        path = tmp_path / name / mark
        path.parent.mkdir(parents=True)
        path.touch()
        assert detect(tmp_path / name) == name
    (tmp_path / "empty").mkdir()
    assert detect(tmp_path / "empty") is None


def test_an_incomplete_download_is_named(tmp_path: Path) -> None:
    (tmp_path / "m_splits.json").write_text(
        json.dumps({"train": {"path": ["/x/a.pth"], "label": [1]}, "test": []})
    )
    source = find_source(tmp_path, format_name="dwsnets", hints=Hints())
    with pytest.raises(SourceError, match=r"names /x/a.pth, and no end of that path is a file"):
        source.listing(lambda *_: None)
