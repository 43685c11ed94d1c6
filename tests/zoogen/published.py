"""Small files in exactly the layouts that others publish, built without the code under test.

Small CNN Zoo: README and notebook of google-research/dnn_predict_accuracy, and the loader of
AllanYangZhou/nfn (experiments/data_utils.py), which names the columns of layout.csv.
"""

import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

STEPS = (0, 1, 86)
LAYOUT = (
    ("sequential/conv2d/bias:0", (16,)),
    ("sequential/conv2d/kernel:0", (3, 3, 1, 16)),
    ("sequential/conv2d_1/bias:0", (16,)),
    ("sequential/conv2d_1/kernel:0", (3, 3, 16, 16)),
    ("sequential/conv2d_2/bias:0", (16,)),
    ("sequential/conv2d_2/kernel:0", (3, 3, 16, 16)),
    ("sequential/dense/bias:0", (10,)),
    ("sequential/dense/kernel:0", (16, 10)),
)
HEADER = (
    "config.activation,config.b_init,config.dataset,config.dnn_architecture,config.dropout,"
    "config.epochs,config.epochs_between_checkpoints,config.init_std,config.l2reg,"
    "config.learning_rate,config.num_layers,config.num_units,config.optimizer,config.random_seed,"
    "config.train_fraction,config.w_init,modeldir,step,test_accuracy,test_loss,train_accuracy,"
    "train_loss"
)


def small_cnn_zoo(
    folder: Path, *, networks: int = 20, dataset: str = "svhn_cropped", seed: int = 0
) -> np.ndarray:
    """Write weights.npy, metrics.csv.gz and layout.csv; returns the matrix."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0, 0.3, (networks * len(STEPS), 4970)).astype(np.float32)
    np.save(folder / "weights.npy", matrix)
    lines = [HEADER]
    for network in range(networks):
        activation = ("relu", "tanh")[network % 2]
        dropout, rate = float(rng.uniform(0, 0.7)), float(10 ** rng.uniform(-3, -1))
        for step in STEPS:
            accuracies = rng.uniform(0.1, 0.8, 2).tolist()
            lines.append(
                f"{activation},zeros,{dataset},cnn,{dropout!r},86,20,{0.01 * (network + 1)!r},"
                f"{1e-4 * (network + 1)!r},{rate!r},3,16,adam,42,0.5,he_normal,/cns/run/{network},"
                f"{step},{accuracies[0]!r},{float(rng.uniform(0, 3))!r},{accuracies[1]!r},"
                f"{float(rng.uniform(0, 3))!r}"
            )
    with gzip.open(folder / "metrics.csv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    start, rows = 0, ["varname,start_idx,end_idx,shape"]
    for name, shape in LAYOUT:
        stop = start + int(np.prod(shape))
        rows.append(f'{name},{start},{stop},"{shape}"')
        start = stop
    (folder / "layout.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return matrix


def small_cnn_output(row: np.ndarray, images: np.ndarray, activation: str) -> np.ndarray:
    """The published network on (n, h, w, 1) images, from one row of the matrix as Keras has it."""
    act = {"relu": torch.relu, "tanh": torch.tanh}[activation]
    x, at = torch.tensor(images).permute(0, 3, 1, 2), 0
    for inputs in (1, 16, 16):
        bias = torch.tensor(row[at : at + 16])
        kernel = row[at + 16 : at + 16 + 9 * inputs * 16].reshape(3, 3, inputs, 16)
        at += 16 + 9 * inputs * 16
        # Correlation by hand over the nine places of the kernel, stride 2, no padding.
        side = (x.shape[2] - 3) // 2 + 1
        y = bias[None, :, None, None].repeat(len(x), 1, side, side)
        for i in range(3):
            for j in range(3):
                patch = x[:, :, i : i + 2 * side - 1 : 2, j : j + 2 * side - 1 : 2]
                y = y + torch.einsum("nchw,co->nohw", patch, torch.tensor(kernel[i, j]))
        x = act(y)
    bias, dense = torch.tensor(row[at : at + 10]), torch.tensor(row[at + 10 :].reshape(16, 10))
    return (x.mean((2, 3)) @ dense + bias).numpy()


def nfn_loader(folder: Path, split_file: Path, mode: str) -> tuple[list[np.ndarray], list[float]]:
    """Rows of the matrix and accuracy of each network of a split, by NFN's rules in plain numpy.

    Their loader reads the files with pandas; the rules are those of its source, not its text.
    """
    import csv
    import random

    matrix = np.load(folder / "weights.npy")
    with gzip.open(folder / "metrics.csv.gz", "rt", encoding="utf-8") as file:
        metrics = list(csv.DictReader(file))
    order = [int(line) for line in split_file.read_text().split()]
    final = [row for row in order if float(metrics[row]["step"]) == 86]
    half = int(0.5 * len(final))
    first = list(range(half))
    random.Random(0).shuffle(first)
    cut = int(0.8 * half)
    places = {"train": first[:cut], "val": first[cut:], "test": list(range(half, len(final)))}
    rows = [final[place] for place in places[mode]]
    return [matrix[row] for row in rows], [float(metrics[row]["test_accuracy"]) for row in rows]


def linear_state(sizes: tuple[int, ...], rng: np.random.Generator, prefix: str) -> dict[str, Any]:
    """A state dict of linear layers: `{prefix}{i}.weight`, `{prefix}{i}.bias`."""
    state: dict[str, Any] = {}
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        shapes = {"weight": (outputs, inputs), "bias": (outputs,)}
        for name, shape in shapes.items():
            values = torch.tensor(rng.normal(0, 0.1, shape), dtype=torch.float32)
            state[f"{prefix}{layer}.{name}"] = values
    return state


def conv_output(state: dict[str, Any], images: torch.Tensor) -> torch.Tensor:
    """Schürholt's CNN-s with tanh, from a state dict by its published layer numbers."""
    x = images
    for layer in (0, 3, 6):
        x = F.conv2d(x, state[f"module_list.{layer}.weight"], state[f"module_list.{layer}.bias"])
        x = torch.tanh(F.max_pool2d(x, 2) if layer < 6 else x)
    x = x.flatten(1)
    hidden = torch.tanh(F.linear(x, state["module_list.9.weight"], state["module_list.9.bias"]))
    return F.linear(hidden, state["module_list.11.weight"], state["module_list.11.bias"])
