"""The plan files of a zoo: written once, read back, compared, and continued with more members."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoogen.errors import PlanError, ShardError
from zoogen.json_text import parse_json
from zoogen.plan import Plan, plan_name
from zoogen.store import Store


def write_plan(store: Store, plan: Plan) -> None:
    """Write a plan's file, which is never changed afterwards.

    Raises:
        PlanError: another plan stands there already.
    """
    data = plan.text.encode()
    if not store.put_new(plan.name, data) and store.read(plan.name) != data:
        raise PlanError(f"{store.uri} already has another {plan.name}: choose another --out")


def read_plans(store: Store) -> tuple[Plan, ...]:
    """The plans of a zoo, oldest first; empty if there is no zoo.

    Raises:
        ShardError: a plan that is no JSON, of another version, or that does not follow the one
            before it.
    """
    plans: list[Plan] = []
    while store.exists(plan_name(len(plans))):
        plan = _read_plan(store, plan_name(len(plans)))
        if plans and (plan.first != plans[-1].stop or plan.previous != plans[-1].content_hash):
            raise ShardError(f"{store.uri}/{plan.name} does not extend {plans[-1].name}")
        plans.append(plan)
    return tuple(plans)


def extension(plans: Sequence[Plan], wanted: Plan) -> Plan | None:
    """The plan for the members that a zoo lacks; None if it has those of `wanted` already.

    The new plan keeps its own platform and group size; everything else must agree.

    Args:
        plans: those of the zoo, from `read_plans`.
        wanted: a plan from member 0 up to the number asked for.

    Raises:
        PlanError: another recipe, data, architecture or seed, named field by field; fewer members.
    """
    last = plans[-1]
    refuse_other(plans[0], wanted)
    if wanted.stop < last.stop:
        raise PlanError(
            f"the zoo is planned with {last.stop} members and {wanted.stop} were asked for: a zoo "
            f"only grows, so ask for at least {last.stop} or choose another --out"
        )
    if wanted.stop == last.stop:
        return None
    return replace(
        wanted,
        number=last.number + 1,
        first=last.stop,
        first_part=last.first_part + last.shard_count(),
        previous=last.content_hash,
        config_columns=last.config_columns,
    )


# Extensions have these of their own, and equal images may come from other files. Whether another
# platform may go on is asked of `platforms.differences`.
_OWN_FIELDS = (
    "number",
    "previous",
    "members",
    "platform",
    "groups",
    "shards.first_part",
    "data.source",
)


def diff(a: Plan, b: Plan) -> tuple[tuple[str, Any, Any], ...]:
    """The fields in which two plans are not of one zoo: (dotted name, value in a, value in b)."""
    ours, theirs = dict(_flat(a.to_json())), dict(_flat(b.to_json()))
    return tuple(
        (name, ours.get(name), theirs.get(name))
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
        and not any(name == own or name.startswith(f"{own}.") for own in _OWN_FIELDS)
    )


def refuse_other(existing: Plan, wanted: Plan) -> None:
    """Stop a run that would continue a zoo as something else.

    Raises:
        PlanError: the plans differ; each field is shown with both values.
    """
    found = [d for d in diff(existing, wanted) if d[0] != "recipe_hash"]
    if found:
        lines = "".join(f"\n  {name}: {a!r} in the zoo, {b!r} asked for" for name, a, b in found)
        raise PlanError(
            "the zoo was planned differently, and only more --members continues a zoo; "
            f"choose another --out or ask for the same:{lines}"
        )


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value


def _read_plan(store: Store, name: str) -> Plan:
    try:
        return Plan.from_json(parse_json(store.read(name)))
    except ValueError as error:
        raise ShardError(f"{store.uri}/{name} is no JSON: {error}") from error
    except ShardError as error:
        raise ShardError(f"{store.uri}/{name}: {error}") from error
