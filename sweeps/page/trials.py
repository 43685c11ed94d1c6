"""Each trial on the page: what it is, its command, where it ran, its figures."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sne.progress import duration_text
from sne.report import NAMES
from sweeps.page.folder import Folder, Place
from sweeps.page.grid import Bare, bare
from sweeps.page.trial_command import OUT, evaluation_command, training_command
from sweeps.results import NOT_APPLICABLE, OK

Json = Mapping[str, Any]
FIGURE_NAMES: Mapping[str, str] = {
    **NAMES,
    "gain_over_constant": "gain over the best constant",
    "val_loss": "validation loss of the kept epoch",
    "invariance": "invariance error, under symmetries",
    "invariance_control": "the same under permutations that are none",
}
FIXED = ("tau", "tau_above_chance", "accuracy", "r2")
"""Figures with three decimals, as tables show them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One thing that is known of a trial."""

    name: str
    text: str
    value: float | int | None = None
    """Where the text is a number: as the results have it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One row of a trial's results."""

    zoo: str
    """Name of the tested one; empty in rows about training and selection."""
    zoo_hash: str
    split: str
    metric: str
    name: str
    main: Bare | None
    low: Bare | None
    high: Bare | None
    n: int
    text: str
    """What stands there instead of a number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """Where and when a trial ran."""

    host: str
    device: str
    started: str
    """UTC, ISO 8601; empty: not known."""
    seconds: float | None
    """From its begin to its end, tests included."""
    later: bool = False
    """It was tested on more zoos afterwards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One training."""

    id: str
    """Of its element on the page."""
    hash: str
    name: str
    """Its first place in a table."""
    model: str
    seed: int
    state: str
    """done, not trained enough, n/a, failed, missing."""
    sentence: str | None
    """Of the state."""
    facts: tuple[Fact, ...] = ()
    commands: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    settings: str = ""
    """JSON, as the results have it."""
    traceback: str = ""
    ran: Ran | None = None
    train_seconds: float | None = None


def trials_of(folder: Folder) -> tuple[Trial, ...]:
    """Every trial that was asked for, in order, each once."""
    first: dict[str, Place] = {}
    for place in folder.places:
        for trial in place.trials:
            first.setdefault(trial, place)
    return tuple(
        _done(folder, place, trial) if trial in folder.rows else _missing(folder, place, trial)
        for trial, place in first.items()
    )


def anchor(trial: str) -> str:
    """The id of a trial's element."""
    return f"trial-{trial}"


def _missing(folder: Folder, place: Place, trial: str) -> Trial:
    record = folder.failures.get(trial, {})
    return Trial(
        id=anchor(trial),
        hash=trial,
        name=place.title,
        model="",
        seed=_seed(place, trial),
        state="failed" if record else "missing",
        sentence=folder.missing(trial),
        commands=(folder.asked.command,),
        traceback=str(record.get("traceback", "")),
    )


def _done(folder: Folder, place: Place, trial: str) -> Trial:
    rows, where = folder.rows[trial], folder.where[trial]
    head = rows[0]
    refused = all(row["status"] == NOT_APPLICABLE for row in rows)
    doubtful = next((r for r in rows if r["status"] not in (OK, NOT_APPLICABLE)), None)
    state = NOT_APPLICABLE if refused else "done" if doubtful is None else doubtful["status"]
    said = head if refused else doubtful
    failure = folder.failures.get(trial)
    return Trial(
        id=anchor(trial),
        hash=trial,
        name=place.title,
        model=head["model"],
        seed=head["seed"],
        state=state,
        sentence=said["reason"] if said else None,
        facts=tuple(_facts(folder, head, where, failure)),
        commands=tuple(_commands(head, where)),
        figures=tuple(_figure(folder, row) for row in rows),
        settings=json.dumps(json.loads(head["config"]), indent=1, ensure_ascii=False),
        traceback="" if failure is None else str(failure.get("traceback", "")),
        ran=_ran(where),
        train_seconds=head["seconds"],
    )


