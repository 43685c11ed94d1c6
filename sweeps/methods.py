"""`python -m sweeps.methods`: every model for equally many seconds, in one table."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro

from sne.command import parse
from sne.config import TrainConfig, flag
from sne.models import MODELS
from sne.predict import choose_device
from sne.progress import duration_text
from sweeps.asked import Asked, Entry
from sweeps.card import plan_trials
from sweeps.command import EXITS, run_command
from sweeps.errors import PlanError
from sweeps.measures import MEASURES
from sweeps.methods_plan import (
    Lengths,
    epochs_in,
    lasting,
    measure_epoch,
    name_of,
    read_lengths,
    write_lengths,
)
from sweeps.methods_report import NAME, write_methods
from sweeps.options import Execution, checked_out
from sweeps.overrides import configured, override
from sweeps.report import add_page
from sweeps.results import zoo_names
from sweeps.sweep import Sweep, check_models, check_seeds, held, perform, report_failures
from sweeps.trial import make_trial
from sweeps.zoos import (
    SweepZoo,
    check_alike,
    check_trainable,
    count_networks,
    find_target,
    open_sweep_zoos,
)
from zoogen.interrupt import Stopper

PROGRAM = "python -m sweeps.methods"
DESCRIPTION = f"""\
Train every model on each zoo for equally many seconds, with its own published batch and step size,
and show all of them in one table: sizes, epochs reached, errors, Kendall's τ. How many epochs the
seconds are is measured here, by a few of each, and kept in --out (epochs.json).

For example, in about an hour on two cores:

    python -m sweeps.methods --zoos zoos/sine-siren-sine-f-seed0 zoos/svhn-arch2-quick-seed0

