"""A search as a value: what is varied around which training, how often, who is stopped early."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from sweeps.halving import Course, Halving
from sweeps.perform import run_folder
from sweeps.space import Space, apply
from sweeps.study import losses_before
from sweeps.trial import Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What is searched."""

    base: Trial
    """With the settings that are not varied."""
    space: Space
    halving: Halving | None
    """None: every trial has all its epochs."""
    samples: int
    seed: int

    def make(self, found: Mapping[str, Any]) -> Trial:
        """The trial of these settings."""
        return replace(self.base, config=apply(self.base.config, found))

    @property
    def about(self) -> dict[str, Any]:
        """What makes it the search it is; more samples continue it."""
        halving = None if self.halving is None else (self.halving.grace, self.halving.factor)
        ranges = {name: getattr(self.space, name) for name in Space.__slots__}
        return {"base": self.base.hash, "space": ranges, "halving": halving, "seed": self.seed}

    def course(self, study: Study) -> Course:
        """Who is stopped, with the losses that the study knows of earlier calls."""
        return Course(self.halving, losses_before(study))


def clear_stopped(study: Study, search: Search, folder: Path) -> None:
    """Remove the runs of trials that were stopped early: nothing goes on from them."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)):
        shutil.rmtree(run_folder(folder, search.make(trial.params)), ignore_errors=True)
