"""How fast this machine is against the recipe's estimate: a short measured run, for display only.

The plan keeps the recipe's figure, which cuts shards the same everywhere.
"""

import time
from dataclasses import replace
from itertools import count, islice

from zoogen.execute import engine_of
from zoogen.plan import Plan, member_cost
from zoogen.train import load_engine
from zoogen.train.job import ImageJob, Job

PACED = ("native",)
"""Engines that are measured before a run: those that need no torch in the driver."""
SIGNALS = 4
"""INRs that are fitted to the end, since nobody knows when they stop."""


def measured_pace(plan: Plan, job: Job, *, device: str) -> float | None:
    """Seconds that members take here for each second of the recipe's estimate.

    One epoch of one classifier, or a few whole INRs; None for engines that are not measured.
    """
    if engine_of(plan) not in PACED:
        return None
    images = isinstance(job, ImageJob)
    short = replace(job, epochs=1, checkpoints=()) if images else job
    members = list(islice(plan.draw(count(plan.first)), 1 if images else SIGNALS))
    engine = load_engine(engine_of(plan))
    begun = 0.0
    for group in (members[:1], members):  # the first loads the library and the images
        begun = time.perf_counter()
        for _ in engine.train(short, group, device=device, report=lambda progress: None):
            pass
    seconds = (time.perf_counter() - begun) * (plan.epochs if images else 1)
    fractions = plan.fractions(m.index for m in members).values()
    return seconds / sum(member_cost(plan, fraction).core_seconds for fraction in fractions)
