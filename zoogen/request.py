"""From flags to a request: the recipe that was meant, checked, and where its zoo lies.

Pure: looks at no data, no machine and no folder, and loads no heavy library.
"""

from dataclasses import dataclass
from pathlib import Path

from zoogen.archs import arch_family
from zoogen.errors import PlanError
from zoogen.images.catalog import IMAGE_SETS
from zoogen.options import Options
from zoogen.overrides import override
from zoogen.recipes import QUICK, SINE, Recipe, recipe_for
from zoogen.train.engines import ENGINES

PROBE = "probe"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Request:
    """What a command line asks for."""

    dataset: str
    arch: str
    recipe: Recipe
    """Overrides included."""
    grows: bool
    """`--members` was given: a zoo that has fewer is continued."""
    seed: int
    out: str
    data_dir: Path | None
    download: bool
    engine: str | None
    """The one that was named; None: as an existing plan says, else by rule."""
    probe: bool
    """A new zoo's engine is chosen by measuring."""
    threads: int
    local: bool
    address: str | None
    nodes: int | None
    """Asked of a cluster's autoscaler; without a cluster, what an estimate is for."""
    workers: int | None
    """None: as many as there are cores or GPUs."""
    lock: bool
    mixed_platforms: bool
    hint: str | None
    """For a command without --recipe: the flag that makes it short."""


def make_request(options: Options) -> Request:
    """The request that these flags mean.

    Raises:
        PlanError: an unknown name, or values that no zoo can have; the sentence lists the names.
    """
    zoo = options.zoo
    _check_names(zoo.dataset, zoo.arch, options.execution.engine)
    recipe = recipe_for(zoo.arch, zoo.dataset, zoo.recipe)
    changed = override(
        recipe,
        members=zoo.members,
        epochs=options.schedule.epochs,
        checkpoints=options.checkpoints,
        draws=options.distributions.given(),
    )
    label = QUICK if recipe.name.startswith(QUICK) else recipe.name
    work, storage = options.execution, options.storage
    return Request(
        dataset=zoo.dataset,
        arch=zoo.arch,
        recipe=changed,
        grows=zoo.members is not None,
        seed=zoo.seed,
        out=storage.out or f"zoos/{zoo.dataset}-{zoo.arch}-{label}-seed{zoo.seed}",
        data_dir=storage.data_dir,
        download=storage.download,
        engine=None if work.engine == PROBE else work.engine,
        probe=work.engine == PROBE,
        threads=work.threads,
        local=work.local,
        address=work.address,
        nodes=work.nodes,
        workers=work.workers,
        lock=options.safety.lock,
        mixed_platforms=options.safety.mixed_platforms,
        hint=_hint(zoo.arch, zoo.dataset, recipe) if zoo.recipe is None else None,
    )


def _check_names(dataset: str, arch: str, engine: str | None) -> None:
    arch_family(arch)
    names = [*IMAGE_SETS, SINE]
    if dataset not in names:
        raise PlanError(f"no data set {dataset!r}; there are: {', '.join(names)}")
    if engine is not None and engine not in (*ENGINES, PROBE):
        raise PlanError(f"no engine {engine!r}; there are: {', '.join([*ENGINES, PROBE])}")


def _hint(arch: str, dataset: str, published: Recipe) -> str | None:
    if recipe_for(arch, dataset, QUICK).name == published.name:
        return None
    return f"--recipe {QUICK} makes a smaller zoo in minutes"
