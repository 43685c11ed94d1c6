"""`python -m sweeps.tuner`: search SNE's settings with Optuna, with Ray Tune or in one process."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from sne.cards import size_text
from sne.command import parse
from sne.config import TrainConfig, flag
from sweeps.ablation import ablation_trials, carry_out_ablation
from sweeps.asked import write_asked
from sweeps.attempt import Job
from sweeps.card import Planned, plan_trials
from sweeps.command import EXITS, run_command
from sweeps.crew import Crew, crew_for
from sweeps.errors import PlanError
from sweeps.factors import product
from sweeps.halving import Halving
from sweeps.options import Execution, checked_out
from sweeps.overrides import configured
from sweeps.report import add_page
from sweeps.search import Search, clear_stopped
from sweeps.search_report import ask, result_lines
from sweeps.space import Space
from sweeps.study import FILE, open_study, proposals_left, storage_of
from sweeps.sweep import held, watcher
from sweeps.tally import Tally, shown
from sweeps.trial import Trial, make_trial
from sweeps.zoos import SweepZoo, check_trainable, count_networks, find_target, open_sweep_zoos
from zoogen.interrupt import Stopper

PROGRAM = "python -m sweeps.tuner"
FEW_NETWORKS = 200
"""Validation networks below which a search mostly finds luck."""
DESCRIPTION = f"""\
Search SNE's settings for the lowest validation loss: chunk size, λ, positions, step size, width.
Trials that fall behind are stopped early. The search is kept in {FILE} in --out, which
`optuna-dashboard sqlite:///OUT/{FILE}` shows; more --samples continue it.

For example:

    python -m sweeps.tuner --zoo zoos/sine-siren-sine-f-seed0 --samples 40 --out runs/search

