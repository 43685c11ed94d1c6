"""A plan of an artefact at a scale: zoos, lines, epochs, and what all of it will take. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sne.progress import duration_text
from sweeps.errors import PlanError
from sweeps.paper.budget import Budget
from sweeps.paper.declared import Artefact, Line
from sweeps.paper.fit import (
    Cost,
    epochs_at,
    fit_level,
    training_seconds,
    wall_of,
    zoo_seconds,
)
from sweeps.paper.possible import model_lacking, pair_lacking
from sweeps.paper.scale import LEAST_MEMBERS, Scale
from sweeps.paper.stock import Stocked, lacks_of

ENOUGH_EPOCHS, STEP = 30, 0.8
"""Zoos get fewer members, by this factor at a time, until every line has so many epochs."""
PAPER_BUDGET = "The paper's: 300 epochs, batches of 64; classifier zoos of about 30,000 networks."


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will be done."""

    artefact: Artefact
    scale: Scale
    stock: tuple[Stocked, ...]
    budget: Budget
    costs: Mapping[str, Cost]
    """Of each pace."""
    measured: bool
    """Whether these were measured here, on these zoos."""

    @property
    def zoos(self) -> dict[str, Stocked]:
        """By key."""
        return {one.need.key: one for one in self.stock}

    @property
    def to_make(self) -> tuple[Stocked, ...]:
        """Zoos that are not there."""
        return tuple(one for one in self.stock if one.order is not None)

    @property
    def epochs(self) -> Mapping[str, int]:
        """Of each pace."""
        return {name: self.budget.epochs.get(name, self.scale.epochs) for name in self.costs}

    @property
    def seconds(self) -> float:
        """Of trainings and tests, by the wall clock."""
        return wall_of(self.costs, self.epochs, workers=self.budget.workers)

    def lacking(self, line: Line) -> str | None:
        """What all figures of a line lack; None if some can be made."""
        lacks = lacks_of(self.zoos)
        missing = [pair_lacking(self.artefact, line, pair, lacks) for pair in self.artefact.pairs]
        return model_lacking(line) or (None if None in missing else missing[0])


def plan_costs(
    plan: Plan, costs: Mapping[str, Cost], *, measured: bool, kept: Budget | None = None
) -> Plan:
    """The plan with epochs that fit these costs; kept epochs stay as they are.

    Raises:
        PlanError: by measured costs the minutes do not reach for one epoch of each line.
    """
    budget, most = plan.budget, plan.scale.epochs
    if budget.minutes is None:
        return replace(plan, costs=costs, measured=measured)
    seconds = training_seconds(budget.minutes, zoos_s=budget.zoos_s)
    known = {} if kept is None else dict(kept.epochs)
    level = kept.level_s if kept is not None and known else 0.0
    if not known:
        level = fit_level(costs, seconds=seconds, workers=budget.workers, most=most)
    epochs = {
        name: known.get(name) or epochs_at(cost, level, seconds=seconds, most=most)
        for name, cost in costs.items()
    }
    needed = wall_of(costs, epochs, workers=budget.workers)
    if measured and not known and needed > max(seconds, 1.0) * 1.01:
        raise PlanError(
            f"{budget.minutes:g} minutes are too short for {plan.artefact.name}: zoos take "
            f"{duration_text(budget.zoos_s)}, and a single epoch of each line, with its tests, "
            f"takes {duration_text(needed)}: give more --minutes"
        )
    fitted = replace(budget, epochs={**known, **epochs}, level_s=level)
    return replace(plan, costs=costs, measured=measured, budget=fitted)


def balanced(draft: Callable[[int | None], Plan]) -> Plan:
    """The plan with the most members that leave every line `ENOUGH_EPOCHS`, by rough figures.

    Where every line has all epochs and time is left, zoos get more than their part of it.

    Args:
        draft: from members of whole zoos to be made to a plan; None: as many as can be made.
    """
    plan = draft(None)
    parts = max((one.need.part for one in plan.to_make), default=1)
    while plan.budget.members > LEAST_MEMBERS * parts and _fewest_epochs(plan) < ENOUGH_EPOCHS:
        fewer = int(plan.budget.members * STEP) // 10 * 10
        plan = draft(max(LEAST_MEMBERS * parts, fewer))
    most = plan.scale.members.get(plan.artefact.kind, 0)
    while plan.to_make and plan.budget.members < most and _has_all(plan):
        more = draft(min(most, plan.budget.members + 10 * parts))
        if not _has_all(more):
            break
        plan = more
    return plan


