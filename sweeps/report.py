"""`python -m sweeps.report`: a sweep's results as one page that can be sent, read and printed."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sne.command import parse
from sne.config import flag
from sne.files import write_bytes
from sweeps.command import run_command
from sweeps.measures import Measure, measure_named
from zoogen.interrupt import Stopper

PROGRAM = "python -m sweeps.report"
PAGE = "page.html"
DESCRIPTION = """\
Write a sweep's results as one HTML page that needs no network and nothing beside it: its tables and
heat maps, ablations with intervals, predicted against true values, losses, t-SNE of encodings, what
ran where and for how long, and for each number the trial and the command that made it.

For example:

    python -m sweeps.report runs/matrix --out matrix.html

Every sweep writes the same page into its folder at its end. Exit codes: 0 done, 2 refused, 130 or
143 stopped by Ctrl-C or SIGTERM."""
log = logging.getLogger("sweeps")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportOptions:
    """Flags of the command."""

    results: Annotated[Path, tyro.conf.Positional, flag("RESULTS")]
    """The folder of a sweep: its --out."""
    out: Annotated[Path | None, flag("FILE.html", f"RESULTS/{PAGE}")] = None
    """The page."""
    metric: Annotated[str | None, flag("NAME", "the sweep's own")] = None
    """What tables show: tau, mse, mae, accuracy."""
    no_tsne: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Encode no networks: faster, and no run is read."""
    device: Annotated[str, flag("NAME")] = "auto"
    """To encode on: cpu, cuda, …; auto: CUDA where there is a device."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command(PROGRAM, serve, arguments)


def serve(given: Sequence[str], command: str, stopper: Stopper) -> int:
    """Write the page."""
    options = parse(ReportOptions, given, program=PROGRAM, description=DESCRIPTION)
    measure = None if options.metric is None else measure_named(options.metric)
    stopper.enforce()
    out = write_page(
        options.results,
        out=options.out,
        measure=measure,
        with_embedding=not options.no_tsne,
        device=options.device,
    )
    print(out)
    return 0


def add_page(folder: Path, measure: Measure | None = None, *, device: str = "auto") -> None:
    """What sweeps do at their end: the page beside the results, and a line that says where.

    Args:
        folder: of the results.
        measure: what tables show; None: what the page finds to be usual.
        device: to encode on for t-SNE.

    Raises:
        ResultsError, DataError: as `write_page`.
    """
    log.info("page: %s", write_page(folder, measure=measure, device=device))


def write_page(
    folder: Path,
    *,
    out: Path | None = None,
    measure: Measure | None = None,
    with_embedding: bool = True,
    device: str = "auto",
) -> Path:
    """Write the page of a results folder, whole or not at all.

    Args:
        folder: of the results.
        out: the page; None: `page.html` in the folder.
        measure: what tables show; None: what the sweep's own do.
        with_embedding: encode networks for t-SNE, if the runs are there.
        device: to encode them on.

    Returns:
        Where it lies.

    Raises:
        ResultsError: it is no sweep's folder, or empty, damaged, or lacks the measure.
        DataError: the place refuses the page.
    """
    # Templates and pictures are imported when a page is made: sweeps start without them.
    from sweeps.page.page import make_page
    from sweeps.page.render import render

    path = folder / PAGE if out is None else out
    page = make_page(folder, measure=measure, with_embedding=with_embedding, device=device)
    write_bytes(path, render(page).encode())
    return path


if __name__ == "__main__":
    sys.exit(main())
