"""What an export says of its zoo: where networks and images come from, and their licences."""

from collections.abc import Iterator
from typing import Any

from zoogen.importers.about import About
from zoogen.plan import Plan
from zoogen.reader import Zoo


def provenance(zoo: Zoo) -> Iterator[tuple[str, str]]:
    """(what, text) in the order of reading."""
    plan = zoo.plan
    yield "networks", f"{len(zoo):,} of {plan.family}, {len(zoo.architectures)} architecture(s)"
    yield "made by", made_by(plan)
    yield "licence of the networks", network_licence(plan) or "not chosen: the publisher decides"
    yield "trained on", trained_on(plan.data)
    yield "licence of what they were trained on", str(plan.data.get("licence", "not stated"))
    yield "SHA-256 of the zoo's plan", plan.content_hash


def made_by(plan: Plan) -> str:
    """The recipe, or what was converted."""
    if plan.origin is None:
        return f"zoogen, recipe {plan.recipe['name']}, seed {plan.seed}"
    origin = plan.origin
    return f"{origin.credit}; converted from {origin.format} (SHA-256 {origin.content_hash})"


def network_licence(plan: Plan) -> str | None:
    """Of a converted zoo, where its source publishes one."""
    if plan.origin is None or plan.origin.licence.startswith("not stated"):
        return None
    return plan.origin.licence


def about_of(zoo: Zoo) -> About:
    """The same for `zoo.json`."""
    plan = zoo.plan
    return About(
        credit=made_by(plan) if plan.origin is None else plan.origin.credit,
        licence=network_licence(plan),
        kind=plan.kind,
        data=plan.data,
    )


def trained_on(data: Any) -> str:
    """The images or signals in a few words."""
    if "train_size" in data:
        sizes = f"{data['train_size']:,} training and {data['test_size']:,} test images"
        return f"{data['name']} ({sizes})"
    return str(data["name"])


def readme(zoo: Zoo, *, title: str, text: str) -> str:
    """A short README.md: what the files are, and the provenance."""
    facts = "\n".join(f"- {what}: {said}" for what, said in provenance(zoo))
    return f"# {title}\n\n{text}\n\n{facts}\n"
