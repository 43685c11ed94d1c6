"""What a search found: its best trials with their settings, and how the best one tests."""

from collections.abc import Iterator
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sweeps.asked import Asked, Entry
from sweeps.results import OK, read_results
from sweeps.search import Search
from sweeps.tables import number_text

SHOWN = 10


def ask(study: Study, search: Search, command: str) -> Asked:
    """What the folder's note says: the trials that were done to their end, best first."""
    entries = [
        Entry(
            trial=search.make(trial.params).hash,
            table="search",
            row=settings_text(trial),
            seed=search.seed,
        )
        for trial in best_trials(study)
    ]
    zoos = tuple(ref.label.hash for ref in search.base.test)
    return Asked(kind="search", command=command, entries=tuple(entries), test_zoos=zoos)


def best_trials(study: Study) -> list[FrozenTrial]:
    """Those that were done to their end, by validation loss."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(done, key=lambda trial: trial.value or 0.0)


def settings_text(trial: FrozenTrial) -> str:
    """A trial's settings in one line; switches that are on by their names."""
    shown = []
    for name, value in trial.params.items():
        if isinstance(value, bool):
            shown.append(name if value else f"no {name}")
        else:
            shown.append(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(text for text in shown if text != "penalty")


def result_lines(study: Study, folder: Path, asked: Asked) -> Iterator[str]:
    """For people: losses of the best trials, figures of the best one."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    stopped = states.count(TrialState.PRUNED)
    done = best_trials(study)
    yield f"{len(done)} trials to their end, {stopped} stopped early; best validation losses:"
    for trial, entry in list(zip(done, asked.entries, strict=True))[:SHOWN]:
        loss = number_text(trial.value or 0.0, fixed=False)
        yield f"{loss:>8}  {entry.trial}  {entry.row}"
    if done:
        yield "the best on the test split, which it was not chosen by:"
        yield from _test_lines(folder, asked.entries[0].trial)


def _test_lines(folder: Path, trial: str) -> Iterator[str]:
    for row in read_results(folder, [trial]).to_pylist():
        if row["test_zoo"] is not None and row["value"] is not None:
            interval = ""
            if row["low"] is not None:
                low, high = (number_text(row[end], fixed=False) for end in ("low", "high"))
                interval = f" ({low} … {high})"
            doubt = "" if row["status"] == OK else f"  {row['status']}"
            value = number_text(row["value"], fixed=False)
            zoo = f"{row['test_zoo']['dataset']} × {row['test_zoo']['family']}"
            yield f"  {zoo}: {row['metric']} {value}{interval}, n = {row['n_networks']}{doubt}"
