"""`python -m sweeps.matrix`: every model trained on each zoo and tested on all, as tables."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from sne.command import parse
from sne.config import TrainConfig, flag
from sne.recipes import default_config
from sne.targets import Target
from sweeps.asked import Asked, Entry
from sweeps.card import Planned, plan_trials
from sweeps.command import EXITS, run_command
from sweeps.errors import PlanError
from sweeps.matrix_report import write_matrix
from sweeps.measures import measure_named
from sweeps.options import Execution, checked_out
from sweeps.overrides import configured, override
from sweeps.report import add_page
from sweeps.results import zoo_names
from sweeps.sweep import Sweep, check_models, check_seeds, perform, report_failures
from sweeps.trial import Trial, make_trial
from sweeps.zoos import SweepZoo, check_alike, find_target, open_sweep_zoos
from zoogen.interrupt import Stopper

PROGRAM = "python -m sweeps.matrix"
DESCRIPTION = f"""\
Train each model on each zoo, with each seed, and test it on the test split of every zoo: how well
its predictions carry over to other data sets and other architectures. A model that cannot take an
architecture shows n/a with the reason.

For example:

    python -m sweeps.matrix --zoos zoos/mnist-arch1-quick-seed0 zoos/mnist-arch2-quick-seed0 \\
        --models sne deepsets statnn --seeds 0 1 --epochs 20 --out runs/matrix

Writes results (docs/results-format.md), matrix.md, matrix.tex, matrix.png and page.html into
--out. Naming one more zoo or model later does what is missing. The table goes to stdout, messages
to stderr.
{EXITS}"""
log = logging.getLogger("sweeps")


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixOptions:
    """What is to be filled."""

    zoos: Annotated[tuple[str, ...], flag("ZOO …")]
    """Folders, or s3://BUCKET/PREFIX. Those without a training split are tested on only."""
    out: Annotated[Path, flag("FOLDER")]
    """Where the sweep goes, or where one goes on."""
    models: Annotated[tuple[str, ...], flag("NAME …")] = ("sne", "deepsets", "statnn")
    """Names of --model of `python -m sne.train`."""
    seeds: Annotated[tuple[int, ...], flag("N …")] = (0, 1)
    """Each model is trained once with each."""
    epochs: Annotated[int, flag("N")] = 300
    """Passes over the training networks."""
    target: Annotated[str | None, flag("COLUMN", "test_accuracy; of waves frequency")] = None
    """What is predicted; all zoos must have it."""
    metric: Annotated[str | None, flag("NAME", "tau; of categories accuracy")] = None
    """What the tables show: tau, mse, mae, accuracy."""
    set: Annotated[tuple[str, ...], flag("GROUP.NAME=VALUE"), tyro.conf.UseAppendAction] = ()
    """One setting, of all models (data, training, optimizer, symmetry) or of one (sne, mlp, …)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """All flags of the command."""

    matrix: tyro.conf.OmitArgPrefixes[MatrixOptions]
    execution: tyro.conf.OmitArgPrefixes[Execution]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command(PROGRAM, serve, arguments)


def serve(given: Sequence[str], command: str, stopper: Stopper) -> int:
    """Fill the matrix and write its tables."""
    options = parse(Options, given, program=PROGRAM, description=DESCRIPTION)
    wanted, folder = options.matrix, checked_out(options.matrix.out)
    zoos = open_sweep_zoos(wanted.zoos)
    check_alike(zoos, allow_mixed_data=options.execution.allow_mixed_data)
    which = override(default_config(()), wanted.set).data.which
    target = find_target(zoos, wanted.target, which)
    measure = measure_named(wanted.metric or default_metric(target))
    planned = plan_trials(matrix_trials(wanted, zoos, target), options.execution)
    asked = ask(planned, zoos, command)
    sweep = Sweep(planned=planned, asked=asked, folder=folder, execution=options.execution)
    failures = perform(sweep, on_start=stopper.enforce)
    if not options.execution.dry_run and len(failures) < len(sweep.trials):
        reasons = {failure.trial.hash: failure.reason for failure in failures}
        print(write_matrix(folder, asked, measure, failed=reasons))
        add_page(folder, measure, device=options.execution.device)
    return report_failures(failures)


def matrix_trials(
    wanted: MatrixOptions, zoos: Sequence[SweepZoo], target: Target
) -> tuple[Trial, ...]:
    """Every model on each zoo that can be trained on, with each seed, in the table's order.

    Raises:
        PlanError: none can be trained on, or seeds or models that are none.
        SettingError: no such model; the sentence lists those there are.
    """
    check_seeds(wanted.seeds)
    check_models(wanted.models)
    trained = [one for one in zoos if one.shares[0]]
    if not trained:
        raise PlanError("none of the zoos has a training split: name one that has, with --zoos")
    for one in zoos:
        if one not in trained:
            log.info("%s has no training split: it is tested on only", one.ref.uri)
    refs = [one.ref for one in zoos]
    configs = {
        (one.ref.uri, model): configured([one], wanted.set, model=model, epochs=wanted.epochs)
        for one in trained
        for model in wanted.models
    }
    return tuple(
        make_trial(
            _seeded(configs[one.ref.uri, model], seed), train=[one.ref], test=refs, target=target
        )
        for one in trained
        for model in wanted.models
        for seed in wanted.seeds
    )


def ask(planned: Sequence[Planned], zoos: Sequence[SweepZoo], command: str) -> Asked:
    """What the folder's note says: the model is the table, the training zoo the row."""
    names: Mapping[str, str] = zoo_names([one.ref.label for one in zoos])
    return Asked(
        kind="matrix",
        command=command,
        entries=tuple(
            Entry(
                trial=p.trial.hash,
                table=p.trial.model,
                row=names[p.trial.train[0].label.hash],
                seed=p.trial.seed,
            )
            for p in planned
        ),
        test_zoos=tuple(one.ref.label.hash for one in zoos),
    )


def default_metric(target: Target) -> str:
    """What a target is usually judged by."""
    return "accuracy" if target.kind == "category" else "tau"


def _seeded(config: TrainConfig, seed: int) -> TrainConfig:
    return replace(config, training=replace(config.training, seed=seed))


if __name__ == "__main__":
    sys.exit(main())
