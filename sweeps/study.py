"""A search's memory: an Optuna study in the file `optuna.db`, which `optuna-dashboard` opens.

The file is SQLite and is read as data; nothing in it is unpickled. Trials that were running when a
driver was killed are marked as failed and proposed again first, with the same settings: they have
the same hash, so they go on where they stood.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sweeps.errors import PlanError

FILE = "optuna.db"
NAME = "search"
ABOUT = "search"
"""Attribute of the study that says what is searched."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class TrialSeededSampler(BaseSampler):
    """TPE whose draws follow from (seed, trial number) and what is known by then, no hidden state.

    A sampler of Optuna's own starts anew with each process: with a fixed seed a search that goes
    on would propose its first settings again.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def _for(self, trial: FrozenTrial, name: str = "") -> TPESampler:
        # Each setting has a stream of its own, so two with equal ranges differ.
        entropy = (self._seed, trial.number, zlib.crc32(name.encode()))
        return TPESampler(seed=int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See `BaseSampler`."""
        return self._for(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `BaseSampler`."""
        return self._for(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See `BaseSampler`."""
        sampler = self._for(trial, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def storage_of(folder: Path) -> RDBStorage:
    """The file of a search."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return RDBStorage(f"sqlite:///{folder / FILE}")


def open_study(storage: RDBStorage, *, seed: int, about: Mapping[str, Any]) -> Study:
    """The study of a folder, made or found; trials left running are proposed again.

    Args:
        storage: of `storage_of`.
        seed: of the proposals.
        about: what is searched; plain values.

    Raises:
        PlanError: the folder holds another search.
    """
    study = optuna.create_study(
        storage=storage,
        sampler=TrialSeededSampler(seed),
        study_name=NAME,
        direction="minimize",
        load_if_exists=True,
    )
    text = json.dumps(about, sort_keys=True)
    known = study.user_attrs.get(ABOUT)
    if known is None:
        study.set_user_attr(ABOUT, text)
    elif known != text:
        raise PlanError(f"the folder holds another search ({known}, now {text}): choose --out")
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.enqueue_trial(trial.params)
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def proposals_left(study: Study, samples: int) -> int:
    """How many trials a search of so many still has to run, those proposed again included."""
    trials = study.get_trials(deepcopy=False)
    waiting = sum(trial.state == TrialState.WAITING for trial in trials)
    settled = {json.dumps(t.params, sort_keys=True) for t in trials if t.state in FINISHED}
    return max(0, samples - len(settled)) + waiting


def losses_before(study: Study) -> Iterator[Mapping[int, float]]:
    """Losses by epoch of the trials that were done or stopped, for `halving.Course`."""
    for trial in study.get_trials(deepcopy=False):
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            yield trial.intermediate_values


def outcome(*, loss: float | None, failed: bool, stopped: bool) -> tuple[TrialState, float | None]:
    """How a trial is told to the study."""
    if failed or (loss is None and not stopped):
        return TrialState.FAIL, None
    # Of one that was stopped Optuna takes the last loss by epoch.
    return (TrialState.PRUNED, None) if stopped else (TrialState.COMPLETE, loss)
