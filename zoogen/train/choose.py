"""Which engine trains a job, and how many members at once: a table, not a race.

So the same command plans the same zoo again, and makes the same bytes on the same platform. The
rows are what `python -m benchmarks.engines` measures (on two cores, and on an H100).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from zoogen.errors import PlanError
from zoogen.members import Member
from zoogen.train.engines import load_engine
from zoogen.train.job import Engine, ImageJob, Job

PROBE = "probe"
PROBE_SIGNAL_STEPS = 50
"""Steps of each INR that a probe trains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """An engine by name, and the members that it is given at once (M)."""

    engine: str
    group_size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One row: the first that fits, and whose engine takes the job, is used."""

    device: Literal["cpu", "cuda"]
    kind: Literal["images", "signals"]
    choice: Choice
    batch_at_most: int | None = None


# `native` trains one member after another, so a group of one lets shards be cut finest.
NATIVE = Choice(engine="native", group_size=1)
VMAP_ON_GPU = Choice(engine="vmap", group_size=128)
RULES: tuple[Rule, ...] = (
    Rule(device="cpu", kind="images", choice=NATIVE),
    Rule(
        device="cpu", kind="images", choice=Choice(engine="vmap", group_size=16), batch_at_most=16
    ),
    Rule(device="cpu", kind="images", choice=Choice(engine="loop", group_size=1)),
    Rule(device="cpu", kind="signals", choice=NATIVE),
    Rule(device="cpu", kind="signals", choice=Choice(engine="vmap", group_size=64)),
    Rule(device="cuda", kind="images", choice=VMAP_ON_GPU),
    Rule(device="cuda", kind="signals", choice=VMAP_ON_GPU),
)


def choose(
    job: Job,
    *,
    device: str,
    wanted: str | None,
    sample: Callable[[int], Sequence[Member]] | None = None,
) -> Choice:
    """The engine and M for a job.

    Args:
        job: architecture, data and schedule.
        device: `cpu` or `cuda`.
        wanted: an engine's name, which overrides the rule; `probe` measures; None goes by rule.
        sample: gives so many members of the zoo; for `probe` alone.

    Raises:
        PlanError: no such engine, or it cannot take the job.
    """
    fitting = [rule for rule in RULES if _fits(rule, job, device)]
    if wanted == PROBE:
        assert sample is not None  # whoever passes `probe` on has members at hand
        return _probe(job, fitting, device=device, sample=sample)
    if wanted is not None:
        return _wanted(job, wanted, fitting)
    for rule in fitting:
        if load_engine(rule.choice.engine).refusal(job) is None:
            return rule.choice
    raise PlanError(f"no engine can train {job.architecture.family} on {device}")


def _fits(rule: Rule, job: Job, device: str) -> bool:
    images = isinstance(job, ImageJob)
    small = rule.batch_at_most is None or (images and job.batch_size <= rule.batch_at_most)
    return rule.device == device and rule.kind == ("images" if images else "signals") and small


def _wanted(job: Job, name: str, fitting: Sequence[Rule]) -> Choice:
    reason = load_engine(name).refusal(job)
    if reason is not None:
        raise PlanError(f"engine {name} cannot train this zoo here: {reason}")
    sizes = [r.choice.group_size for r in fitting if r.choice.engine == name]
    return Choice(engine=name, group_size=sizes[0] if sizes else 1)


def _probe(
    job: Job, rules: Sequence[Rule], *, device: str, sample: Callable[[int], Sequence[Member]]
) -> Choice:
    """Train a few members by each rule's engine, shortly; the most members a second wins."""
    short = shortened(job)
    rates: dict[Choice, float] = {}
    for choice in dict.fromkeys(rule.choice for rule in rules):
        engine = load_engine(choice.engine)
        if engine.refusal(job) is None:
            rates[choice] = _rate(engine, short, sample(choice.group_size), device)
    if not rates:
        raise PlanError(f"no engine can train {job.architecture.family} on {device}")
    return max(rates, key=lambda choice: rates[choice])


def shortened(job: Job) -> Job:
    """One epoch, or a few steps that no early stop ends, without checkpoints."""
    if isinstance(job, ImageJob):
        return replace(job, epochs=1, checkpoints=())
    return replace(job, steps=PROBE_SIGNAL_STEPS, stop_mse=0.0)


def _rate(engine: Engine, job: Job, members: Sequence[Member], device: str) -> float:
    """Members a second; the first member alone warms up compilers and caches."""
    for group in (members[:1], members):
        begun = time.perf_counter()
        for _ in engine.train(job, group, device=device, report=lambda progress: None):
            pass
    return len(members) / (time.perf_counter() - begun)
