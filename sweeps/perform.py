"""One trial from zoos to a result: trained, or gone on with, and tested. Knows no Ray.

What comes out depends on the trial alone. The run's folder is where an interrupted training stands
and where a trained model lies; it may be lost, then the trial is trained again.
"""

import fcntl
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from sne.checkpoint import CURVES, MACHINE, PREDICTIONS, Run
from sne.config import Machine
from sne.errors import ModelError
from sne.evaluation import evaluate
from sne.files import read_json
from sne.fit import Report
from sne.state import FOLDER
from sne.targets import CONFIG_PREFIX
from sne.train import train
from sweeps.results import (
    TrialResult,
    finished,
    read_curves,
    read_predictions,
    read_results,
    read_where,
    write_result,
)
from sweeps.rows import NO_BUDGET, Trained, refused_row, test_rows, training_rows
from sweeps.trial import Trial
from sweeps.zoos import ZooRef, open_ref
from zoogen.bounds import read_parquet

RUNS = "runs"
PATIENCE_S = 30.0
"""A worker outlives a driver that was killed by seconds, and holds its run for so long."""
Json = Mapping[str, Any]


def run_folder(folder: Path, trial: Trial) -> Path:
    """Where a sweep keeps the model of a trial."""
    return folder / RUNS / trial.hash


def missing_tests(folder: Path, trial: Trial) -> tuple[ZooRef, ...]:
    """Zoos that a trial is still to be tested on; all, if it is not trained."""
    if trial.hash not in finished(folder):
        return trial.test
    rows = read_results(folder, [trial.hash]).column("test_zoo").to_pylist()
    tested = {zoo["hash"] for zoo in rows if zoo is not None}
    return tuple(ref for ref in trial.test if ref.label.hash not in tested)


def complete_trial(
    trial: Trial,
    folder: Path,
    *,
    machine: Machine,
    command: str = "",
    report: Report = lambda progress: None,
) -> TrialResult | None:
    """Do what a trial lacks, and keep its result in the sweep's folder.

    Returns:
        The whole result; None if nothing was missing.

    Raises:
        SneError, ZooError, SweepError: what keeps it from being done, in one sentence.
    """
    wanted = missing_tests(folder, trial)
    done = trial.hash in finished(folder)
    if done and not wanted:
        return None
    run = run_folder(folder, trial)
    _await_free(run)
    result = run_trial(trial, run, tests=wanted, machine=machine, report=report)
    result = replace(result, where={**result.where, "command": command})
    if done:
        result = _joined(folder, result)
    write_result(folder, result)
    return result


def run_trial(
    trial: Trial,
    run: Path,
    *,
    tests: Sequence[ZooRef] | None = None,
    machine: Machine | None = None,
    report: Report = lambda progress: None,
) -> TrialResult:
    """Train a trial's model, or find it trained, and test it.

    Args:
        trial: what to train.
        run: the folder of its training.
        tests: zoos to test on; None: all of the trial's.
        machine: device and threads.
        report: called after each step and each epoch.

    Raises:
        SneError, ZooError, PlanError: what keeps it from being done, in one sentence.
    """
    tests = trial.test if tests is None else tests
    begun = datetime.now(UTC)
    for ref in trial.train:
        open_ref(ref)
    try:
        made = train(trial.config, run, machine=machine, report=report)
    except ModelError as error:
        return _refused(trial, tests, str(error))
    curves = _curves(made)
    trained = Trained(
        target=made.target.label,
        n_train=sum(use.train for use in made.zoos),
        parameters=sum(p.numel() for p in made.module.parameters()),
        budget=made.budget,
        judged=made.result["trained"],
    )
    rows = list(training_rows(trial, trained, curves))
    predicted: list[Any] = []
    for ref in tests:
        figures, table = _tested(made, ref)
        rows += test_rows(trial, trained, ref.label, figures)
        if table is not None:
            predicted.append(_named(table, ref))
    return TrialResult(
        trial=trial.hash,
        figures=rows,
        predictions=pa.concat_tables(predicted) if predicted else None,
        curves=curves,
        where=_where(made, trial, begun=begun),
    )


def _await_free(run: Path) -> None:
    """Wait while another process trains in a run's folder; what then holds it is refused there."""
    lock, deadline = run / FOLDER / "lock", time.monotonic() + PATIENCE_S
    while lock.exists() and time.monotonic() < deadline:
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.2)
                continue
        return


def _refused(trial: Trial, tests: Sequence[ZooRef], reason: str) -> TrialResult:
    """Of a model that cannot even be trained on these networks."""
    target = str(trial.config.data.target).removeprefix(CONFIG_PREFIX)
    trained = Trained(target=target, budget=NO_BUDGET)
    rows = [refused_row(trial, trained, ref.label, reason=reason) for ref in tests]
    return TrialResult(trial=trial.hash, figures=rows)


def _tested(run: Run, ref: ZooRef) -> tuple[Json, Any]:
    """Figures and predictions of one zoo; those of a training zoo are the run's own."""
    for figures in run.result["tests"]:
        if figures["zoo"]["hash"] == ref.label.hash:
            table = read_parquet(run.path / PREDICTIONS)
            own = [
                (row["zoo"], row["split"]) == (figures["zoo"]["uri"], figures["split"])
                for row in table.select(["zoo", "split"]).to_pylist()
            ]
            return figures, table.filter(pa.array(own, type=pa.bool_()))
    evaluated = evaluate(run, open_ref(ref))
    return evaluated.evaluation.to_json(), evaluated.predictions


def _named(predictions: Any, ref: ZooRef) -> Any:
    """The zoo by its hash, for it may be moved."""
    column = pa.array([ref.label.hash] * predictions.num_rows, type=pa.string())
    return predictions.set_column(0, "zoo", column)


def _curves(run: Run) -> Sequence[Json]:
    path = run.path / f"{CURVES}.parquet"
    return read_parquet(path).to_pylist() if path.exists() else []


def _where(run: Run, trial: Trial, *, begun: datetime) -> dict[str, Any]:
    return {
        "trial": str(trial),
        "host": platform.node(),
        "started": begun.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": read_json(run.path / MACHINE),
        "run": str(run.path),
        "zoos": {ref.label.hash: ref.uri for ref in (*trial.train, *trial.test)},
    }


def _joined(folder: Path, result: TrialResult) -> TrialResult:
    """What was known of the trial, and its new tests."""
    trial = result.trial
    known = read_results(folder, [trial]).to_pylist()
    tables = [
        table
        for table in (read_predictions(folder, trial), result.predictions)
        if table is not None
    ]
    curves = read_curves(folder, trial)
    return TrialResult(
        trial=trial,
        figures=[*known, *(row for row in result.figures if row["test_zoo"] is not None)],
        predictions=pa.concat_tables(tables) if tables else None,
        curves=[] if curves is None else curves.to_pylist(),
        where={**read_where(folder, trial), "tested_later": dict(result.where)},
    )
