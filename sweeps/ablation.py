"""`python -m sweeps.ablation`: how chunk size, λ, positions and SNE's components matter."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sne.command import parse
from sne.config import TrainConfig, flag
from sne.targets import Target
from sweeps.ablation_report import main_measure, write_ablation
from sweeps.asked import Asked, Entry
from sweeps.budgets import RECIPES, Recipe, cached_zoo, recipe_named
from sweeps.card import plan_trials
from sweeps.command import EXITS, run_command
from sweeps.factors import FULL, Setting, configure, one_at_a_time, product
from sweeps.options import Execution, checked_out
from sweeps.overrides import configured
from sweeps.report import add_page
from sweeps.sweep import Sweep, check_seeds, perform, report_failures
from sweeps.trial import Trial, make_trial
from sweeps.zoos import (
    SweepZoo,
    check_trainable,
    count_networks,
    find_target,
    open_sweep_zoos,
)
from zoogen.interrupt import Stopper

PROGRAM = "python -m sweeps.ablation"
log = logging.getLogger("sweeps")


DESCRIPTION = f"""\
Train SNE with one setting changed at a time: chunk size, the invariance penalty λ, positions, and
each component of Table 6; and say by how much each differs from the full model, with intervals.

Without --zoo it makes a zoo of SIRENs fitted to sine waves, or finds it in the cache. Recipes:
{"; ".join(f"{name}: {recipe.summary}" for name, recipe in RECIPES.items())}.

Writes results (docs/results-format.md), ablation.md, ablation.tex, figures and page.html into
--out. Tables go to stdout, messages to stderr. {EXITS}"""


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationOptions:
    """What is varied."""

    zoo: Annotated[str | None, flag("ZOO", "quick SIRENs from the cache, made if missing")] = None
    """A zoo's folder, or s3://BUCKET/PREFIX, trained and tested on."""
    out: Annotated[Path, flag("FOLDER")] = Path("runs/ablation")
    """Where the sweep goes, or where one goes on."""
    recipe: Annotated[str, flag("NAME")] = "quick"
    """quick, or paper: Tables 6 and 7 in full."""
    grid: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Every combination of chunk size, λ and positions instead of one at a time."""
    seeds: Annotated[tuple[int, ...] | None, flag("N …", "the recipe's")] = None
    """Each setting is trained once with each."""
    epochs: Annotated[int | None, flag("N", "the recipe's")] = None
    """Passes over the training networks."""
    target: Annotated[str | None, flag("COLUMN", "test_accuracy; of waves frequency")] = None
    """What is predicted."""
    set: Annotated[tuple[str, ...], flag("GROUP.NAME=VALUE"), tyro.conf.UseAppendAction] = ()
    """One setting of the unchanged model, for example sne.width=16."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """All flags of the command."""

    ablation: tyro.conf.OmitArgPrefixes[AblationOptions]
    execution: tyro.conf.OmitArgPrefixes[Execution]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command(PROGRAM, serve, arguments)


def serve(given: Sequence[str], command: str, stopper: Stopper) -> int:
    """Perform the ablation and write its tables."""
    options = parse(Options, given, program=PROGRAM, description=DESCRIPTION)
    wanted, recipe = options.ablation, recipe_named(options.ablation.recipe)
    folder = checked_out(wanted.out)
    log.info("recipe %s: %s", wanted.recipe, recipe.summary)
    zoos = open_sweep_zoos([wanted.zoo or cached_zoo(recipe)])
    check_trainable(zoos)
    config = base_config(wanted, recipe, zoos)
    target = find_target(zoos, wanted.target, config.data.which)
    settings = product() if wanted.grid else one_at_a_time(recipe.factors)
    listed = ablation_trials(config, settings, wanted.seeds or recipe.seeds, zoos, target)
    return carry_out_ablation(
        listed, folder, options.execution, zoos=zoos, target=target, command=command,
        on_start=stopper.enforce,
    )  # fmt: skip


def carry_out_ablation(  # noqa: PLR0913
    listed: Sequence[tuple[Setting, Trial]],
    folder: Path,
    execution: Execution,
    *,
    zoos: Sequence[SweepZoo],
    target: Target,
    command: str,
    on_start: Callable[[], None],
) -> int:
    """Perform settings that were listed, and write their tables.

    Returns:
        The exit code.
    """
    planned = plan_trials([trial for _, trial in listed], execution)
    asked = Asked(
        kind="ablation",
        command=command,
        entries=tuple(
            Entry(trial=p.trial.hash, table=s.table, row=s.row, seed=p.trial.seed)
            for (s, _), p in zip(listed, planned, strict=True)
        ),
        test_zoos=tuple(one.ref.label.hash for one in zoos),
        notes=(budget_note(listed, zoos),),
    )
    sweep = Sweep(planned=planned, asked=asked, folder=folder, execution=execution)
    failures = perform(sweep, on_start=on_start)
    if not execution.dry_run and len(failures) < len(sweep.trials):
        print(write_ablation(folder, asked, target))
        add_page(folder, main_measure(target), device=execution.device)
    return report_failures(failures)


def base_config(wanted: AblationOptions, recipe: Recipe, zoos: Sequence[SweepZoo]) -> TrainConfig:
    """The unchanged model's training."""
    given = (*recipe.settings, *wanted.set)
    return configured(zoos, given, epochs=wanted.epochs or recipe.epochs)


def ablation_trials(
    config: TrainConfig,
    settings: Sequence[Setting],
    seeds: Sequence[int],
    zoos: Sequence[SweepZoo],
    target: Target,
) -> list[tuple[Setting, Trial]]:
    """Each setting with each seed; equal trials in several tables are one by their hash."""
    check_seeds(seeds)
    refs = [one.ref for one in zoos]
    found: list[tuple[Setting, Trial]] = []
    for setting in settings:
        for seed in seeds:
            changed = configure(config, {**setting.changes, "training.seed": seed})
            trial = make_trial(changed, train=refs, test=refs, target=target)
            found.append((setting, trial))
    return found


def budget_note(listed: Sequence[tuple[Setting, Trial]], zoos: Sequence[SweepZoo]) -> str:
    """What each number was bought with: of the unchanged model, else of the first setting."""
    trial = next((t for setting, t in listed if setting.row == FULL), listed[0][1])
    config, settings = trial.config, trial.config.settings
    networks = sum(count_networks(one.zoo, "train", config.data.which) for one in zoos)
    names = " + ".join(str(one.ref.label) for one in zoos)
    return (
        f"Budget: {config.training.epochs} epochs over {networks} networks of {names}, batch "
        f"{config.training.batch}; the full model has width {settings.width}, SABs "
        f"{settings.chunk_sabs} and {settings.sabs}, chunk {settings.chunk}, λ = "
        f"{config.symmetry.invariance}."
    )


if __name__ == "__main__":
    sys.exit(main())
