"""`python -m zoogen.info ZOO`: what a zoo is and how good its networks are, finished or not."""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from zoogen.errors import ZooError, refusal_sentence

PROGRAM = "python -m zoogen.info"
DESCRIPTION = """\
Say what a zoo is: recipe, data, architecture, how many networks, how good they are at their last
checkpoint, and which hyperparameters explain that. Works while a zoo is being made.

For example:

    python -m zoogen.info zoos/svhn-arch2-quick-seed0 --plot zoo.png

The report goes to stdout: tables on a terminal, plain text where it is piped."""
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")]


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoOptions:
    """Flags of the command."""

    zoo: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ZOO")]
    """The zoo's folder, or its place in an object store (s3://bucket/prefix)."""
    plot: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png", help_behavior_hint="")] = None
    """Draw the distributions into this file (.png, .pdf or .svg)."""
    json: Annotated[bool, tyro.conf.arg(help_behavior_hint="")] = False
    """Print one JSON object instead of tables."""
    data_dir: Folder = None
    """Accepted as for `verify`; this command needs no images."""
    download: Annotated[bool, tyro.conf.arg(help_behavior_hint="")] = True
    """Accepted as for `verify`; this command downloads nothing."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the report; exit status 2 if there is no readable zoo."""
    options = tyro.cli(
        InfoOptions,
        prog=PROGRAM,
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        _inform(options)
    except (ZooError, OSError) as error:
        sys.stderr.write(f"error: {refusal_sentence(error)}\n")
        sys.exit(2)


def _inform(options: InfoOptions) -> None:
    from zoogen.look.content import read_content
    from zoogen.look.report import make_report
    from zoogen.look.tables import as_text, print_rich
    from zoogen.store import open_store

    content = read_content(open_store(options.zoo))
    report = make_report(content)
    if options.json:
        sys.stdout.write(json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n")
    elif sys.stdout.isatty():
        print_rich(report)
    else:
        sys.stdout.write(as_text(report))
    if options.plot is not None:
        from zoogen.look.plots import draw

        draw(content, report, options.plot)
        logging.getLogger(__name__).info("drew %s", options.plot)


if __name__ == "__main__":
    main()
