"""Small zoos with seeded numbers instead of trained ones, for tests of the format."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoogen.architecture_file import write_architectures
from zoogen.archs import ARCHS
from zoogen.continuation import write_plan
from zoogen.description import Architecture
from zoogen.grouping import ShardSpec
from zoogen.manifest import write_manifest
from zoogen.overrides import override
from zoogen.plan import Plan
from zoogen.planning import make_plan
from zoogen.platforms import Platform, current_platform
from zoogen.recipes import RECIPES, recipe_for
from zoogen.shards import write_shard
from zoogen.store import Store, open_store
from zoogen.train.job import Snapshot

PLATFORM = current_platform(engine="loop", threads=1, device="cpu")
OTHER_PLATFORM = replace(PLATFORM, threads=7)
DIGITS = {"name": "digits", "train_size": 1297, "test_size": 500, "content_hash": "00"}
SINE = {"name": "sine", "points": 128}


def image_architecture() -> Architecture:
    return ARCHS["arch1"].describe(input_shape=(1, 28, 28), classes=10)


def siren(width: int = 4) -> Architecture:
    return ARCHS["siren"].describe(input_shape=(1,), classes=1, width=width)


def image_plan(
    members: int = 6,
    *,
    checkpoints: tuple[int, ...] = (0, 1, 3),
    group_size: int = 2,
    platform: Platform = PLATFORM,
    draws: Any = None,
) -> Plan:
    """Classifiers with 4,970 weights."""
    recipe = override(
        recipe_for("arch1", "digits", "quick"),
        members=members,
        epochs=checkpoints[-1],
        checkpoints=checkpoints,
        draws=draws,
    )
    return make_plan(
        recipe,
        data=DIGITS,
        architecture=image_architecture(),
        seed=3,
        platform=platform,
        group_size=group_size,
    )


def sine_plan(members: int = 6, *, group_size: int = 2, recipe: str = "sine-f") -> Plan:
    """INRs with 33 weights."""
    return make_plan(
        override(RECIPES[recipe], members=members),
        data=SINE,
        architecture=siren(),
        seed=3,
        platform=PLATFORM,
        group_size=group_size,
    )


def snapshots(
    plan: Plan, spec: ShardSpec, *, ends: dict[int, tuple[int, Any]] | None = None
) -> Iterator[Snapshot]:
    """What an engine would give; a pure function of the plan and the member.

    Args:
        plan: of the zoo.
        spec: the shard.
        ends: member → (epoch, status) of those that end otherwise than at the last checkpoint.
    """
    for member in spec.members:
        last, status = (ends or {}).get(member, (plan.epochs, "ok"))
        kept = [c for c in plan.checkpoints if c < last] if plan.kind == "images" else []
        for epoch in kept:
            yield _snapshot(plan, member, epoch, "ok")
        yield _snapshot(plan, member, last, status)


def make_zoo(
    path: str | Path, *plans: Plan, ends: dict[int, tuple[int, Any]] | None = None
) -> Store:
    """A complete zoo of these plans."""
    store = open_store(path)
    write_architectures(store, [_architecture(plans[0])])
    entries = []
    for plan in plans:
        write_plan(store, plan)
        entries += [
            write_shard(store, plan=plan, spec=spec, snapshots=snapshots(plan, spec, ends=ends))
            for spec in plan.shards()
        ]
    write_manifest(store, plans=plans, entries=entries)
    return store


def weights_of(plan: Plan, member: int, epoch: int) -> np.ndarray:
    rng = np.random.default_rng([member, epoch])
    return rng.standard_normal(plan.parameters).astype(np.float32)


def accuracy_of(member: int, epoch: int) -> float:
    return (member * 7 + epoch * 3) % 100 / 100


def _architecture(plan: Plan) -> Architecture:
    return image_architecture() if plan.kind == "images" else siren()


def _snapshot(plan: Plan, member: int, epoch: int, status: Any) -> Snapshot:
    metrics: dict[str, float | None] = {"mse": 0.5 / (1 + member)}
    if plan.kind == "images":
        accuracy = accuracy_of(member, epoch)
        metrics = {"train_accuracy": accuracy + 0.1, "test_accuracy": accuracy}
        metrics |= {"train_loss": 1.0, "test_loss": 1.5}
    weights = weights_of(plan, member, epoch)
    if status == "diverged":
        weights[0], metrics = np.nan, {}
    return Snapshot(member=member, epoch=epoch, status=status, weights=weights, metrics=metrics)
