"""10,000 networks' weights and one column into numpy: our zoo against a folder of .pt files.

Both hold the same networks. Both are read from the page cache: they were just written.
"""

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import jobs
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import Contender, race, require, speedup
from zoogen.architecture_file import write_architectures
from zoogen.archs import arch_family, to_module
from zoogen.description import Architecture
from zoogen.manifest import write_manifest
from zoogen.networks import READERS
from zoogen.overrides import override
from zoogen.plan import Plan
from zoogen.planning import make_plan
from zoogen.platforms import current_platform
from zoogen.reader import open_zoo
from zoogen.recipes import recipe_for
from zoogen.shards import write_shard
from zoogen.store import open_store
from zoogen.train.job import Snapshot

NETWORKS = 10_000
COLUMN = "test_accuracy"


def reading(networks: int) -> Iterator[Row]:
    """Write both, compare what they give, time them."""
    with tempfile.TemporaryDirectory(prefix="zoogen-bench-") as scratch:
        zoo, folder = Path(scratch) / "zoo", Path(scratch) / "pt"
        weights, accuracies, architecture = made_up(networks)
        write_zoo(zoo, weights, accuracies, architecture)
        write_files(folder, weights, accuracies, architecture)
        contenders = [
            Contender(label="zoo", run=partial(read_zoo, zoo), work=networks),
            Contender(label=".pt files", run=partial(read_files, folder), work=networks),
        ]
        check = partial(check_equal, zoo, folder, weights, accuracies)
        ours, theirs = race(contenders, check=check, rounds=3).values()
    yield Row(
        name=f"reading/{networks}",
        what=f"{networks:,} networks' weights and one column into numpy: zoo / .pt files",
        promise=Promise(bound=20),
        reached=speedup(ours, theirs),
        samples=(ours, theirs),
        note=(
            f"arch1, {weights.shape[1]:,} weights each: {ours.median:.2f} against "
            f"{theirs.median:.2f} s; the zoo is read by up to {READERS} threads, the files by one"
        ),
    )


def made_up(networks: int) -> tuple[np.ndarray, np.ndarray, Architecture]:
    """Weights and accuracies of arch1 networks that nobody trained."""
    architecture = arch_family("arch1").describe(input_shape=(1, 28, 28), classes=10)
    rng = np.random.default_rng(jobs.SEED)
    weights = rng.standard_normal((networks, architecture.parameters), dtype=np.float32)
    return weights, rng.random(networks), architecture


def write_zoo(
    path: Path, weights: np.ndarray, accuracies: np.ndarray, architecture: Architecture
) -> None:
    """A complete zoo with one checkpoint of each network."""
    store, plan = open_store(str(path)), _plan(len(weights), architecture)
    store.put(plan.name, plan.text.encode())
    write_architectures(store, [architecture])
    entries = [
        write_shard(
            store, plan=plan, spec=spec,
            snapshots=[_snapshot(i, weights[i], accuracies[i]) for i in spec.members],
        )
        for spec in plan.shards()
    ]  # fmt: skip
    write_manifest(store, plans=[plan], entries=entries)


def write_files(
    folder: Path, weights: np.ndarray, accuracies: np.ndarray, architecture: Architecture
) -> None:
    """One file for each network: its state dict and accuracy, as people save them."""
    folder.mkdir()
    for index, (flat, accuracy) in enumerate(zip(weights, accuracies, strict=True)):
        model = to_module(architecture, flat, {"activation": "relu", "dropout": 0.0})
        content = {"state_dict": model.state_dict(), COLUMN: float(accuracy)}
        torch.save(content, folder / f"{index:05d}.pt")


def read_zoo(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Weights and the column of all networks, in the order of the shards."""
    networks = open_zoo(path).networks()
    return networks.weights(), networks.column(COLUMN)


def read_files(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same from the folder."""
    loaded = [torch.load(file) for file in sorted(folder.glob("*.pt"))]
    rows = [torch.cat([t.reshape(-1) for t in x["state_dict"].values()]).numpy() for x in loaded]
    return np.stack(rows), np.array([x[COLUMN] for x in loaded])


def check_equal(zoo: Path, folder: Path, weights: np.ndarray, accuracies: np.ndarray) -> None:
    """Both ways give what was written, bit for bit."""
    members = open_zoo(zoo).networks().column("member")
    for label, (got, column), order in (
        ("zoo", read_zoo(zoo), members),
        (".pt files", read_files(folder), np.arange(len(weights))),
    ):
        require(np.array_equal(np.sort(order), np.arange(len(weights))), f"{label}: other networks")
        require(np.array_equal(got, weights[order]), f"{label}: other weights than were written")
        same = np.array_equal(column, accuracies[order])
        require(same, f"{label}: another {COLUMN} than was written")


def _plan(networks: int, architecture: Architecture) -> Plan:
    recipe = override(
        recipe_for("arch1", "digits", "quick"),
        members=networks, epochs=1, checkpoints=(1,), draws={},
    )  # fmt: skip
    data = {"name": "digits", "train_size": 1297, "test_size": 500}
    platform = current_platform(engine="none", threads=1, device="cpu")
    return make_plan(
        recipe, data=data, architecture=architecture, seed=0, platform=platform, group_size=1
    )


def _snapshot(index: int, weights: np.ndarray, accuracy: float) -> Snapshot:
    measured = {"train_loss": 1.0, "test_loss": 1.0, "train_accuracy": 0.5, COLUMN: accuracy}
    return Snapshot(member=index, epoch=1, status="ok", weights=weights, metrics=measured)


ROWS: Mapping[str, Measure] = {str(NETWORKS): partial(reading, NETWORKS)}

if __name__ == "__main__":
    main("reading", ROWS, long={})
