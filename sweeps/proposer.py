"""Ray Tune's `OptunaSearch` on the study of a folder, told of epochs and of early stops.

Import this module only inside `zoogen.ray_session.ray_session`. As it comes, `OptunaSearch` counts
reports instead of epochs, which differ once a trial goes on, and takes trials that were stopped
early for complete ones.
"""

from typing import Any

from optuna.storages import RDBStorage
from ray.tune.search.optuna import OptunaSearch

from sweeps.pool import told_of
from sweeps.search import Search
from sweeps.study import NAME, TrialSeededSampler, outcome


class StudySearch(OptunaSearch):
    """Proposes settings of a search's space."""

    def __init__(self, search: Search, storage: RDBStorage) -> None:
        super().__init__(
            space=search.space.suggest,
            metric="loss",
            mode="min",
            sampler=TrialSeededSampler(search.seed),
            study_name=NAME,
            storage=storage,
        )
        self._told: set[tuple[str, int]] = set()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """See `Searcher`."""
        told = told_of(result)
        # A trial whose process died tells its epochs again.
        new = (trial_id, told.epoch) not in self._told
        if new and told.closes and told.loss is not None:
            self._told.add((trial_id, told.epoch))
            self._ot_trials[trial_id].report(told.loss, told.epoch)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """See `Searcher`."""
        told = None if result is None or error else told_of(result)
        stopped = told is not None and not told.ended
        if stopped and result is not None:
            # Tune does not tell a searcher of the report at which a trial is stopped.
            self.on_trial_result(trial_id, result)
        state, loss = outcome(
            loss=None if told is None else told.loss,
            failed=told is None or told.failure is not None,
            stopped=stopped,
        )
        assert self._ot_study is not None  # made with the space
        self._ot_study.tell(self._ot_trials[trial_id], loss, state=state)
