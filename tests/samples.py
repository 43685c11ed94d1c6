"""One small sample of everything that is read: folders as the field publishes them, and our own."""

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from sne.config import Machine
from sne.recipes import default_config
from sne.train import train
from sweeps.asked import Asked, Entry, write_asked
from tests.zoogen.conversions import drawn, their_class
from tests.zoogen.published import linear_state, small_cnn_zoo
from tests.zoogen.tiny_zoo import image_plan, make_zoo
from zoogen import export
from zoogen.run import main as run_zoogen

CNN_S = {0: (8, 1, 5, 5), 3: (6, 8, 5, 5), 6: (4, 6, 2, 2), 9: (20, 36), 11: (10, 20)}
SIDES = {"train": 6, "test": 4}
"""Images of each split."""


def zoo(folder: Path) -> None:
    """Ten SIRENs, really trained."""
    flags = ["--dataset", "sine", "--arch", "siren", "--recipe", "quick", "--members", "10"]
    assert run_zoogen([*flags, "--local", "--out", str(folder)]) == 0


def run(folder: Path) -> None:
    """A training that was stopped at its end, with its last state; its zoo lies beside it."""
    zoo(folder.with_name("zoo-of-run"))

    class Stopped(Exception):
        pass

    def stop(progress: object) -> None:
        if getattr(progress, "row", None) is not None and (folder / "state/state.json").exists():
            raise Stopped

    config = default_config((str(folder.with_name("zoo-of-run")),), model="mlp")
    machine = Machine(device="cpu", threads=1, save_every=0.0, save_epochs=True)
    with pytest.raises(Stopped):
        train(config, folder, machine=machine, report=stop)


def results(folder: Path) -> None:
    """What a sweep asked for; of its results one file, as another table than ours."""
    entry = Entry(trial="a", table="mlp", row="sine", seed=0)
    asked = Asked(kind="matrix", command="x", entries=(entry,), test_zoos=("b",))
    (folder / "results").mkdir(parents=True)
    write_asked(folder, asked)
    pq.write_table(pa.table({"trial": ["a"]}), folder / "results/a.parquet")


def small_cnn(folder: Path) -> None:
    small_cnn_zoo(folder, networks=4)


