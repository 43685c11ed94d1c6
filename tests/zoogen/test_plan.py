"""Plans: what they hold, how they cut members into groups and shards, and how a zoo continues."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_zoo import OTHER_PLATFORM, image_plan, sine_plan

from zoogen.continuation import diff, extension, read_plans, refuse_other, write_plan
from zoogen.errors import PlanError, ShardError
from zoogen.grouping import (
    BLOCK,
    Cost,
    ShardRule,
    ShardSpec,
    blocks,
    group_limit,
    groups_of_block,
    shards_of_block,
)
from zoogen.members import Member
from zoogen.plan import Plan, member_cost
from zoogen.planning import config_columns
from zoogen.recipe import to_json as recipe_to_json
from zoogen.recipes import recipe_for
from zoogen.store import open_store

FREE = Cost(bytes=0, core_seconds=0.0)


def test_a_plan_survives_json_text() -> None:
    for plan in (image_plan(), sine_plan()):
        assert Plan.from_json(json.loads(plan.text)) == plan


def test_the_text_is_canonical_and_says_what_the_zoo_is() -> None:
    plan = image_plan(members=6)
    value = json.loads(plan.text)
    assert plan.text == json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert value["format"] == 1
    assert value["members"] == {"first": 0, "stop": 6}
    assert value["data"]["content_hash"] == "00"
    assert value["shares"] == {"train": 4, "val": 1, "test": 5}
    assert value["platform"]["engine"] == "loop"
    assert value["recipe"]["name"] == "quick-arch1"
    assert value["config_columns"]["learning_rate"] == "float"


def test_the_text_is_the_same_in_another_process_and_folder(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from tiny_zoo import image_plan; print(image_plan().text, end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == image_plan().text
    assert image_plan(members=7).text != done.stdout


def test_the_recipe_comes_back_but_for_its_prose() -> None:
    plan = image_plan(members=6, draws={"dropout": "0"})
    recipe = plan.recipe_object()
    assert recipe.members == 6
    assert recipe_to_json(recipe)["draws"]["dropout"] == {"kind": "constant", "value": 0.0}
    assert recipe == replace(recipe, summary="", expected="")


def test_members_are_drawn_alike_from_recipe_and_plan() -> None:
    from zoogen.members import draw_member

    plan = image_plan()
    published = recipe_for("arch1", "digits", "quick")
    again = Plan.from_json(json.loads(plan.text))
    for index, member in zip((5, 2_000), again.draw((5, 2_000)), strict=True):
        fresh = draw_member(published, zoo_seed=3, index=index, dataset="digits", arch="arch1")
        assert (member.seed, member.split) == (fresh.seed, fresh.split)
        drawn = {k: v for k, v in fresh.config.items() if k != "epochs"}
        assert drawn == {k: v for k, v in member.config.items() if k != "epochs"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stop": 0}, "needs members, got 0 up to 0"),
        ({"group_size": 0}, "at least one member"),
        ({"checkpoints": (3, 1)}, "ascending epochs"),
        ({"checkpoints": (1, 99)}, "outside 0 … 3 epochs"),
        ({"shares": (4, 1, 6)}, "add up to 10"),
    ],
)
def test_a_plan_refuses_what_cannot_be_made(change: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        replace(image_plan(), **change)


def test_config_columns_take_the_type_of_all_values() -> None:
    def member(**config: str | float | bool) -> Member:
        return Member(index=0, seed=1, split="test", config=config)

    found = config_columns([member(a=1, b=True, c="x"), member(a=0.5, b=False, c="y")])
    assert found == {"a": "float", "b": "bool", "c": "string"}
    with pytest.raises(PlanError, match="config 'a' mixes"):
        config_columns([member(a=1), member(a="x")])


# --- groups and shards


@given(
    first=st.integers(0, 3 * BLOCK),
    count=st.integers(1, 2 * BLOCK),
    kinds=st.integers(1, 5),
    group=st.integers(1, 40),
    rule=st.builds(
        ShardRule,
        members=st.integers(1, 40),
        bytes=st.integers(1, 10_000),
        core_seconds=st.floats(1.0, 1_000.0),
    ),
)
@settings(max_examples=60, deadline=None)
def test_groups_and_shards_partition_the_members(
    first: int, count: int, kinds: int, group: int, rule: ShardRule
) -> None:
    """Each member once, kinds unmixed, no block crossed, no limit passed that can be kept."""

    def kind(index: int) -> int:
        return index * 2_654_435_761 % 2**32 % kinds

    def cost(index: int) -> Cost:
        return Cost(bytes=100 * (1 + kind(index)), core_seconds=7.5 * (1 + kind(index)))

    seen: list[int] = []
    number = 0
    for block in blocks(first, first + count):
        assert len({i // BLOCK for i in block}) == 1
        found = groups_of_block(
            {i: kind(i) for i in block},
            limit=lambda k: group_limit(
                Cost(bytes=100 * (1 + k), core_seconds=7.5 * (1 + k)), group_size=group, rule=rule
            ),
        )
        for spec in shards_of_block(found, cost=cost, rule=rule, first_number=number):
            assert spec.number == number
            number += 1
            seen += spec.members
            assert all(len({kind(i) for i in g}) == 1 and list(g) == sorted(g) for g in spec.groups)
            assert all(len(g) <= group for g in spec.groups)
            costs = [cost(i) for i in spec.members]
            alone = len(costs) == 1
            assert alone or len(costs) <= rule.members
            assert alone or sum(c.bytes for c in costs) <= rule.bytes
            assert alone or sum(c.core_seconds for c in costs) <= rule.core_seconds + 1e-6
    assert sorted(seen) == list(range(first, first + count))


def test_a_shard_is_closed_by_each_limit_in_turn() -> None:
    groups = ((0, 1), (2, 3), (4, 5), (6,))

    def sizes(rule: ShardRule, cost: Cost = FREE) -> list[int]:
        found = shards_of_block(groups, cost=lambda _: cost, rule=rule, first_number=0)
        return [len(spec.members) for spec in found]

    assert sizes(ShardRule()) == [7]
    assert sizes(ShardRule(members=4)) == [4, 3]
    assert sizes(ShardRule(members=5)) == [4, 3]
    assert sizes(ShardRule(bytes=399), Cost(bytes=100, core_seconds=0.0)) == [2, 2, 3]
    assert sizes(ShardRule(core_seconds=40.0), Cost(bytes=0, core_seconds=10.0)) == [4, 3]


def test_a_group_is_cut_smaller_when_it_alone_would_pass_a_limit() -> None:
    rule = ShardRule(members=32, bytes=1_000, core_seconds=600.0)
    assert group_limit(FREE, group_size=16, rule=rule) == 16
    assert group_limit(FREE, group_size=100, rule=rule) == 32
    assert group_limit(Cost(bytes=300, core_seconds=0.0), group_size=16, rule=rule) == 3
    assert group_limit(Cost(bytes=0, core_seconds=250.0), group_size=16, rule=rule) == 2
    assert group_limit(Cost(bytes=5_000, core_seconds=9_999.0), group_size=16, rule=rule) == 1


def test_members_of_a_shard_are_a_set_not_a_range() -> None:
    spec = ShardSpec(number=12, groups=((4, 9), (5, 6)))
    assert spec.members == (4, 5, 6, 9)
    assert spec.name == "shards/part-00012.parquet"


def test_shards_of_a_plan_hold_members_of_one_kind_each_group() -> None:
    plan = image_plan(members=60, group_size=8)
    specs = list(plan.shards())
    assert sorted(i for s in specs for i in s.members) == list(range(60))
    fractions = {m.index: m.config["train_fraction"] for m in plan.draw(range(60))}
    assert plan.fractions(range(60)) == fractions
    assert set(fractions.values()) == {0.5, 1.0}
    assert all(len({fractions[i] for i in g}) == 1 for g in plan.groups())
    assert plan.shard_count() == len(specs) == 60 // 32 + 1


def test_shards_depend_on_the_plan_alone() -> None:
    plan = image_plan(members=BLOCK + 40, group_size=16)
    whole = list(plan.shards())
    assert whole == list(Plan.from_json(json.loads(plan.text)).shards())
    assert whole == list(replace(plan, platform=OTHER_PLATFORM).shards())
    assert whole != list(replace(plan, group_size=8).shards())
    # More members leave the shards of full blocks as they are.
    longer = list(replace(plan, stop=BLOCK + 200).shards())
    full = [spec for spec in whole if spec.members[-1] < BLOCK]
    assert full == longer[: len(full)]


def test_signals_get_larger_shards() -> None:
    sizes = [len(spec.members) for spec in sine_plan(members=300, group_size=64).shards()]
    assert sizes == [128, 128, 44]


def test_the_time_limit_makes_shards_of_slow_members_small() -> None:
    plan = replace(image_plan(members=64, group_size=16), member_core_seconds=100.0)
    for spec in plan.shards():
        fractions = plan.fractions(spec.members).values()
        seconds = sum(member_cost(plan, fraction).core_seconds for fraction in fractions)
        assert seconds <= 600
    assert plan.shard_count() >= ceil(64 * 75 / 600)


def test_a_billion_members_are_planned_block_by_block() -> None:
    plan = image_plan(members=10**9, group_size=16)
    assert len(plan.text) < 6_000
    first = list(islice(plan.shards(), 3))
    assert first == list(islice(image_plan(members=BLOCK, group_size=16).shards(), 3))


# --- files and continuation


def test_plans_are_written_once_and_read_back(tmp_path: Path) -> None:
    store = open_store(tmp_path / "zoo")
    assert read_plans(store) == ()
    plan = image_plan()
    write_plan(store, plan)
    write_plan(store, plan)  # the same again is no change
    with pytest.raises(PlanError, match=r"already has another plan\.json"):
        write_plan(store, image_plan(members=9))
    assert read_plans(store) == (plan,)


def test_more_members_extend_a_zoo(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    first = image_plan(members=6)
    write_plan(store, first)
    second = extension([first], image_plan(members=10, group_size=3, platform=OTHER_PLATFORM))
    assert second is not None
    assert (second.name, second.first, second.stop) == ("plan-0001.json", 6, 10)
    assert second.first_part == first.shard_count()
    assert sorted(i for s in second.shards() for i in s.members) == [6, 7, 8, 9]
    write_plan(store, second)
    third = extension([first, second], image_plan(members=11))
    assert third is not None
    assert (third.name, third.first) == ("plan-0002.json", 10)
    assert extension([first, second], image_plan(members=10)) is None
    assert read_plans(store) == (first, second)


def test_two_steps_draw_the_members_of_one_step() -> None:
    at_once = image_plan(members=10)
    second = extension([image_plan(members=6)], at_once)
    assert second is not None
    for a, b in zip(second.draw(range(6, 10)), at_once.draw(range(6, 10)), strict=True):
        assert (a.index, a.seed, a.split, a.config) == (b.index, b.seed, b.split, b.config)


def test_fewer_members_are_refused() -> None:
    with pytest.raises(PlanError, match="planned with 6 members and 5 were asked for"):
        extension([image_plan(members=6)], image_plan(members=5))


def test_another_recipe_is_refused_field_by_field() -> None:
    here = image_plan()
    there = replace(image_plan(draws={"dropout": "0"}), seed=4)
    with pytest.raises(PlanError) as caught:
        refuse_other(here, there)
    text = str(caught.value)
    assert "seed: 3 in the zoo, 4 asked for" in text
    assert "recipe.draws.dropout.kind: 'uniform' in the zoo, 'constant' asked for" in text
    assert "recipe_hash" not in text
    assert "only more --members continues a zoo" in text


def test_what_may_differ_is_not_shown_as_a_difference() -> None:
    here = image_plan(members=6)
    refuse_other(here, image_plan(members=60, group_size=5, platform=OTHER_PLATFORM))
    other_files = replace(here, data={**here.data, "source": "parquet"})
    assert diff(here, other_files) == ()
    assert diff(here, replace(here, data={**here.data, "content_hash": "01"})) == (
        ("data.content_hash", "00", "01"),
    )


def test_a_plan_of_another_format_is_refused(tmp_path: Path) -> None:
    value = {**image_plan().to_json(), "format": 2}
    (tmp_path / "plan.json").write_text(json.dumps(value))
    with pytest.raises(ShardError, match=r"plan\.json: zoo format 2; .* reads 1"):
        read_plans(open_store(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "no JSON"), ('{"format": 1}', "lacks or misuses a field")],
)
def test_a_broken_plan_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ShardError, match=message):
        read_plans(open_store(tmp_path))


def test_an_extension_of_another_plan_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    second = extension([image_plan(members=6)], image_plan(members=10))
    assert second is not None
    write_plan(store, image_plan(members=6, draws={"dropout": "0"}))
    write_plan(store, second)
    with pytest.raises(ShardError, match=r"plan-0001\.json does not extend plan\.json"):
        read_plans(store)


def test_a_million_signals_are_planned_without_a_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members of one kind are grouped by their number alone: seconds, where draws take a minute."""

    def refuse(*_: object) -> None:
        raise AssertionError("a member was drawn")

    plan = sine_plan(members=1_000_000, group_size=16)
    monkeypatch.setattr("zoogen.members.stream", refuse)
    assert plan.shard_count() == 976 * 8 + 5
    with pytest.raises(AssertionError, match="was drawn"):
        image_plan(members=100).shard_count()
