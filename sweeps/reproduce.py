"""`python -m sweeps.reproduce NAME`: a table or figure of the paper, ours beside the published."""

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro

from sne.command import parse
from sne.config import flag
from sne.predict import choose_device
from sne.resampling import Resampling
from sweeps.asked import Asked, Entry
from sweeps.card import plan_trials
from sweeps.command import EXITS, run_command
from sweeps.errors import PlanError
from sweeps.measures import MEASURES
from sweeps.options import Execution, checked_out
from sweeps.pace import measure_paces
from sweeps.paper.artefacts import ARTEFACTS, artefact_named
from sweeps.paper.budget import Budget, check_same, read_budget, write_budget
from sweeps.paper.declared import Artefact
from sweeps.paper.fit import Room
from sweeps.paper.line_trials import LineTrial, line_trials, measured_costs, nominal_costs
from sweeps.paper.plan import (
    Plan,
    balanced,
    budget_notes,
    describe,
    estimated_zoo_seconds,
    missing_notes,
    plan_costs,
)
from sweeps.paper.plane import draw_plane
from sweeps.paper.scale import SCALES, Scale, scale_named
from sweeps.paper.show import Done, write_artefact
from sweeps.paper.stock import MANIFEST, Stocked, located, make_zoos, take_stock
from sweeps.report import add_page
from sweeps.sweep import Sweep, held, perform, report_failures
from sweeps.zoos import SweepZoo, check_alike, check_trainable, open_sweep_zoos
from zoogen.interrupt import Stopper
from zoogen.machine import available_cores

PROGRAM = "python -m sweeps.reproduce"
DESCRIPTION = f"""\
A table or figure of Andreis et al. 2024 (arXiv:2305.16625): trained here, beside what is published.

Names: {", ".join(ARTEFACTS)}. Scales: {"; ".join(f"{n}: {s.summary}" for n, s in SCALES.items())}.

For example:

    python -m sweeps.reproduce table1 --scale laptop --dry-run
    python -m sweeps.reproduce table1 --scale laptop --make-zoos

The plan is printed first and kept in --out (budget.json). Models and zoos that this version does
not have are named as missing. Writes results (docs/results-format.md), NAME.md, NAME.tex, NAME.png
and a page into --out. The table goes to stdout, messages to stderr. {EXITS}"""
log = logging.getLogger("sweeps")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReproduceOptions:
    """What is reproduced, and how much of it."""

    name: Annotated[str, tyro.conf.Positional, flag("NAME")]
    """Of the table or figure."""
    scale: Annotated[str, flag("NAME")] = "laptop"
    """paper, workstation, laptop."""
    minutes: Annotated[float | None, flag("N", "60")] = None
    """What the laptop's scale may take, zoos included."""
    make_zoos: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Make the zoos that are not there."""
    zoos: Annotated[Path, flag("FOLDER")] = Path("zoos")
    """Where zoos lie, or are made."""
    use: Annotated[tuple[str, ...], flag("KEY=FOLDER"), tyro.conf.UseAppendAction] = ()
    """A zoo of your own, for example svhn-arch2=zoos/mine; the plan lists the keys."""
    out: Annotated[Path | None, flag("FOLDER", "runs/reproduce/STUDY-SCALE")] = None
    """Where the sweep goes, or where one goes on. Tables 2, 3 and 4 share theirs, as do 5 and
    8, and 1 and E.3."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A plan whose zoos are there."""

    plan: Plan
    listed: tuple[LineTrial, ...]
    zoos: Mapping[str, SweepZoo]
    """Opened, by key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """All flags of the command."""

    reproduce: tyro.conf.OmitArgPrefixes[ReproduceOptions]
    execution: tyro.conf.OmitArgPrefixes[Execution]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command(PROGRAM, serve, arguments)


def serve(given: Sequence[str], command: str, stopper: Stopper) -> int:
    """Plan, make zoos, train, show."""
    options = parse(Options, given, program=PROGRAM, description=DESCRIPTION)
    wanted, execution = options.reproduce, options.execution
    artefact, scale = artefact_named(wanted.name), scale_named(wanted.scale)
    out = wanted.out or Path("runs/reproduce") / f"{artefact.study}-{scale.name}"
    folder, minutes = checked_out(out), minutes_of(scale, wanted.minutes)
    kept = read_budget(folder)
    if kept is not None:
        check_same(kept, out, study=artefact.study, scale=scale.name, minutes=minutes)
    plan = draft(artefact, scale, wanted, kept=kept, minutes=minutes, workers=workers_of(execution))
    show_plan(plan, dry_run=execution.dry_run)
    log.info("results go to %s", out)
    if not plan.costs and not execution.dry_run:
        (reason,) = missing_notes(plan)
        raise PlanError(f"nothing of {artefact.name} can be trained. {reason}")
    if execution.dry_run and (plan.to_make or not plan.costs):
        return 0
    if plan.to_make:
        plan = furnish(plan, folder, execution, allowed=wanted.make_zoos, kept=kept)
    ready = fitted(plan, kept, execution)
    if not execution.dry_run:
        with held(folder):
            write_budget(folder, ready.plan.budget)
    return carry_out(ready, folder, execution, command=command, on_start=stopper.enforce)


def minutes_of(scale: Scale, given: float | None) -> float | None:
    """The scale's minutes, or those that were given (PlanError: it has none)."""
    if given is not None and scale.minutes is None:
        timed = ", ".join(name for name, one in SCALES.items() if one.minutes is not None)
        raise PlanError(f"--minutes is for scales that fit a time: {timed}; leave it out")
    if given is not None and given <= 0:
        raise PlanError(f"--minutes is above 0, got {given:g}")
    return given or (None if scale.minutes is None else float(scale.minutes))


