"""`python -m sweeps.information ZOO`: what statistics can tell of the signal an INR was fitted to.

Gradient boosting on four sets of numbers, each of which holds the one before it:

tensors   quantiles, mean and deviation of each tensor: what `--model boosting` learns from
sizes     the same of |w|, which signs of neurons do not change
rows      of the norms of rows and columns, and the singular values, of each matrix
paths     of products of neighbouring matrices: what arrives at a neuron and what leaves it

The first three look at one tensor at a time; `paths` has to know which column of a matrix meets
which row of the one before. What lies between them is what a model misses that encodes each tensor
by itself, unless neurons have places that tensors share (`sne.canonical`).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, TypeAlias

import lightgbm
import numpy as np
import tyro
from jaxtyping import Float64
from rich.console import Console
from rich.table import Table

from sne.command import answer
from sne.errors import DataError
from sne.metrics import error_difference, mean
from sne.networks import Which, open_zoos, read_networks
from sne.resampling import Estimate
from sne.targets import choose_target
from sne.zoo import Architecture

Numbers: TypeAlias = Float64[np.ndarray, "n f"]
Layer: TypeAlias = tuple[Float64[np.ndarray, "n o i"], Float64[np.ndarray, "n o"]]
"""Weights and biases of all networks."""
SHARES = (0, 5, 25, 50, 75, 95, 100)
SPLITS = ("train", "val", "test")
TREES, PATIENCE = 2000, 100
SETTINGS: Mapping[str, float | int | str] = {
    "objective": "regression",
    "learning_rate": 0.03,
    "num_leaves": 16,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_fraction": 0.4,
    "deterministic": True,
    "num_threads": 1,
    "verbose": -1,
}


def tensors(layers: Sequence[Layer]) -> Numbers:
    """Of each tensor."""
    return np.hstack([_spread(part) for layer in layers for part in layer])


def sizes(layers: Sequence[Layer]) -> Numbers:
    """Of |w| beside them."""
    return np.hstack([tensors(layers), *(_spread(np.abs(p)) for layer in layers for p in layer)])


def rows(layers: Sequence[Layer]) -> Numbers:
    """Of each matrix's rows, columns and singular values beside them."""
    found = [sizes(layers)]
    for weights, _ in layers:
        found += [_spread(np.linalg.norm(weights, axis=axis)) for axis in (1, 2)]
        found.append(np.log(np.linalg.svd(weights, compute_uv=False) + 1e-12))
    return np.hstack(found)


def paths(layers: Sequence[Layer]) -> Numbers:
    """Of what arrives at and leaves each neuron, by way of its neighbours, beside them.

    With |W|, W² and W in place of the weights; the sums over all paths through the network too.
    """
    found = [rows(layers)]
    weights = [w for w, _ in layers]
    for power in (np.abs, np.square, np.array):
        arriving, leaving = [power(weights[0]).sum(2)], [power(weights[-1]).sum(1)]
        for w in weights[1:]:
            arriving.append(np.einsum("noi,ni->no", power(w), arriving[-1]))
        for w in weights[-2::-1]:
            leaving.append(np.einsum("noi,no->ni", power(w), leaving[-1]))
        hidden = zip(arriving[:-1], leaving[-2::-1], strict=True)
        found += [_spread(part) for a, b in hidden for part in (a, b, a * b)]
        found.append(np.log(np.abs(arriving[-1]) + 1e-12))
    return np.hstack(found)


SETS: Mapping[str, Callable[[Sequence[Layer]], Numbers]] = {
    "tensors": tensors,
    "sizes": sizes,
    "rows": rows,
    "paths": paths,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code is 2 for a zoo that it cannot read, 130 for Ctrl-C."""
    return answer(
        lambda: _show(*tyro.cli(_command, args=arguments, prog="python -m sweeps.information"))
    )


def _command(
    zoo: Annotated[str, tyro.conf.Positional],
    seeds: int = 3,
) -> tuple[str, int]:
    """How well simple statistics of each tensor, and across tensors, tell an INR's signal.

    Args:
        zoo: of INRs that are chains of linear layers.
        seeds: boosted trees are grown so many times, and their predictions averaged.
    """
    return zoo, seeds


def _show(path: str, seeds: int) -> int:
    (zoo,) = open_zoos([path])
    target = choose_target([zoo], None)
    read = {s: read_networks(zoo, split=s, which=Which(), columns=(target.column,)) for s in SPLITS}
    values = {s: np.array(r.column(target.column), dtype=np.float64) for s, r in read.items()}
    chains: dict[str, list[Layer]] = {}
    for split, networks in read.items():
        if len(networks.parts) != 1:
            raise DataError(f"{path} has networks of several architectures; one is wanted")
        part = networks.parts[0]
        chains[split] = _chain(part.architecture, part.weights.astype(np.float64))
    table = Table(title=f"{target.label}: boosting on statistics, {seeds} seeds averaged")
    for name in ("statistics", "numbers", "test MSE [95 %]", "less that of the row above"):
        table.add_column(name)
    before = None
    for name, make in SETS.items():
        numbers = {split: make(chain) for split, chain in chains.items()}
        error = (_boosted(numbers, values, seeds) - values["test"]) ** 2
        known = mean(error)
        change = "" if before is None else _interval(error_difference(error, before))
        table.add_row(name, str(numbers["test"].shape[1]), _interval(known), change)
        before = error
    Console().print(table)
    return 0


def _interval(estimate: Estimate) -> str:
    return "{value:.3f} [{low:.3f}, {high:.3f}]".format(**estimate.to_json())


def _chain(architecture: Architecture, weights: Float64[np.ndarray, "n p"]) -> list[Layer]:
    """The matrices and biases of a chain of linear layers.

    Raises:
        DataError: it is none.
    """
    given = architecture.tensors
    shapes = [t.shape for t in given[::2]]
    chained = all(len(s) == 2 for s in shapes) and [len(t.shape) for t in given[1::2]] == [
        1 for _ in shapes
    ]
    if not chained or any(a[0] != b[1] for a, b in pairwise(shapes)):
        raise DataError(f"{architecture.family} is no chain of linear layers with biases")
    cut = [weights[:, t.offset : t.offset + t.size].reshape(-1, *t.shape) for t in given]
    return list(zip(cut[::2], cut[1::2], strict=True))


def _spread(values: Float64[np.ndarray, "n ..."]) -> Numbers:
    flat = values.reshape(len(values), -1)
    quantiles = np.percentile(flat, SHARES, axis=1).T
    return np.column_stack([quantiles, flat.mean(1), flat.std(1), (flat**4).mean(1) ** 0.25])


def _boosted(
    numbers: Mapping[str, Numbers], values: Mapping[str, Float64[np.ndarray, " n"]], seeds: int
) -> Float64[np.ndarray, " n"]:
    """Predictions on the test split; the validation split decides how many trees are kept."""
    predictions: list[np.ndarray] = []
    for seed in range(seeds):
        training = lightgbm.Dataset(numbers["train"], values["train"])
        booster = lightgbm.train(
            {**SETTINGS, "seed": seed},
            training,
            num_boost_round=TREES,
            valid_sets=[training.create_valid(numbers["val"], values["val"])],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        found = booster.predict(numbers["test"], num_iteration=booster.best_iteration)
        predictions.append(np.asarray(found))
    return np.mean(predictions, axis=0)


if __name__ == "__main__":
    sys.exit(main())
