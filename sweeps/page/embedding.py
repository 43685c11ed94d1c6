"""t-SNE of encodings on the page (Figure 2): by one trial whose run is there, of its test zoos."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sne.checkpoint import load_run
from sne.embed import embed, first_networks
from sne.errors import SneError
from sne.networks import Networks, identify, read_networks
from sne.predict import choose_device
from sne.zoo import ZooError, open_zoo
from sweeps.factors import FULL
from sweeps.page.folder import Folder
from sweeps.perform import RUNS
from sweeps.results import NOT_APPLICABLE, OK

MOST = 200
"""Networks of each zoo."""
PERPLEXITY = 30.0
SEED = 0
ENCODER = "sne"
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Embedding:
    """Networks in the plane."""

    trial: str
    """Hash of the one whose model encoded them."""
    model: str
    places: Float[np.ndarray, "n 2"]
    groups: tuple[str, ...]
    """Name of each network's zoo."""
    predictions: Any
    """Of each network: numbers, or names of classes."""
    numbers: bool


def lay_out_networks(folder: Folder, *, device: str) -> Embedding | str:
    """Encodings in the plane; where there are none to be had, one sentence that says why.

    Of all trials whose run lies in the folder, SNE's come first, among them those that were trained
    enough, and an ablation's unchanged model. At most MOST test networks of each zoo are taken, the
    first ones.
    """
    trial = next(iter(_candidates(folder)), None)
    if trial is None:
        return (
            "Encodings are not kept in results, and no trial's run with its weights lies in "
            f"{RUNS}/ of the results folder (runs/HASH can be removed): the sweep in a new --out "
            "makes them again."
        )
    try:
        return _laid_out(folder, trial, device)
    except (SneError, ZooError) as error:
        log.warning("no t-SNE on the page: %s", error)
        return f"t-SNE wants the run of trial {trial} and its zoos where they were: {error}"


def _candidates(folder: Folder) -> list[str]:
    there = [
        trial
        for trial, rows in folder.rows.items()
        if (folder.path / RUNS / trial / "result.json").exists()
        and any(row["test_zoo"] is not None and row["value"] is not None for row in rows)
    ]
    full = {trial for place in folder.places if place.row == FULL for trial in place.trials}

    def rank(trial: str) -> tuple[bool, ...]:
        row = folder.rows[trial][0]
        return row["model"] != ENCODER, row["status"] != OK, trial not in full

    return sorted(there, key=rank)


def _laid_out(folder: Folder, trial: str, device: str) -> Embedding:
    run = load_run(folder.path / RUNS / trial, device=choose_device(device))
    networks = list(_networks(folder, trial, run.config.data.which))
    table = embed(run, networks, perplexity=PERPLEXITY, seed=SEED)
    names = {n.identity.uri: folder.names[n.identity.hash] for n in networks}
    return Embedding(
        trial=trial,
        model=run.config.model,
        places=np.stack([table.column(axis).to_numpy() for axis in ("x", "y")], axis=1),
        groups=tuple(names[uri] for uri in table.column("zoo").to_pylist()),
        predictions=table.column("prediction").to_numpy(zero_copy_only=False),
        numbers=run.target.kind != "category",
    )


def _networks(folder: Folder, trial: str, which: Any) -> Iterator[Networks]:
    """The first test networks of each zoo that the trial's model could take."""
    uris: Mapping[str, str] = folder.where[trial].get("zoos", {})
    taken = dict.fromkeys(
        row["test_zoo"]["hash"]
        for row in folder.rows[trial]
        if row["test_zoo"] is not None and row["status"] != NOT_APPLICABLE
    )
    for zoo in taken:
        opened = open_zoo(uris.get(zoo, zoo))
        if identify(opened).hash != zoo:
            raise ZooError(f"{uris.get(zoo)} was changed since: it has another hash")
        yield first_networks(read_networks(opened, split="test", which=which), MOST)