def workers_of(execution: Execution) -> int:
    """Trials at a time that a plan counts on."""
    if execution.local:
        return 1
    return execution.workers or max(1, available_cores() // execution.threads)


def draft(
    artefact: Artefact,
    scale: Scale,
    wanted: ReproduceOptions,
    *,
    kept: Budget | None,
    minutes: float | None,
    workers: int,
) -> Plan:
    """The plan before anything is measured; a kept one goes on.

    Raises:
        PlanError: see `take_stock`; or --use is not KEY=FOLDER.
    """
    named = {} if kept is None else _kept_zoos(artefact, kept)
    for text in wanted.use:
        key, equals, place = text.partition("=")
        if not equals or not place:
            raise PlanError(f"--use is KEY=FOLDER, for example svhn-arch2=zoos/mine, got {text!r}")
        named[key] = place

    fresh = Budget(study=artefact.study, scale=scale.name, minutes=minutes, workers=workers)

    def drafted(members: int | None) -> Plan:
        room = None if minutes is None else Room(minutes=minutes, workers=workers, members=members)
        stock = take_stock(artefact, scale, wanted.zoos, named=named, room=room)
        return plan_stock(artefact, scale, stock, kept or fresh, kept=kept)

    if kept is not None or minutes is None:
        return drafted(None if kept is None else kept.members or None)
    return balanced(drafted)


def plan_stock(
    artefact: Artefact,
    scale: Scale,
    stock: Sequence[Stocked],
    budget: Budget,
    *,
    kept: Budget | None,
) -> Plan:
    """The plan for what is there and what is to be made, by rough figures."""
    to_make = [one for one in stock if one.order is not None]
    if kept is None:
        budget = replace(
            budget,
            members=max((one.members * one.need.part for one in to_make), default=0),
            zoos_s=estimated_zoo_seconds(stock, workers=budget.workers),
        )
    places = {one.need.key: one.folder for one in stock if one.folder}
    budget = replace(budget, zoos={**budget.zoos, **places})
    plan = Plan(
        artefact=artefact, scale=scale, stock=tuple(stock), budget=budget, costs={}, measured=False
    )
    costs = nominal_costs(artefact, scale, plan.zoos)
    return plan_costs(plan, costs, measured=False, kept=kept) if costs else plan


def show_plan(plan: Plan, *, dry_run: bool) -> None:
    """Print it: on stdout where it is all that was asked for."""
    for line in describe(plan):
        if dry_run:
            print(line)
        else:
            log.info("%s", line)


def furnish(
    plan: Plan, folder: Path, execution: Execution, *, allowed: bool, kept: Budget | None
) -> Plan:
    """Make the zoos that are not there, if that is allowed.

    Raises:
        PlanError: it is not; the sentence names them.
        SweepError: one could not be made.
    """
    if not allowed:
        names = ", ".join(str(one.need) for one in plan.to_make)
        raise PlanError(
            f"zoos that are not there: {names}; add --make-zoos, make them by the commands above, "
            "or name others with --use"
        )
    # Epochs are fitted when the zoos are there; how many members they have is settled now.
    epochs, level = ({}, 0.0) if kept is None else (kept.epochs, kept.level_s)
    budget = replace(plan.budget, epochs=epochs, level_s=level)
    with held(folder):
        write_budget(folder, budget)
    begun = time.monotonic()
    make_zoos(plan.stock, execution)
    # What an earlier call spent on zoos that it did not end with is not known: its estimate stays.
    if kept is None:
        budget = replace(budget, zoos_s=time.monotonic() - begun)
    return replace(plan, stock=located(plan.stock), budget=budget)


def fitted(plan: Plan, kept: Budget | None, execution: Execution) -> Ready:
    """Open the zoos, measure steps where epochs depend on them, and list the trials.

    Raises:
        PlanError: the zoos do not fit together, or the minutes are too short.
        ZooError, DataError: zoos that cannot be used.
    """
    there = {one.need.key: one for one in plan.stock if one.there}
    folders = tuple(dict.fromkeys(one.folder for one in there.values()))
    by_folder = dict(zip(folders, open_sweep_zoos(folders), strict=True))
    zoos = {key: by_folder[one.folder] for key, one in there.items()}
    check_alike(tuple(by_folder.values()), allow_mixed_data=execution.allow_mixed_data)
    check_trainable([zoos[key] for key, one in there.items() if one.need.use == "train"])
    if plan.budget.minutes is not None and not set(plan.costs) <= set(_known(kept)):
        plan = measured(plan, kept, zoos, execution)
        show_plan(plan, dry_run=execution.dry_run)
    listed = line_trials(plan.artefact, plan.scale, plan.zoos, zoos, plan.epochs)
    return Ready(plan=plan, listed=tuple(listed), zoos=zoos)


def measured(
    plan: Plan, kept: Budget | None, zoos: Mapping[str, SweepZoo], execution: Execution
) -> Plan:
    """The plan by steps that are measured here and now."""
    device = choose_device(execution.device)
    if device.type == "cpu":
        torch.set_num_threads(execution.threads)
    one_epoch = dict.fromkeys(plan.costs, 1)
    listed = line_trials(plan.artefact, plan.scale, plan.zoos, zoos, one_epoch)
    log.info("measuring a few steps of each line")
    paces = measure_paces([one.trial for one in listed], device=str(device))
    costs = measured_costs(listed, paces, plan.zoos, zoos)
    return plan_costs(plan, costs, measured=True, kept=kept)


def carry_out(
    ready: Ready,
    folder: Path,
    execution: Execution,
    *,
    command: str,
    on_start: Callable[[], None],
) -> int:
    """Perform the trials and write the table; returns the exit code."""
    plan = ready.plan
    planned = plan_trials([one.trial for one in ready.listed], execution)
    # --fit changes a trial, and so its hash.
    listed = [replace(one, trial=p.trial) for one, p in zip(ready.listed, planned, strict=True)]
    tested = dict.fromkeys(ref.label.hash for one in listed for ref in one.trial.test)
    asked = Asked(
        kind=plan.artefact.name,
        command=command,
        entries=tuple(entry_of(plan.artefact, one) for one in listed),
        test_zoos=tuple(tested),
        notes=(*budget_notes(plan), *missing_notes(plan)),
    )
    sweep = Sweep(planned=planned, asked=asked, folder=folder, execution=execution)
    failures = perform(sweep, on_start=on_start)
    if not execution.dry_run and len(failures) < len(sweep.trials):
        done = Done(
            plan=plan,
            listed=listed,
            hashes={key: one.ref.label.hash for key, one in ready.zoos.items()},
            folder=folder,
            failed={failure.trial.hash: failure.reason for failure in failures},
            resampling=Resampling(),
        )
        print(write_artefact(done))
        if plan.artefact.shape == "plane":
            draw_plane(done)
        add_page(folder, MEASURES.get(plan.artefact.metric), device=execution.device)
    return report_failures(failures)


def entry_of(artefact: Artefact, one: LineTrial) -> Entry:
    """A trial's place: of tables of lines the line is the row, else the column."""
    train = " + ".join(map(str, one.train))
    if artefact.shape == "lines":
        return Entry(
            trial=one.trial.hash, table=artefact.name, row=one.line.name, seed=one.trial.seed
        )
    return Entry(trial=one.trial.hash, table=one.line.name, row=train, seed=one.trial.seed)


def _known(kept: Budget | None) -> Sequence[str]:
    return () if kept is None else tuple(kept.epochs)


def _kept_zoos(artefact: Artefact, kept: Budget) -> dict[str, str]:
    """Folders of an artefact's zoos that a plan settled on and that are whole."""
    keys = {need.key for need in artefact.needs}
    return {key: place for key, place in kept.zoos.items() if key in keys and _is_whole(place)}


def _is_whole(folder: str) -> bool:
    return "://" in folder or (Path(folder) / MANIFEST).exists()


if __name__ == "__main__":
    sys.exit(main())