def _facts(folder: Folder, head: Json, where: Json, failure: Json | None) -> Iterator[Fact]:
    zoos = " + ".join(folder.names[zoo["hash"]] for zoo in head["train_zoos"])
    checkpoints = head["checkpoints"]
    yield Fact(name="trained on", text=zoos)
    yield Fact(name="training networks", text=f"{head['n_train']:,}", value=head["n_train"])
    rest = "" if checkpoints == "last" else f", checkpoints {checkpoints}"
    yield Fact(name="predicts", text=f"{head['target']}{rest}")
    for name in ("epochs", "best_epoch", "steps", "parameters"):
        yield Fact(
            name=name.replace("best_epoch", "kept epoch"), text=f"{head[name]:,}", value=head[name]
        )
    yield Fact(name="training took", text=duration_text(head["seconds"]), value=head["seconds"])
    if unseen := dict.fromkeys(k for row in folder.rows[head["trial"]] for k in row["unseen"]):
        yield Fact(name="never seen in training", text=", ".join(unseen))
    yield from _where_facts(where)
    yield Fact(
        name="made by",
        text=f"code {head['code_version']}, protocol {head['protocol_version']}",
    )
    if failure is not None:
        yield Fact(name="last attempt", text=f"failed: {failure['error']}")


def _where_facts(where: Json) -> Iterator[Fact]:
    ran = _ran(where)
    if ran is None:
        return
    took = "" if ran.seconds is None else f", {duration_text(ran.seconds)} with tests"
    yield Fact(name="ran on", text=f"{ran.host}, {ran.device}")
    yield Fact(name="begun", text=f"{ran.started}{took}")
    if command := where.get("command"):
        yield Fact(name="asked for by", text=str(command))


def _commands(head: Json, where: Json) -> Iterator[str]:
    """What trains the trial alone, and what tests it on the zoos that it was not trained on."""
    uris: Mapping[str, str] = where.get("zoos", {})
    trained = [zoo["hash"] for zoo in head["train_zoos"]]
    paths = [uris.get(zoo, f"ZOO-{zoo[:8]}") for zoo in trained]
    machine = where.get("machine", {})
    yield training_command(json.loads(head["config"])["config"], paths, machine=machine, out=OUT)
    for zoo, uri in uris.items():
        if zoo not in trained:
            yield evaluation_command(uri, out=OUT)


def _figure(folder: Folder, row: Json) -> Figure:
    metric = row["metric"]
    numbers = [bare(row[name], fixed=metric in FIXED) for name in ("value", "low", "high")]
    missing = NOT_APPLICABLE if row["status"] == NOT_APPLICABLE else "–"
    zoo = row["test_zoo"]
    return Figure(
        zoo="" if zoo is None else folder.names[zoo["hash"]],
        zoo_hash="" if zoo is None else zoo["hash"],
        split=row["split"],
        metric=metric,
        name=FIGURE_NAMES.get(metric, metric),
        main=numbers[0],
        low=numbers[1],
        high=numbers[2],
        n=row["n_networks"],
        text="" if numbers[0] else f"{missing}: {row['reason'] or 'not defined here'}",
    )


def _ran(where: Json) -> Ran | None:
    if "host" not in where:
        return None
    started, ended = where.get("started"), where.get("finished")
    seconds = None
    if started and ended:
        seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    machine = where.get("machine", {})
    return Ran(
        host=str(where["host"]),
        device=device_text(machine),
        started=str(started or "").replace("+00:00", "").replace("T", " "),
        seconds=seconds if seconds is None or math.isfinite(seconds) else None,
        later="tested_later" in where,
    )


def device_text(machine: Json) -> str:
    """Device and threads of a machine's record, in words."""
    device, name = machine.get("device"), machine.get("device_name")
    if device is None:
        return "unknown device"
    if device != "cpu":
        return str(name or device)
    threads = machine.get("threads")
    return f"cpu ({name}), {threads} thread{'' if threads == 1 else 's'}"


def _seed(place: Place, trial: str) -> int:
    return place.seeds[place.trials.index(trial)]


def total_seconds(trials: Sequence[Trial]) -> float:
    """Of all trainings together."""
    return math.fsum(trial.train_seconds or 0.0 for trial in trials)
