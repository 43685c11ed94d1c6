"""One shard in a plain process: its receipt, the platform, members that raise, attempts."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zoogen.continuation import write_plan
from zoogen.errors import ZooError
from zoogen.execute import (
    MAX_ATTEMPTS,
    Context,
    Receipt,
    ShardMaker,
    begin_attempt,
    end_attempts,
    make_shard,
    name_members,
    platform_of,
)
from zoogen.grouping import ShardSpec
from zoogen.material import job_of_plan, load_material
from zoogen.members import Member
from zoogen.overrides import override
from zoogen.plan import Plan
from zoogen.planning import make_plan
from zoogen.recipes import recipe_for
from zoogen.shards import verify_shard
from zoogen.store import open_store


@pytest.fixture
def context(tmp_path: Path, trained_cache: Path) -> Context:
    """Twelve digits classifiers of one epoch by the reference engine, without a lock."""
    recipe = override(
        recipe_for("arch1", "digits", "quick"),
        members=12,
        epochs=1,
        draws={"train_fraction": "0.1", "learning_rate": "0.001..0.01"},
    )
    material = load_material(recipe, dataset="digits", arch="arch1", data_dir=None, download=False)
    plan = make_plan(
        recipe,
        data=material.identity,
        architecture=material.architecture,
        seed=0,
        platform=platform_of("loop", threads=1, device="cpu"),
        group_size=4,
    )
    store = open_store(tmp_path / "zoo")
    write_plan(store, plan)
    return Context(
        plan=plan,
        out=store.uri,
        engine="loop",
        device="cpu",
        threads=1,
        data_dir=None,
        download=False,
        mixed_platforms=False,
        run=None,
        label="test",
    )


def shard(context: Context) -> ShardSpec:
    return next(context.plan.shards())


def files(context: Context) -> list[str]:
    return sorted(p.name for p in Path(context.out).rglob("*") if p.is_file())


def test_a_shard_is_made_and_its_receipt_says_how(context: Context):
    reports: list[tuple[int, int]] = []
    spec = shard(context)
    receipt = make_shard(context, spec, lambda number, done: reports.append((number, done)))
    assert (receipt.status, receipt.error, receipt.attempt) == ("made", None, 1)
    assert receipt.entry == verify_shard(open_store(context.out), plan=context.plan, spec=spec)
    assert receipt.cpu_seconds > 0
    assert reports[0] == (0, 0)
    assert reports[-1] == (0, 12)  # member-epochs


def test_a_context_and_a_receipt_travel(context: Context):
    receipt = make_shard(pickle.loads(pickle.dumps(context)), shard(context))
    assert receipt.status == "made"
    assert Receipt.from_json(json.loads(json.dumps(receipt.to_json()))) == receipt
    assert len(pickle.dumps(context)) < 20_000  # whatever the number of members


def test_making_it_again_gives_the_same_bytes(context: Context):
    maker = ShardMaker(context)
    first = maker.make(shard(context), lambda shard, done: None)
    again = make_shard(replace(context, label="another run"), shard(context))
    assert first.entry == again.entry
    assert first.entry is not None
    other = make_shard(replace(context, plan=replace(context.plan, seed=1)), shard(context))
    assert other.entry is not None
    assert first.entry.sha256 != other.entry.sha256  # so equality says something


def raising(member: int, error: Exception) -> Any:
    whole = Member.stream

    def stream(self: Member, purpose: Any, *more: int) -> Any:
        if self.index == member and purpose == "init":
            raise error
        return whole(self, purpose, *more)

    return stream


def test_a_member_that_raises_is_named(context: Context, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Member, "stream", raising(7, ValueError("too much")))
    receipt = make_shard(context, shard(context))
    assert receipt.status == "failed"
    assert receipt.error is not None
    assert "member 7 " in receipt.error
    assert "too much" in receipt.error
    assert receipt.entry is None
    assert "part-00000.parquet" not in files(context)


def test_an_error_nobody_foresaw_is_recorded(context: Context, monkeypatch: pytest.MonkeyPatch):
    class StrangeError(Exception):
        pass

    monkeypatch.setattr(Member, "stream", raising(7, StrangeError("what is this")))
    receipt = make_shard(context, shard(context))
    assert receipt.status == "failed"
    assert receipt.error is not None
    assert "12 members: 0, 1" in receipt.error
    assert "StrangeError: what is this" in receipt.error
    assert receipt.trace is not None
    assert "Traceback" in receipt.trace


def other_platform(plan: Plan) -> Plan:
    return replace(plan, platform=replace(plan.platform, torch="1.0"))


def test_another_platform_refuses(context: Context):
    receipt = make_shard(replace(context, plan=other_platform(context.plan)), shard(context))
    assert receipt.status == "failed"
    assert receipt.error is not None
    assert "torch: '1.0'" in receipt.error
    assert "--mixed-platforms" in receipt.error


def test_another_platform_that_is_allowed_is_recorded(context: Context):
    mixed = replace(context, plan=other_platform(context.plan), mixed_platforms=True)
    receipt = make_shard(mixed, shard(context))
    assert receipt.status == "made"
    assert [d.split(":")[0] for d in receipt.platform_differs] == ["torch"]
    assert receipt.entry is not None
    assert receipt.entry.platform is not None


def test_other_images_are_refused(context: Context):
    data = {**context.plan.data, "content_hash": "0" * 64}
    receipt = make_shard(replace(context, plan=replace(context.plan, data=data)), shard(context))
    assert receipt.error is not None
    assert "are not those of the plan" in receipt.error
    assert "--data-dir" in receipt.error


def test_a_run_that_lost_the_zoo_stops(context: Context):
    receipt = make_shard(replace(context, run="a run that is over"), shard(context))
    assert receipt.error is not None
    assert "another run has taken over" in receipt.error
    assert "part-00000.parquet" not in files(context)


def test_attempts_are_counted_for_each_run(context: Context):
    store, spec = open_store(context.out), shard(context)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert begin_attempt(store, "test", spec) == attempt
    with pytest.raises(ZooError, match=r"died 3 times .*12 members: 0, 1, 2"):
        begin_attempt(store, "test", spec)
    assert begin_attempt(store, "another run", spec) == 1
    receipt = make_shard(context, spec)  # the same label: this is the fourth attempt
    assert receipt.status == "failed"
    end_attempts(store, "test", replace(receipt, attempt=MAX_ATTEMPTS))
    assert make_shard(context, spec).status == "made"


def test_a_shard_that_is_there_is_not_trained_again(
    context: Context, monkeypatch: pytest.MonkeyPatch
):
    first = make_shard(context, shard(context))
    monkeypatch.setattr(Member, "stream", raising(7, ValueError("it was trained")))
    again = make_shard(context, shard(context))  # as after a death between shard and receipt
    assert (again.status, again.attempt, again.entry) == ("made", 2, first.entry)


def test_long_lists_of_members_are_cut():
    spec = ShardSpec(number=0, groups=(tuple(range(40)),))
    assert name_members(spec) == "40 members: 0, 1, 2, 3, 4, 5, 6, 7, …, 38, 39"


def test_the_job_of_a_plan_is_that_of_its_recipe(context: Context):
    job = job_of_plan(context.plan, data_dir=None, download=False)
    assert job.architecture.content_id == context.plan.architecture
    assert getattr(job, "epochs", None) == context.plan.epochs
    assert getattr(job, "checkpoints", None) == context.plan.checkpoints
