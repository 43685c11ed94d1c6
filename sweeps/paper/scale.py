"""How much of the paper is done: its own scale, a workstation's day, a laptop's hour.

A scale says which zoos are made and how models are trained; what the laptop's hour leaves room for
is computed in `sweeps.paper.fit`. The budgets stand here and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sweeps.budgets import RECIPES as ABLATIONS
from sweeps.errors import PlanError
from sweeps.paper.declared import Artefact, Need
from zoogen.archs import ARCHS
from zoogen.errors import ZooError
from zoogen.images.catalog import IMAGE_SETS
from zoogen.recipe import SINE, Recipe
from zoogen.recipes import QUICK, recipe_for

Kind = Literal["cnn", "inr"]
LEAST_MEMBERS = 60
"""Of a zoo that the laptop's scale makes, or takes as it finds it."""
TRAINING_RECIPES: Mapping[str, str] = {"arch2": "sne2024-arch2-train"}
"""Where an architecture's published zoo is all for testing: the one to train on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A budget."""

    name: str
    summary: str
    seeds: tuple[int, ...]
    epochs: int
    """At most; of a scale without minutes, exactly."""
    minutes: int | None = None
    """Members and epochs are as many as fit; None: as they stand here."""
    recipes: Mapping[Kind, str] = field(default_factory=dict[Kind, str])
    """Of zoos; those left out: the published ones."""
    members: Mapping[Kind, int] = field(default_factory=dict[Kind, int])
    """Of each zoo; with minutes, at most. Those left out: as the recipe says."""
    settings: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict[Kind, tuple[str, ...]])
    """As `--set` takes them, of all lines."""
    sne: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict[Kind, tuple[str, ...]])
    """As `--set` takes them, of SNE alone."""
    small: tuple[str, ...] = ()
    """Of SNE where an artefact is small: what many trainings of it leave room for."""

    def settings_of(self, artefact: Artefact, model: str) -> tuple[str, ...]:
        """Of an artefact's lines of one model."""
        found = self.settings.get(artefact.kind, ())
        if model != "sne":
            return found
        own = self.sne.get(artefact.kind, ())
        return (*found, *own, *self.small) if artefact.small else (*found, *own)

    def seeds_of(self, artefact: Artefact) -> tuple[int, ...]:
        """One, where the paper has one."""
        return self.seeds[:1] if artefact.once else self.seeds


SCALES: Mapping[str, Scale] = {
    "paper": Scale(
        name="paper",
        summary="the published zoos, 300 epochs, batches of 64, three seeds; for a cluster",
        seeds=(0, 1, 2),
        epochs=300,
    ),
    "workstation": Scale(
        name="workstation",
        summary="quick zoos of 3,000 classifiers or the published 1,000 INRs, 300 epochs, two "
        "seeds; meant for one GPU of 11 GB and a day",
        seeds=(0, 1),
        epochs=300,
        recipes={"cnn": QUICK},
        members={"cnn": 3_000},
        settings={
            "cnn": ("training.batch=16",),
            "inr": ("training.batch=16",),
        },
    ),
    "laptop": Scale(
        name="laptop",
        summary="quick zoos of at least 60 networks, one seed, as many members and epochs as two "
        "cores have room for in an hour, zoos included",
        seeds=(0,),
        epochs=300,
        minutes=60,
        recipes={"cnn": QUICK, "inr": QUICK},
        members={"cnn": 200, "inr": 1_000},
        settings={
            "cnn": ("training.batch=8",),
            "inr": ("training.batch=16",),
        },
        sne={"inr": ("symmetry.invariance_share=0.25",)},
        small=ABLATIONS["quick"].settings,
    ),
}
"""By name."""


def scale_named(name: str) -> Scale:
    """The scale of that name (PlanError: there is none; lists those there are)."""
    if name not in SCALES:
        raise PlanError(f"no scale {name!r}; there are: {', '.join(SCALES)}")
    return SCALES[name]


def lacking(need: Need) -> str | None:
    """Why this version cannot make a zoo; None if it can."""
    if need.arch not in ARCHS:
        return f"architecture {need.arch}"
    if need.dataset not in (*IMAGE_SETS, SINE):
        return f"data set {need.dataset}"
    try:
        recipe_for(need.arch, need.dataset, None)
    except ZooError:
        return f"a recipe for {need}"
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A zoo as it would be made."""

    need: Need
    names: tuple[str, ...]
    """Folders that will do, the first of which is the one that it is made in."""
    flags: tuple[str, ...]
    """Of `python -m zoogen.run`, but for --out."""
    members: int
    least: int
    """Members that a zoo that is found must have."""
    shares: tuple[int, int, int]
    """Of train, val and test among 10."""
    core_seconds: float
    """Estimated, of one core, by the recipe's own figure."""


def zoo_recipe(need: Need, scale: Scale, kind: Kind) -> Recipe:
    """The recipe of a zoo at a scale, its members aside.

    Raises:
        ZooError: this version has none.
    """
    name = scale.recipes.get(kind)
    if name is None and need.use == "train":
        name = TRAINING_RECIPES.get(need.arch)
    return recipe_for(need.arch, need.dataset, name)


def order_of(need: Need, scale: Scale, artefact: Artefact, members: int | None = None) -> Order:
    """How a zoo is made at a scale.

    Args:
        need: the zoo.
        scale: the budget.
        artefact: what it is for; one with parts of zoos wants each of its own size.
        members: of the whole zoo; None: as the scale or the recipe says.

    Raises:
        ZooError: this version has no recipe for it.
    """
    recipe = zoo_recipe(need, scale, artefact.kind)
    label = QUICK if recipe.name.startswith(QUICK) else recipe.name
    whole = members or scale.members.get(artefact.kind) or recipe.members
    count = max(1, whole // need.part)
    stem = f"{need.dataset}-{need.arch}"
    flags = ["--dataset", need.dataset, "--arch", need.arch, "--recipe", label]
    usual = count == recipe.members
    if not usual:
        flags += ["--members", str(count)]
    sized = f"{stem}-{label}-seed0" if usual else f"{stem}-{label}-{count}-seed0"
    fits = scale.minutes is not None and not artefact.sized
    names = (f"{stem}-{scale.name}-seed0", f"{stem}-{label}-seed0") if fits else (sized,)
    return Order(
        need=need,
        names=names,
        flags=tuple(flags),
        members=count,
        least=LEAST_MEMBERS if fits else count,
        shares=(recipe.shares.train, recipe.shares.val, recipe.shares.test),
        core_seconds=count * recipe.member_core_seconds,
    )