Writes results (docs/results-format.md), {NAME}.md, {NAME}.tex and page.html into --out. The table
goes to stdout, messages to stderr. {EXITS}"""
LEAST_STEPS: Mapping[str, int] = {"hyperrep": 2}
"""Of an epoch: what tells networks from one another needs many of them in a batch."""
LARGEST = 64
"""Batch: more of the large models does not fit a card of 11 GB."""
OTHERS_STEPS = 10
"""Published batches are for zoos of ten thousand networks and more; of a small one such a batch
would be a whole epoch."""
log = logging.getLogger("sweeps")


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodsOptions:
    """What is compared."""

    zoos: Annotated[tuple[str, ...], flag("ZOO …")]
    """Folders, or s3://BUCKET/PREFIX: each model is trained on each and tested there."""
    also: Annotated[tuple[str, ...], flag("ZOO …")] = ()
    """Zoos that are tested on only, by the models whose target they have."""
    models: Annotated[tuple[str, ...], flag("NAME …")] = tuple(MODELS)
    """Names of --model of `python -m sne.train`."""
    seconds: Annotated[float, flag("N")] = 120.0
    """Of each training, on one core or a GPU."""
    seeds: Annotated[tuple[int, ...], flag("N …")] = (0, 1, 2)
    """Each model is trained once with each."""
    out: Annotated[Path, flag("FOLDER")] = Path("runs/methods")
    """Where the sweep goes, or where one goes on."""
    set: Annotated[tuple[str, ...], flag("GROUP.NAME=VALUE"), tyro.conf.UseAppendAction] = ()
    """One setting, of all models (data, training, optimizer, symmetry) or of one (sne, mlp, …)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """All flags of the command."""

    methods: tyro.conf.OmitArgPrefixes[MethodsOptions]
    execution: tyro.conf.OmitArgPrefixes[Execution]


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """A model on a zoo, before it is known for how long."""

    model: str
    own: SweepZoo
    tests: tuple[SweepZoo, ...]
    config: TrainConfig

    @property
    def name(self) -> str:
        """What its length is kept under."""
        return name_of(self.model, self.own.ref.label.hash)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command(PROGRAM, serve, arguments)


def serve(given: Sequence[str], command: str, stopper: Stopper) -> int:
    """Measure, train, show."""
    options = parse(Options, given, program=PROGRAM, description=DESCRIPTION)
    wanted, execution, folder = options.methods, options.execution, checked_out(options.methods.out)
    check_wanted(wanted)
    opened = open_sweep_zoos([*wanted.zoos, *wanted.also])
    zoos, also = opened[: len(wanted.zoos)], opened[len(wanted.zoos) :]
    check_alike(opened, allow_mixed_data=execution.allow_mixed_data)
    check_trainable(zoos)
    methods = tuple(list_methods(wanted, zoos, also))
    lengths = read_lengths(folder, seconds=wanted.seconds)
    lengths = replace(lengths, epochs={**measured(methods, lengths, execution), **lengths.epochs})
    if not execution.dry_run:
        with held(folder):
            write_lengths(folder, lengths)
    sweep = make_sweep(methods, lengths, wanted, folder, execution, command=command)
    failures = perform(sweep, on_start=stopper.enforce)
    if not execution.dry_run and len(failures) < len(sweep.trials):
        reasons = {failure.trial.hash: failure.reason for failure in failures}
        print(write_methods(folder, sweep.asked, failed=reasons))
        add_page(folder, MEASURES["tau"], device=execution.device)
    return report_failures(failures)


def check_wanted(wanted: MethodsOptions) -> None:
    """Whether seeds, seconds and models can be meant (PlanError)."""
    check_seeds(wanted.seeds)
    if wanted.seconds <= 0:
        raise PlanError(f"--seconds is above 0, got {wanted.seconds:g}")
    check_models(wanted.models)


def list_methods(
    wanted: MethodsOptions, zoos: Sequence[SweepZoo], also: Sequence[SweepZoo]
) -> Iterator[Method]:
    """Every model on each zoo, the models of one zoo one after another.

    Raises:
        SettingError: no such model; the sentence lists those there are.
        DataError: a zoo whose target cannot be learnt.
    """
    for own in zoos:
        for model in wanted.models:
            config = override(usual_config(model, own), wanted.set)
            target = find_target([own], None, config.data.which)
            named = replace(config.data, zoo=(own.ref.uri,), target=target.column)
            tests = [one for one in also if find_column(one) == target.column]
            yield Method(
                model=model,
                own=own,
                tests=(own, *tests),
                config=replace(config, data=named),
            )


def usual_config(model: str, own: SweepZoo) -> TrainConfig:
    """A model's published training, with a batch that leaves an epoch some steps."""
    config = configured([own], (), model=model)
    networks = count_networks(own.zoo, "train", config.data.which)
    most = max(1, networks // LEAST_STEPS.get(model, OTHERS_STEPS))
    batch = min(config.training.batch, most, LARGEST)
    return replace(config, training=replace(config.training, batch=batch))


def find_column(zoo: SweepZoo) -> str:
    """What is usually predicted of a zoo's networks."""
    return find_target([zoo], None, configured([zoo], ()).data.which).column


def measured(methods: Sequence[Method], lengths: Lengths, execution: Execution) -> dict[str, int]:
    """Epochs of the methods that no length is known of yet."""
    new = [method for method in methods if method.name not in lengths.epochs]
    if not new:
        return {}
    device = str(choose_device(execution.device))
    if device == "cpu":
        torch.set_num_threads(execution.threads)
    log.info("measuring an epoch of each of %d methods, about 10 s each", len(new))
    found: dict[str, int] = {}
    for method in new:
        machine = execution.machine(device, save_epochs=False)
        epoch_s = measure_epoch(method.config, machine)
        found[method.name] = epochs_in(lengths.seconds, epoch_s)
        if epoch_s:
            label = f"{method.model} on {method.own.ref.label}"
            log.info("%s: %.3g s an epoch, %d epochs", label, epoch_s, found[method.name])
    return found


def make_sweep(
    methods: Sequence[Method],
    lengths: Lengths,
    wanted: MethodsOptions,
    folder: Path,
    execution: Execution,
    *,
    command: str,
) -> Sweep:
    """The trials, the seeds of one method one after another."""
    listed = [
        (method, seed, _trial(method, lengths.epochs[method.name], seed))
        for method in methods
        for seed in wanted.seeds
    ]
    planned = plan_trials([trial for _, _, trial in listed], execution)
    names = zoo_names([method.own.ref.label for method in methods])
    tested = dict.fromkeys(ref.label.hash for _, _, trial in listed for ref in trial.test)
    entries = tuple(
        Entry(
            trial=one.trial.hash,
            table=names[method.own.ref.label.hash],
            row=f"{method.model}, {names[method.own.ref.label.hash]}",
            seed=seed,
        )
        for (method, seed, _), one in zip(listed, planned, strict=True)
    )
    place = "one core" if str(choose_device(execution.device)) == "cpu" else "a GPU"
    note = (
        f"Budget: as many epochs as took {duration_text(lengths.seconds)} on {place} when they "
        "were measured, a few of each method. Batch, step size and schedule as each method's "
        f"authors have them, but that an epoch has {OTHERS_STEPS} steps at least (hyperrep: 2), a "
        f"batch {LARGEST} networks at most, and a warm-up a tenth of the steps."
    )
    asked = Asked(
        kind=NAME, command=command, entries=entries, test_zoos=tuple(tested), notes=(note,)
    )
    # One epoch may take longer than the seconds, or no time at all.
    several = [one.trial.hash for one in planned if one.trial.config.training.epochs > 1]
    # Of a large model, saving each short epoch would take longer than the epoch.
    return Sweep(
        planned=planned,
        asked=asked,
        folder=folder,
        execution=execution,
        save_epochs=False,
        seconds=dict.fromkeys(several, lengths.seconds),
    )


def _trial(method: Method, epochs: int, seed: int):
    which = method.config.data.which
    networks = count_networks(method.own.zoo, "train", which)
    config = lasting(method.config, epochs=epochs, networks=networks)
    config = replace(config, training=replace(config.training, seed=seed))
    return make_trial(
        config,
        train=[method.own.ref],
        test=[one.ref for one in method.tests],
        target=find_target([method.own], None, which),
    )


if __name__ == "__main__":
    sys.exit(main())
