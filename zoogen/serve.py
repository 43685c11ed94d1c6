"""What the command does with its options, once everything that is slow to load may be loaded."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from zoogen.announce import outcome_lines, plan_lines
from zoogen.continuation import read_plans
from zoogen.crew import Crew, crew_for
from zoogen.description import Architecture
from zoogen.driver import complete_zoo, draft_plan, settle_plans
from zoogen.execute import engine_of
from zoogen.interrupt import Stopper
from zoogen.lock import hold
from zoogen.material import load_material, make_job
from zoogen.options import Options
from zoogen.pace import measured_pace
from zoogen.plan import Plan
from zoogen.request import Request, make_request
from zoogen.store import Store, open_store

Sweeps = list[Callable[[], object]]
log = logging.getLogger(__name__)


def serve(options: Options, stopper: Stopper, sweeps: Sweeps) -> None:
    """Make the zoo, or show its plan.

    Args:
        options: the flags.
        stopper: its handlers are put back into force after Ray has started.
        sweeps: gets what must still be done should this process have to end at once.

    Raises:
        ZooError: the request cannot be served, or shards could not be made.
    """
    request = make_request(options)
    store = open_store(request.out)
    existing = read_plans(store)
    planned = engine_of(existing[-1]) if existing else None
    with crew_for(request, planned=planned, on_start=stopper.enforce) as crew:
        material = load_material(
            request.recipe,
            dataset=request.dataset,
            arch=request.arch,
            data_dir=request.data_dir,
            download=request.download,
        )
        wanted = draft_plan(request, material, crew, planned=planned)
        pace = measured_pace(wanted, make_job(request.recipe, material), device=crew.device)
        run = _Run(request=request, store=store, crew=crew, wanted=wanted, pace=pace)
        if options.execution.dry_run:
            for line in _lines(run, settle_plans(store, wanted, grows=request.grows)):
                print(line)
        else:
            _make(run, material.architecture, sweeps)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Run:
    request: Request
    store: Store
    crew: Crew
    wanted: Plan
    pace: float | None


def _make(run: _Run, architecture: Architecture, sweeps: Sweeps) -> None:
    begun, store = time.monotonic(), run.store
    with ExitStack() as stack:
        lock = stack.enter_context(hold(store, enabled=run.request.lock))
        # While the lock is held, what half-done shards leave is removed, whatever happens.
        sweeps.append(store.sweep)
        stack.callback(sweeps.clear)
        stack.callback(store.sweep)
        plans = settle_plans(store, run.wanted, grows=run.request.grows)
        for line in _lines(run, plans):
            log.info("%s", line)
        outcome = complete_zoo(store, plans, architecture=architecture, crew=run.crew, lock=lock)
    for line in outcome_lines(store.uri, outcome, seconds=time.monotonic() - begun):
        print(line)


def _lines(run: _Run, plans: Sequence[Plan]) -> Iterator[str]:
    request, workers = run.request, run.crew.workers
    if request.address is None:
        workers *= request.nodes or 1
    return plan_lines(plans, workers=workers, pace=run.pace, hint=request.hint)
