"""`python -m sne.embed`: encodings of several zoos in the plane, by t-SNE (Figure 2).

Source: van der Maaten and Hinton 2008, as scikit-learn has it.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import tyro
from jaxtyping import Float

from sne.checkpoint import Run, load_run
from sne.command import answer, parse
from sne.config import flag
from sne.errors import DataError, SettingError
from sne.evaluate import OWN_ZOOS
from sne.figures import draw_groups
from sne.files import write_table
from sne.model import check_taken
from sne.networks import Networks, Part, open_zoos, read_networks
from sne.pool import pool_networks
from sne.predict import choose_device, device_of, in_units, predict
from sne.progress import heartbeat
from sne.report import caution

PROGRAM = "python -m sne.embed"
DESCRIPTION = """\
Lay the encodings of zoos' networks out in the plane, by t-SNE: networks that the run sees as alike
lie close. Writes a Parquet file with one row for each network and a figure beside it, coloured by
zoo and by prediction.

For example:

    python -m sne.embed runs/svhn --zoo zoos/svhn-arch2-quick-seed0 --zoo zoos/mnist-arch1-seed0

Exit codes: 0 done, 2 refused, 130 stopped by Ctrl-C."""
SMALLEST = 5
"""Networks below which there is nothing to lay out."""
log = logging.getLogger("sne")


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedOptions:
    """Flags of the command."""

    run: Annotated[Path, tyro.conf.Positional, flag("RUN")]
    """The run's folder."""
    zoo: Annotated[tuple[str, ...], flag("ZOO", OWN_ZOOS), tyro.conf.UseAppendAction] = ()
    """A zoo's folder, or s3://BUCKET/PREFIX."""
    out: Annotated[Path | None, flag("FILE.parquet", "RUN/embedding.parquet")] = None
    """The table; the figure has the same name with .png."""
    split: Annotated[str, flag("test|train|val|all")] = "test"
    """Networks of which split."""
    most: Annotated[int, flag("N")] = 1000
    """At most so many networks of each zoo, the first ones."""
    perplexity: float = 30.0
    """t-SNE's number of neighbours; at most a third of the networks."""
    seed: int = 0
    """Of t-SNE's start."""
    device: Annotated[str, flag("NAME")] = "auto"
    """cpu, cuda, …; auto: CUDA where there is a device."""

    def __post_init__(self) -> None:
        if self.split not in ("test", "train", "val", "all"):
            raise SettingError(f"--split is test, train, val or all, got {self.split!r}")
        if self.most < 1 or self.perplexity <= 0:
            raise SettingError(f"--most and --perplexity are above 0, got {self}")


def embed(run: Run, networks: Sequence[Networks], *, perplexity: float, seed: int) -> pa.Table:
    """One row for each network: who it is, its group, prediction, place (x, y) and encoding.

    Args:
        run: with its module on the device to compute on.
        networks: of each zoo.
        perplexity: t-SNE's number of neighbours, at most a third of the networks.
        seed: of t-SNE's start.

    Raises:
        DataError: too few networks.
        ModelError: the model cannot take some of them.
    """
    pool = pool_networks(networks, None, device=device_of(run.module))
    if len(pool) < SMALLEST:
        raise DataError(f"t-SNE needs at least {SMALLEST} networks, there are {len(pool)}")
    for architecture in pool.architectures:
        check_taken(run.module, architecture)
    predictions = predict(run.module, pool, how=run.inference)
    places = lay_out(predictions.encoding, perplexity=perplexity, seed=seed)
    values = in_units(run.target, predictions.raw)
    if run.target.kind == "category":
        predicted = pa.array([run.target.classes[i] for i in values.argmax(axis=1)])
    else:
        predicted = pa.array(values)
    names = [f"{n.identity.dataset} × {n.identity.family}" for n in networks]
    columns = {
        "group": pa.array([names[number] for number in pool.zoo]),
        "prediction": predicted,
        "x": pa.array(places[:, 0]),
        "y": pa.array(places[:, 1]),
        "encoding": pa.array(predictions.encoding.tolist(), type=pa.list_(pa.float32())),
    }
    table = pool.rows
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def lay_out(
    encoding: Float[np.ndarray, "n e"], *, perplexity: float, seed: int
) -> Float[np.ndarray, "n 2"]:
    """t-SNE of encodings whose columns are first brought to one scale."""
    from sklearn.manifold import TSNE

    centred = encoding.astype(np.float64) - encoding.mean(axis=0)
    spread = centred.std(axis=0)
    scaled = centred / np.where(spread > 0, spread, 1.0)
    most = (len(encoding) - 1) / 3
    tsne = TSNE(perplexity=min(perplexity, most), random_state=seed, init="pca")
    return tsne.fit_transform(scaled)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 2 refused, 130 stopped by Ctrl-C.
    """
    return answer(
        lambda: _serve(parse(EmbedOptions, arguments, program=PROGRAM, description=DESCRIPTION))
    )


def _serve(options: EmbedOptions) -> int:
    run = load_run(options.run, device=choose_device(options.device))
    if (warning := caution(run)) is not None:
        log.warning("%s", warning)
    split = None if options.split == "all" else options.split
    networks = [
        first_networks(read_networks(zoo, split=split, which=run.config.data.which), options.most)
        for zoo in open_zoos(options.zoo or run.own_zoos)
    ]
    with heartbeat("encoding and laying out"):
        table = embed(run, networks, perplexity=options.perplexity, seed=options.seed)
    out = options.out or options.run / "embedding.parquet"
    write_table(out, table)
    places = np.stack([table.column(name).to_numpy() for name in ("x", "y")], axis=1)
    figure = out.with_suffix(".png")
    draw_groups(
        figure,
        places,
        table.column("group").to_pylist(),
        title=f"t-SNE of {table.num_rows} encodings by {run.config.model} trained on "
        f"{run.trained_on}",
        values=None if run.target.kind == "category" else table.column("prediction").to_numpy(),
        label=f"predicted {run.target.axis}",
    )
    print(f"{table.num_rows} networks: {out}, {figure}")
    return 0


def first_networks(networks: Networks, most: int) -> Networks:
    """The first networks of a zoo, over all its architectures in turn."""
    parts: list[Part] = []
    left = most
    for part in networks.parts:
        known = {name: numbers[:left] for name, numbers in part.activations.items()}
        parts.append(replace(part, weights=part.weights[:left], activations=known))
        left -= len(parts[-1].weights)
    kept = [part for part in parts if len(part.weights)]
    return replace(networks, parts=tuple(kept), rows=networks.rows.slice(0, most))


if __name__ == "__main__":
    sys.exit(main())
