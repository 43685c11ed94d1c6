"""The flags of a training: groups of a frozen config, the chosen model's among them.

Which groups there are, and their defaults, depend on --model and --recipe, which are looked for
first; a recipe that is not named follows from the zoos.
"""

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from sne.command import parse
from sne.config import Data, Machine, Symmetry, TrainConfig, Training, flag
from sne.models import model_kind
from sne.networks import open_zoos
from sne.recipes import default_config, recipe_for
from sne.schedule import OptimizerConfig

PROGRAM = "python -m sne.train"
DESCRIPTION = """\
Train a model on zoos: it encodes networks from their weights alone and predicts a property. It is
selected on the zoos' validation splits and measured on their test splits. A training can be stopped
or killed at any moment; the same command goes on where it stopped, with identical losses.

For example, the frequency of sine waves from the weights of SIRENs:

    python -m sne.train --zoo zoos/sine-siren-quick-seed0 --out runs/sine

Figures go to stdout, progress and messages to stderr. Exit codes: 0 done, 2 refused, 130 stopped by
Ctrl-C."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which model, and where it goes."""

    out: Annotated[Path, flag("FOLDER")]
    """Where the run goes, or where one goes on."""
    model: Annotated[str, flag("NAME")] = "sne"
    """sne, mlp, deepsets, statnn, boosting, nfn_np, nfn_hnp, nft, dwsnet, hyperrep, neuralgraph,
    scalegmn; with --help, the settings of each."""
    recipe: Annotated[str | None, flag("NAME", "by the zoos' networks")] = None
    """Defaults for one kind of network: inr or cnn."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOptions:
    """A parsed command line."""

    config: TrainConfig
    machine: Machine
    out: Path
    json: bool


def parse_options(arguments: Sequence[str] | None = None) -> TrainOptions:
    """The flags of a command line; prints help or usage errors and exits as tyro does.

    Raises:
        SettingError: no such model or recipe.
        ZooError: a zoo cannot be read.
    """
    config, parsed = parse_training(
        arguments,
        program=PROGRAM,
        description=DESCRIPTION,
        run=Choice,
        more={"machine": Machine},
    )
    return TrainOptions(
        config=config, machine=parsed.machine, out=parsed.run.out, json=parsed.run.json
    )


def parse_training(
    arguments: Sequence[str] | None,
    *,
    program: str,
    description: str,
    run: type[Any],
    more: Mapping[str, type[Any]],
) -> tuple[TrainConfig, Any]:
    """A training as flags, for a command with flags of its own.

    Args:
        arguments: None: those of the process.
        program: for help, like the description.
        description: what the command does.
        run: the command's own flags, --model and --recipe among them.
        more: groups of further ones, each with a default.

    Returns:
        The training, and an object with `run` and `more` as attributes.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    model, recipe = _first_look(given)
    defaults = default_config((), model=model, recipe=recipe)
    groups = _groups(model, defaults, run, more)
    parsed = parse(groups, given, program=program, description=description)
    config = dataclasses.replace(
        defaults,
        data=parsed.data,
        settings=getattr(parsed, model),
        training=parsed.training,
        optimizer=parsed.optimizer,
        symmetry=parsed.symmetry,
    )
    return config, parsed


def _first_look(arguments: Sequence[str]) -> tuple[str, str]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--zoo", action="append", default=[])
    parser.add_argument("--model", default="sne")
    parser.add_argument("--recipe", default=None)
    found, _ = parser.parse_known_args(arguments)
    wants_help = bool({"-h", "--help"} & set(arguments))
    if found.recipe is not None or wants_help or not found.zoo:
        return found.model, found.recipe or "inr"
    return found.model, recipe_for(open_zoos(found.zoo))


def _groups(
    model: str, defaults: TrainConfig, run: type[Any], more: Mapping[str, type[Any]]
) -> type[Any]:
    """A dataclass of all groups; the model's is named after it, so its flags begin with it."""
    flat = tyro.conf.OmitArgPrefixes
    kind = model_kind(model)
    fields: list[Any] = [
        ("data", flat[Data]),
        ("run", flat[run]),
        ("training", flat[Training], dataclasses.field(default=defaults.training)),
        ("optimizer", flat[OptimizerConfig], dataclasses.field(default=defaults.optimizer)),
        ("symmetry", flat[Symmetry], dataclasses.field(default=defaults.symmetry)),
        *((name, flat[own], dataclasses.field(default=own())) for name, own in more.items()),
        (model, kind.config, dataclasses.field(default=defaults.settings)),
    ]
    return dataclasses.make_dataclass("Options", fields, frozen=True, kw_only=True)
