"""`python -m zoogen.export ZOO --to FORMAT --out FOLDER`: a zoo in another project's format."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import tyro

from zoogen.answer import answer, counted, log
from zoogen.named_path import named_path

PROGRAM = "python -m zoogen.export"
# tyro joins lines that start with a letter, so the formats are a list.
DESCRIPTION = """\
Write a zoo as files that other projects' loaders read.

Formats:
- small-cnn-zoo: weights.npy, metrics.csv.gz and layout.csv of Unterthiner et al. 2020 (arch1 only)
- state-dicts: one PyTorch file of named tensors for each row, and a CSV
- safetensors: the same as safetensors files
- hf: a data set folder for the Hugging Face hub, Parquet by split and a card

For example:

    python -m zoogen.export zoos/svhn-arch2-quick-seed0 --to hf --out upload

The folder appears when it is whole. Exit codes: 0 done, 2 refused, 130 or 143 stopped."""
Format: TypeAlias = Literal["small-cnn-zoo", "state-dicts", "safetensors", "hf"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOptions:
    """Flags of the command."""

    zoo: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ZOO")]
    """The zoo's folder, or its place in an object store (s3://bucket/prefix)."""
    to: Format
    """The format to write."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """The folder to make; it must not be there, or be empty."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 2 refused, 130 or 143 stopped by a signal.
    """
    options = tyro.cli(
        ExportOptions,
        prog=PROGRAM,
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    return answer(partial(_export, options), last_words=_last_words)


def _last_words() -> None:
    log.warning("stopped; nothing is left of the export, and the same command starts again")


def _export(options: ExportOptions) -> int:
    # Imported when they are needed, so that `--help` answers at once.
    from zoogen.exporters.choose import EXPORTERS
    from zoogen.exporters.place import whole_folder
    from zoogen.reader import open_zoo

    zoo = open_zoo(options.zoo)
    out = named_path(options.out)
    with counted() as report, whole_folder(out) as folder:
        EXPORTERS[options.to](zoo, folder, report)
    sys.stdout.write(f"{out}: {len(zoo):,} networks of {zoo.store.uri} as {options.to}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
