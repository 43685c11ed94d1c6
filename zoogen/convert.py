"""`python -m zoogen.convert SOURCE ZOO`: a published model zoo becomes one of this format."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import tyro

from zoogen.answer import answer, command_line, counted, log
from zoogen.named_path import named_path

PROGRAM = "python -m zoogen.convert"
# tyro joins lines that start with a letter, so the formats are a list.
DESCRIPTION = """\
Make a zoo from a published one: plan, architectures, shards and manifest, as zoogen.run makes them.

Formats (told from the folder where they can be):
- small-cnn-zoo: weights.npy, metrics.csv.gz and layout.csv of Unterthiner et al. 2020
- schuerholt: a folder of trials of Schürholt et al. 2022; schuerholt-packed: their dataset .pt
- dwsnets: INRs of Navon et al. 2023 with their JSON of splits
- wild-park: the CNN Wild Park of Kofinas et al. 2024
- state-dicts: a folder of .safetensors or .pt files of state_dict(), with a CSV of properties

For example:

    python -m zoogen.convert downloads/svhn_cropped zoos/svhn-published --split-file svhn_split.csv

It can be stopped at any moment; the same command goes on with the shards that are missing. Code in
files is never run. Exit codes: 0 complete, 2 refused, 130 or 143 stopped by a signal."""
Format: TypeAlias = Literal[
    "small-cnn-zoo", "schuerholt", "schuerholt-packed", "dwsnets", "wild-park", "state-dicts"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertOptions:
    """Flags of the command."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """The published zoo: its folder, or its file."""
    zoo: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ZOO")]
    """The zoo to make: a folder, or a place in an object store (s3://bucket/prefix)."""
    format: Annotated[
        Format | None, tyro.conf.arg(help_behavior_hint="(default: told from the folder)")
    ] = None
    """What the source is."""
    split_file: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="FILE", help_behavior_hint="(default: the one there, else by shares)"
        ),
    ] = None
    """small-cnn-zoo: NFN's published order of rows; dwsnets, wild-park: the JSON of splits."""
    properties: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE.csv", help_behavior_hint="(default: networks.csv)"),
    ] = None
    """state-dicts: the table of the files."""
    dataset: Annotated[
        str | None,
        tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: as the source says)"),
    ] = None
    """What the networks were trained on: svhn, mnist and so on."""
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Of the split, where the source has none."""
    dry_run: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: make it)")] = False
    """Print the plan and make nothing."""
    lock: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: lock it)")] = True
    """Write without a lock, where the place cannot lock."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 complete, 2 refused, 130 or 143 stopped by a signal.
    """
    options = tyro.cli(
        ConvertOptions,
        prog=PROGRAM,
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    return answer(
        partial(_convert, options),
        last_words=partial(_last_words, command_line(PROGRAM, arguments)),
    )


def _last_words(command: str) -> None:
    log.warning("stopped; whole shards are kept, and the same command goes on:\n  %s", command)


def _convert(options: ConvertOptions) -> int:
    # Imported when they are needed, so that `--help` answers at once.
    from zoogen.importers.find import find_source
    from zoogen.importers.source import Hints
    from zoogen.importers.write import carry_out, plan_conversion
    from zoogen.lock import hold
    from zoogen.store import open_store

    hints = Hints(
        split_file=named_path(options.split_file) if options.split_file else None,
        properties=named_path(options.properties) if options.properties else None,
        dataset=options.dataset,
    )
    source = find_source(named_path(options.source), format_name=options.format, hints=hints)
    with counted() as report:
        conversion = plan_conversion(source, seed=options.seed, report=report)
        plan = conversion.plan
        if options.dry_run:
            sys.stdout.write(plan.text)
            return 0
        store = open_store(options.zoo)
        with hold(store, enabled=options.lock):
            done = carry_out(conversion, store, report)
    networks = done.manifest.summary["networks"]
    sys.stdout.write(
        f"{store.uri}: {networks:,} networks of {plan.family} on {plan.dataset}; "
        f"{done.shards_made:,} of {len(done.manifest.shards):,} shards made now\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
