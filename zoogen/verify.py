"""`python -m zoogen.verify ZOO`: check that a zoo is what its plan says, every file and row."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from zoogen.errors import ZooError, refusal_sentence

PROGRAM = "python -m zoogen.verify"
DESCRIPTION = """\
Check a zoo: plan, manifest, SHA-256 and page checksums, columns, members, checkpoints, splits,
configurations, nulls and weights. Then evaluate some networks anew on the real data.

For example:

    python -m zoogen.verify zoos/svhn-arch2-quick-seed0 --data-dir images

Each fault is one line on stdout. Exit codes: 0 no fault, 1 faults, 2 there is no zoo to check."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyOptions:
    """Flags of the command."""

    zoo: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ZOO")]
    """The zoo's folder, or its place in an object store (s3://bucket/prefix)."""
    sample: Annotated[int, tyro.conf.arg(metavar="N")] = 8
    """Networks to evaluate anew from their weights, chosen at random; 0 for none."""
    sample_seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Another number chooses other networks."""
    partial: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: it is complete)")] = False
    """Check what there is of a zoo that is still being made."""
    data_dir: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="FOLDER", help_behavior_hint="(default: $ZOOGEN_DATA, else the cache folder)"
        ),
    ] = None
    """The only folder searched for images: torchvision's layout or NAME/train-*.parquet."""
    download: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: download them)")] = True
    """Never download images that are not found; then no network is evaluated anew."""

    def __post_init__(self) -> None:
        if self.sample < 0 or self.sample_seed < 0:
            raise ValueError(
                f"--sample and --sample-seed are whole numbers from 0, got {self.sample} "
                f"and {self.sample_seed}"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print each fault, or one line that says what was checked; exit status 0, 1 or 2."""
    options = tyro.cli(
        VerifyOptions,
        prog=PROGRAM,
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        sys.exit(_verify(options))
    except (ZooError, OSError) as error:
        sys.stderr.write(f"error: {refusal_sentence(error)}\n")
        sys.exit(2)


def _verify(options: VerifyOptions) -> int:
    from zoogen.check.checkup import Request, check_zoo
    from zoogen.store import open_store

    request = Request(
        partial=options.partial,
        sample=options.sample,
        seed=options.sample_seed,
        data_dir=options.data_dir,
        download=options.download,
    )
    with _bar() as report:
        outcome = check_zoo(open_store(options.zoo), request, report=report)
    for fault in outcome.faults:
        sys.stdout.write(f"fault: {fault}\n")
    of = "" if outcome.shards == outcome.shards_planned else f" of {outcome.shards_planned:,}"
    checked = (
        f"{outcome.networks:,} networks, {outcome.rows:,} rows, {outcome.shards:,}{of} shards, "
        f"{outcome.bytes / 1e6:.1f} MB; {outcome.evaluation}"
    )
    count = len(outcome.faults)
    verdict = "ok" if not count else f"{count} {'fault' if count == 1 else 'faults'}"
    sys.stdout.write(f"{verdict}: {checked}\n")
    return 1 if count else 0


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, if that is a terminal."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:  # a bar that is switched off may still end its line
        yield lambda what, done, wanted: None
        return
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as p:
        task = p.add_task("")
        yield lambda what, done, wanted: p.update(
            task, description=what, completed=done, total=wanted
        )


if __name__ == "__main__":
    main()