def schuerholt(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for network in range(2):
        trial = folder / f"NNmodel_{network}"
        (trial / "checkpoint_000005").mkdir(parents=True)
        config = {"model::nlin": "tanh", "optim::lr": 0.0003, "seed": network, "cuda": False}
        (trial / "params.json").write_text(json.dumps(config))
        result = {"train_acc": 0.5, "train_loss": 1.0, "test_acc": 0.25, "test_loss": 2.0}
        lines = [json.dumps({**result, "training_iteration": epoch}) for epoch in (0, 5)]
        (trial / "result.json").write_text("\n".join(lines))
        torch.save(_module_list(rng), trial / "checkpoint_000005/checkpoints")


def schuerholt_packed(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        cls = their_class("checkpoints_to_datasets.dataset_base.ModelDatasetBase", patch)
        content = {}
        for number, split in enumerate(("trainset", "valset", "testset")):
            data = content[split] = cls()
            data.data_in, data.epochs = [_module_list(rng)], [5]
            data.paths = [PosixPath(f"/netscratch/zoo/NN_{number}")]
            data.properties = {
                "test_acc": [0.5], "ggap": [np.float64(0.125)], "optim::lr": [0.1],
                "model::nlin": ["leakyrelu"],
            }  # fmt: skip
        torch.save(content, folder / "dataset.pt")


def dwsnets(folder: Path) -> None:
    """Waves with their coefficients, and points beside them as numpy arrays."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for seed in range(3):
        state = linear_state((1, 4, 4, 1), rng, "seq.")
        more = {"coef": rng.uniform(0, 10, 2).tolist(), "x": np.arange(3.0)}
        torch.save({**state, **more}, folder / f"model_{seed}.pth")
    names = [f"artifacts/model_{seed}.pth" for seed in range(3)]
    splits = {"train": {"path": names[:1], "label": ["3"]}, "val": names[1:2], "test": names[2:]}
    (folder / "ssl_splits.json").write_text(json.dumps(splits))


def wild_park(folder: Path) -> None:
    rng = np.random.default_rng(0)
    splits: dict[str, Any] = {}
    for number, split in enumerate(("train", "val", "test")):
        name = f"park/NN_{number}/checkpoint_000010/checkpoint.pt"
        state = OrderedDict({"layers.0.weight": drawn(rng, 4, 3, 3, 3), "fc.bias": drawn(rng, 4)})
        config = {"n_layers": 1, "channels": [3, 4], "kernel_size": [3], "activation": ["relu"]}
        (folder / name).parent.mkdir(parents=True)
        content = {"model": state, "config": config, "iteration": 10}
        torch.save({**content, "last_result": {"test/acc": 0.5}}, folder / name)
        splits[split] = {"path": [name], "score": [0.5], "step": [10]}
    (folder / "cnn_park_splits.json").write_text(json.dumps(splits))


def state_dicts(folder: Path) -> None:
    """Networks of two kinds of file that nothing describes."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    lines = ["file,network,epoch,test_accuracy,split,seed,depth"]
    for number in range(4):
        state = linear_state((4, 5, 3), rng, "layers.")
        name = f"net{number}.{'safetensors' if number % 2 else 'pt'}"
        save_file(state, folder / name) if number % 2 else torch.save(state, folder / name)
        lines.append(f"{name},{number},2,0.5,{('train', 'val', 'test', 'test')[number]},7,3")
    (folder / "networks.csv").write_text("\n".join(lines))


def exported(folder: Path) -> None:
    """A zoo of ours as a folder of state dicts, described."""
    made = folder.with_name(f"zoo-of-{folder.name}")
    make_zoo(made, image_plan(members=2, checkpoints=(0, 1)))
    assert export.main([str(made), "--to", "safetensors", "--out", str(folder)]) == 0


def parquet_images(folder: Path) -> None:
    """MNIST in the Hugging Face layout."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for split, count in SIDES.items():
        encoded = []
        for _ in range(count):
            path = folder / "image.png"
            Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(path)
            encoded.append({"bytes": path.read_bytes(), "path": None})
            path.unlink()
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(encoded, kind), "label": [1] * count})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet", write_page_checksum=True)


def matlab_images(folder: Path) -> None:
    """SVHN as it is published."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for split, count in SIDES.items():
        pixels = rng.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        content = {"X": pixels, "y": np.full((count, 1), 10, np.uint8)}
        savemat(folder / f"{split}_32x32.mat", content, do_compression=True)


def idx_images(folder: Path) -> None:
    """MNIST as torchvision unpacks it."""
    folder.mkdir()
    pixels = bytes((0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28)) + bytes(2 * 28 * 28)
    (folder / "images-idx3-ubyte").write_bytes(pixels)
    (folder / "labels-idx1-ubyte").write_bytes(bytes((0, 0, 8, 1, 0, 0, 0, 2, 1, 2)))


SAMPLES: dict[str, Callable[[Path], None]] = {
    "zoo": zoo,
    "run": run,
    "results": results,
    "small-cnn-zoo": small_cnn,
    "schuerholt": schuerholt,
    "schuerholt-packed": schuerholt_packed,
    "dwsnets": dwsnets,
    "wild-park": wild_park,
    "state-dicts": state_dicts,
    "exported": exported,
    "parquet images": parquet_images,
    "matlab images": matlab_images,
    "idx images": idx_images,
}


def _module_list(rng: np.random.Generator) -> "OrderedDict[str, Any]":
    state: OrderedDict[str, Any] = OrderedDict()
    for number, shape in CNN_S.items():
        state[f"module_list.{number}.weight"] = drawn(rng, *shape)
        state[f"module_list.{number}.bias"] = drawn(rng, shape[0])
    return state