The best trials go to stdout, messages to stderr. {EXITS}"""
log = logging.getLogger("sweeps")


@dataclass(frozen=True, kw_only=True, slots=True)
class TunerOptions:
    """What is searched."""

    zoo: Annotated[tuple[str, ...], flag("ZOO"), tyro.conf.UseAppendAction]
    """A zoo's folder, or s3://BUCKET/PREFIX. Several --zoo: one model on all."""
    out: Annotated[Path, flag("FOLDER")]
    """Where the search goes, or where one goes on."""
    samples: Annotated[int, flag("N")] = 40
    """Trials in all, those of earlier calls included."""
    epochs: Annotated[int, flag("N")] = 50
    """Of a trial that is never stopped."""
    grace: Annotated[int, flag("N")] = 5
    """Epochs that every trial has."""
    factor: Annotated[int, flag("N")] = 3
    """One in so many goes on after each rung: after grace, grace·factor, grace·factor² epochs."""
    prune: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: stop them)")] = True
    """Never stop a trial early."""
    seed: Annotated[int, flag("N")] = 0
    """Of the proposals, and of every trial."""
    target: Annotated[str | None, flag("COLUMN", "test_accuracy; of waves frequency")] = None
    """What is predicted."""
    grid: bool = False
    """No search: every combination of Table 7's chunk sizes, λ and positions, to the last epoch."""
    set: Annotated[tuple[str, ...], flag("GROUP.NAME=VALUE"), tyro.conf.UseAppendAction] = ()
    """A setting that is not searched, for example training.batch=32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """All flags of the command."""

    tuner: tyro.conf.OmitArgPrefixes[TunerOptions]
    space: tyro.conf.OmitArgPrefixes[Space] = field(default_factory=Space)
    execution: tyro.conf.OmitArgPrefixes[Execution]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command(PROGRAM, serve, arguments)


def serve(given: Sequence[str], command: str, stopper: Stopper) -> int:
    """Search, and print the best trials."""
    options = parse(
        Options,
        given,
        program=PROGRAM,
        description=DESCRIPTION,
        more=(tyro.conf.FlagCreatePairsOff,),
    )
    wanted, execution = options.tuner, options.execution
    folder = checked_out(wanted.out)
    zoos = open_sweep_zoos(wanted.zoo)
    check_trainable(zoos)
    if wanted.grid:
        return _fill_grid(options, folder, zoos, command, stopper)
    search = make_search(wanted, options.space, zoos)
    planned = plan_trials(corner_trials(search), execution)
    largest = max(planned, key=lambda p: p.bytes)
    if execution.fit:
        search = _in_parts(search, planned)
    log.info("the largest trial needs %s of memory", size_text(largest.bytes))
    with crew_for(execution, share=largest.share, on_start=stopper.enforce) as crew:
        if execution.dry_run:
            _print_corners(planned)
            return 0
        with held(folder):
            failed = _search(search, folder, crew, command, share=largest.share)
    return 1 if failed else 0


def make_search(wanted: TunerOptions, space: Space, zoos: Sequence[SweepZoo]) -> Search:
    """The search that these flags mean.

    Raises:
        PlanError: numbers that no search can have, or no network to select by.
        DataError: a zoo without the target.
    """
    if wanted.samples < 1 or wanted.seed < 0:
        raise PlanError(
            f"--samples is at least 1 and --seed from 0, got {wanted.samples}, {wanted.seed}"
        )
    config = base_config(wanted, zoos)
    target = find_target(zoos, wanted.target, config.data.which)
    selecting = sum(count_networks(one.zoo, "val", config.data.which) for one in zoos)
    if not selecting:
        raise PlanError("the zoos have no validation split to select by")
    if selecting < FEW_NETWORKS:
        log.warning(
            "%d validation networks: with fewer than %d, much of what a search finds is luck",
            selecting,
            FEW_NETWORKS,
        )
    refs = [one.ref for one in zoos]
    halving = Halving(epochs=wanted.epochs, grace=wanted.grace, factor=wanted.factor)
    return Search(
        base=make_trial(config, train=refs, test=refs, target=target),
        space=space,
        halving=halving if wanted.prune else None,
        samples=wanted.samples,
        seed=wanted.seed,
    )


def base_config(wanted: TunerOptions, zoos: Sequence[SweepZoo]) -> TrainConfig:
    """The training around which is searched."""
    return configured(zoos, wanted.set, epochs=wanted.epochs, seed=wanted.seed)


def corner_trials(search: Search) -> list[Trial]:
    """The trials that need the most memory."""
    return [search.make(found) for found in search.space.corners()]


def _fill_grid(
    options: Options, folder: Path, zoos: Sequence[SweepZoo], command: str, stopper: Stopper
) -> int:
    config = base_config(options.tuner, zoos)
    target = find_target(zoos, options.tuner.target, config.data.which)
    seeds = (options.tuner.seed,)
    listed = ablation_trials(config, product(), seeds, zoos, target)
    return carry_out_ablation(
        listed, folder, options.execution, zoos=zoos, target=target, command=command,
        on_start=stopper.enforce,
    )  # fmt: skip


def _search(search: Search, folder: Path, crew: Crew, command: str, *, share: float) -> int:
    """Search; returns how many trials failed in this call."""
    storage = storage_of(folder)
    study = open_study(storage, seed=search.seed, about=search.about)
    left = proposals_left(study, search.samples)
    log.info("%d of %d trials are to be done; the search is in %s", left, search.samples, FILE)
    tally = Tally({str(n): 1.0 for n in range(left)}, done_before=search.samples - left)
    job = Job(
        folder=folder,
        machine=crew.execution.machine(crew.device),
        command=command,
        mirror=crew.execution.mirror,
    )
    if left:
        with shown(tally):
            crew.search(
                search, study, storage, job, watcher(tally, {}, {}), share=share, samples=left
            )
    if job.mirror is not None:
        job.mirror.pull_all(folder)
    clear_stopped(study, search, folder)
    asked = ask(study, search, command)
    write_asked(folder, asked)
    for line in result_lines(study, folder, asked):
        print(line)
    if asked.entries:
        add_page(folder, device=crew.device)
    return tally.look().failed


def _in_parts(search: Search, planned: Sequence[Planned]) -> Search:
    """With the micro-batch that makes the largest trial fit, for all."""
    sizes = [p.trial.config.training.micro_batch for p in planned]
    known = [size for size in sizes if size is not None]
    training = replace(search.base.config.training, micro_batch=min(known, default=None))
    config = replace(search.base.config, training=training)
    return replace(search, base=replace(search.base, config=config))


def _print_corners(planned: Sequence[Planned]) -> None:
    for one in planned:
        settings = one.trial.config.settings
        print(f"{size_text(one.bytes):>10}  chunk {settings.chunk}, width {settings.width}")


if __name__ == "__main__":
    sys.exit(main())