def describe(plan: Plan) -> Iterator[str]:
    """The plan for people, one line each."""
    artefact, scale, budget = plan.artefact, plan.scale, plan.budget
    yield artefact.title
    within = "" if budget.minutes is None else f"; {budget.minutes:g} minutes"
    processes = f", {budget.workers} trials at a time" if budget.minutes is not None else ""
    yield f"scale {scale.name}: {scale.summary}{within}{processes}"
    yield "zoos:"
    for one in plan.stock:
        yield f"  {one.need.key}: {_zoo_text(plan, one)}"
        if one.order is not None:
            yield f"    {one.command}"
    yield "trained:"
    width = max(len(line.name) for line in artefact.lines_at(scale.name))
    for line in artefact.lines_at(scale.name):
        yield f"  {line.name:<{width}}  {_line_text(plan, line)}"
    yield f"  with {_seeds_text(scale.seeds_of(artefact))}"
    if plan.costs:
        yield _time_text(plan)


def budget_notes(plan: Plan) -> tuple[str, ...]:
    """What the numbers were bought with, for below the table."""
    scale, artefact = plan.scale, plan.artefact
    paced = _by_epochs(plan)
    within = "" if plan.budget.minutes is None else f" of {plan.budget.minutes:g} minutes"
    learnt = "; ".join(
        f"{one.need} {one.members:,} ({one.members * one.shares[0] // 10:,} to train on)"
        for one in plan.stock
        if one.there
    )
    settings = ", ".join(scale.settings_of(artefact, "sne")) or "as published"
    return (
        f"Budget: scale {scale.name}{within}; networks: {learnt}; epochs: {paced}; "
        f"{_seeds_text(scale.seeds_of(artefact))}; settings: {settings}. {PAPER_BUDGET}",
    )


def missing_notes(plan: Plan) -> tuple[str, ...]:
    """What this version lacks, by name."""
    found = [plan.lacking(line) for line in plan.artefact.lines_at(plan.scale.name)]
    found += [one.lacks for one in plan.stock]
    names = sorted({part for what in found if what is not None for part in what.split(" and ")})
    return (f"Missing in this version: {', '.join(names)}.",) if names else ()


def estimated_zoo_seconds(stock: Sequence[Stocked], *, workers: int) -> float:
    """Of making those that are to be made."""
    orders = [one.order.core_seconds for one in stock if one.order is not None]
    return zoo_seconds(orders, workers=workers)


def _fewest_epochs(plan: Plan) -> int:
    """Of lines that learn by epochs."""
    return min(
        (plan.epochs[name] for name, cost in plan.costs.items() if cost.epoch_s),
        default=ENOUGH_EPOCHS,
    )


def _has_all(plan: Plan) -> bool:
    """Whether every line has as many epochs as the scale gives at most."""
    epochs = [plan.epochs[name] for name, cost in plan.costs.items() if cost.epoch_s]
    return all(count >= plan.scale.epochs for count in epochs)


def _zoo_text(plan: Plan, one: Stocked) -> str:
    if one.lacks is not None:
        return f"missing here: {one.lacks}"
    if one.idle:
        return "not wanted, as what it is for is missing"
    text = f"{one.folder}, {one.members:,} networks"
    if one.order is None:
        return text
    took = zoo_seconds([one.order.core_seconds], workers=plan.budget.workers)
    return f"{text}, to be made in about {duration_text(took)}"


def _line_text(plan: Plan, line: Line) -> str:
    lacks = plan.lacking(line)
    extra = " (not in the paper)" if line.extra else ""
    if lacks is not None:
        return f"missing here: {lacks}{extra}"
    cost = plan.costs.get(line.pace)
    if cost is None:
        return f"{plan.scale.epochs} epochs{extra}"
    if not cost.epoch_s:
        return f"fitted at once{extra}"
    epochs = plan.epochs[line.pace]
    seconds = cost.fixed_s + epochs * cost.epoch_s
    shared = sum(other.pace == line.pace for other in plan.artefact.lines_at(plan.scale.name))
    plural = "s" if epochs > 1 else ""
    return f"{epochs} epoch{plural}, about {duration_text(seconds / shared)} of one process{extra}"


def _time_text(plan: Plan) -> str:
    budget, took = plan.budget, plan.seconds
    how = "by steps measured here" if plan.measured else "by rough figures of one slow core"
    if budget.minutes is None:
        if not plan.measured:
            return "time: by rough figures of one slow core; measured when the zoos are there"
        return f"time: {duration_text(took)} with {budget.workers} at a time, {how}"
    whole = duration_text(budget.zoos_s + took)
    later = "" if plan.measured else "; epochs are fitted anew when steps can be measured"
    return (
        f"time: zoos {duration_text(budget.zoos_s)}, trainings and tests {duration_text(took)}, "
        f"together {whole} of {budget.minutes:g} min, {how}{later}"
    )


def _by_epochs(plan: Plan) -> str:
    named: dict[str, None] = {}
    for line in plan.artefact.lines_at(plan.scale.name):
        cost = plan.costs.get(line.pace)
        if cost is not None:
            epochs = f"{plan.epochs[line.pace]}" if cost.epoch_s else "fitted at once"
            named[f"{line.pace} {epochs}"] = None
    return ", ".join(named)


def _seeds_text(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
