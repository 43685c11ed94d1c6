"""What an ablation may cost: recipes, each one value, and the zoo that each is run on.

The quick recipe's numbers are to be the smallest at which the full model has clearly left the floor
with all seeds, on two cores within an hour; they are changed here and nowhere else.
"""

import logging
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.errors import PlanError, SweepError
from sweeps.factors import FACTORS, PAPER
from zoogen.cache import cache_root

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A budget, and what it is spent on."""

    summary: str
    factors: tuple[str, ...]
    """Tables, of FACTORS."""
    zoo_flags: tuple[str, ...]
    """Of `python -m zoogen.run`, for the zoo that is made where none is named."""
    zoo_name: str
    """Its folder in the cache."""
    epochs: int
    seeds: tuple[int, ...]
    settings: tuple[str, ...] = ()
    """As --set takes them: the unchanged model's, where it is smaller than the paper's."""


SINE = ("--dataset", "sine", "--arch", "siren")
RECIPES: Mapping[str, Recipe] = {
    "quick": Recipe(
        summary="all four tables on 1,000 quick SIRENs; within an hour on two cores",
        factors=tuple(FACTORS),
        zoo_flags=(*SINE, "--recipe", "quick", "--members", "1000"),
        zoo_name="sine-siren-quick-1000-seed0",
        epochs=30,
        seeds=(0, 1),
        settings=(
            "sne.width=32",
            "sne.sabs=2",
            "sne.chunk_sabs=2",
            "training.batch=16",
            "optimizer.clip_norm=1.0",
            "symmetry.invariance_share=0.25",
        ),
    ),
    "paper": Recipe(
        summary="Tables 6 and 7 in full: 300 epochs, three seeds; for a GPU",
        factors=PAPER,
        zoo_flags=SINE,
        zoo_name="sine-siren-sine-f-seed0",
        epochs=300,
        seeds=(0, 1, 2),
    ),
}
"""By name."""


def recipe_named(name: str) -> Recipe:
    """The recipe of that name (PlanError: there is none; lists those there are)."""
    if name not in RECIPES:
        raise PlanError(f"no recipe {name!r}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]


def cached_zoo(recipe: Recipe) -> str:
    """The recipe's zoo, made by `python -m zoogen.run` where the cache does not hold it whole.

    Raises:
        SweepError: it could not be made.
    """
    folder = cache_root() / "zoos" / recipe.zoo_name
    if (folder / "manifest.json").exists():
        return str(folder)
    command = [sys.executable, "-m", "zoogen.run", *recipe.zoo_flags, "--out", str(folder)]
    log.info("making the zoo: python -m zoogen.run %s", " ".join(recipe.zoo_flags))
    # Its figures are no result of this command.
    done = subprocess.run([*command, "--local"], stdout=sys.stderr, check=False)
    if done.returncode:
        raise SweepError(f"the zoo could not be made (exit code {done.returncode}): see above")
    return str(folder)
