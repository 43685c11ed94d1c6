"""Searches: what is proposed, what a killed one goes on with, and what stands in its file."""

import json
import pickle
import sqlite3
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from conftest import MACHINE, tiny_config
from optuna.trial import TrialState
from sweep_commands import done, figures, finish, start, states, wait_until

from sne.evaluation import check_target
from sweeps.attempt import Job, Told
from sweeps.errors import PlanError
from sweeps.halving import Halving
from sweeps.local import search_local
from sweeps.perform import run_folder
from sweeps.search import Search, clear_stopped
from sweeps.space import POSITIONS, Space, apply
from sweeps.study import FILE, NAME, open_study, outcome, proposals_left, storage_of
from sweeps.trial import make_trial
from sweeps.tuner import main
from sweeps.zoos import find_target, open_sweep_zoos

SPACE = Space(chunk=(32, 64), widths=(4, 8), positions=())


@pytest.fixture
def search(sine_zoo: Path) -> Search:
    zoos = open_sweep_zoos([str(sine_zoo)])
    config = replace(tiny_config("sne", epochs=3), symmetry=tiny_config("mlp").symmetry)
    config = replace(config, training=replace(config.training, batch=32))
    target = find_target(zoos, None, config.data.which)
    check_target(zoos[0].zoo, target)
    refs = [zoos[0].ref]
    return Search(
        base=make_trial(config, train=refs, test=refs, target=target),
        space=SPACE,
        halving=Halving(epochs=3, grace=1, factor=2),
        samples=4,
        seed=0,
    )


class Killed(BaseException):
    """What ends a search in the middle, as a signal does."""


def test_proposals_follow_from_the_seed_and_the_trial_alone(tmp_path):
    def proposals(folder: Path, seed: int, *, restarts: bool) -> list[dict]:
        folder.mkdir()
        study = open_study(storage_of(folder), seed=seed, about={})
        found = []
        for number in range(4):
            if restarts:
                study = open_study(storage_of(folder), seed=seed, about={})
            trial = study.ask()
            found.append(Space().suggest(trial))
            study.tell(trial, float(number))
        return found

    whole = proposals(tmp_path / "a", 0, restarts=False)
    assert proposals(tmp_path / "b", 0, restarts=True) == whole
    assert proposals(tmp_path / "c", 1, restarts=False) != whole
    assert len({json.dumps(found) for found in whole}) == 4
    # Settings with equal ranges have streams of their own.
    switches = [tuple(found[name] for name in POSITIONS) for found in whole]
    assert any(len(set(own)) > 1 for own in switches)


def test_settings_become_a_training():
    found = {"chunk": 16, "width": 128, "penalty": False, "learning_rate": 2e-3}
    config = apply(tiny_config("sne"), {**found, "element_positions": False})
    assert (config.settings.chunk, config.settings.width) == (16, 128)
    assert not config.settings.element_positions
    assert config.settings.chunk_positions
    assert config.symmetry.invariance == 0
    assert config.optimizer.learning_rate == 2e-3
    assert apply(config, {**found, "invariance": 0.5}).symmetry.invariance == 0.5


def test_corners_are_the_largest_models():
    corners = list(Space(chunk=(4, 64), widths=(32, 64)).corners())
    assert {(c["chunk"], c["width"]) for c in corners} == {(4, 32), (4, 64), (64, 32), (64, 64)}
    assert all(c["invariance"] == 10.0 for c in corners)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"chunk": (64, 4)}, "--chunk is LOW HIGH, both above 0, got 64 4"),
        ({"learning_rate": (0.0, 1.0)}, "--learning-rate is LOW HIGH, both above 0"),
        ({"positions": ("layer",)}, "no encoding 'layer'; there are: element_positions, "),
        ({"widths": ()}, "--widths needs at least one width"),
    ],
)
def test_impossible_spaces(changed, message):
    with pytest.raises(PlanError, match=message):
        Space(**changed)


def test_trials_left_running_are_proposed_again_first(tmp_path):
    study = open_study(storage_of(tmp_path), seed=0, about={})
    first, second = study.ask(), study.ask()
    settings = [SPACE.suggest(trial) for trial in (first, second)]
    study.tell(first, 0.5)
    assert proposals_left(study, 4) == 3
    study = open_study(storage_of(tmp_path), seed=0, about={})
    assert proposals_left(study, 4) == 3
    assert study.trials[1].state == TrialState.FAIL
    again = study.ask()
    assert SPACE.suggest(again) == settings[1]
    # Killed once more, it is still one trial.
    study = open_study(storage_of(tmp_path), seed=0, about={})
    assert proposals_left(study, 4) == 3
    trial = study.ask()
    assert SPACE.suggest(trial) == settings[1]
    study.tell(trial, state=TrialState.PRUNED)
    assert proposals_left(study, 4) == 2


def test_another_search_in_the_same_folder_is_refused(tmp_path):
    open_study(storage_of(tmp_path), seed=0, about={"base": "a"})
    open_study(storage_of(tmp_path), seed=0, about={"base": "a"})
    with pytest.raises(PlanError, match="the folder holds another search"):
        open_study(storage_of(tmp_path), seed=0, about={"base": "b"})


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"loss": 0.5, "failed": False, "stopped": False}, (TrialState.COMPLETE, 0.5)),
        ({"loss": 0.5, "failed": False, "stopped": True}, (TrialState.PRUNED, None)),
        ({"loss": None, "failed": True, "stopped": False}, (TrialState.FAIL, None)),
        ({"loss": None, "failed": False, "stopped": False}, (TrialState.FAIL, None)),
    ],
)
def test_how_trials_are_told(known, told):
    assert outcome(**known) == told


def test_a_killed_search_goes_on_and_ends_as_an_undisturbed_one(search, tmp_path):
    def run(folder: Path, tell=lambda told: None) -> optuna.Study:
        folder.mkdir(exist_ok=True)
        study = open_study(storage_of(folder), seed=search.seed, about=search.about)
        job = Job(folder=folder, machine=replace(MACHINE, save_epochs=True), command="")
        search_local(study, search, job, tell, samples=proposals_left(study, search.samples))
        clear_stopped(study, search, folder)
        return study

    def kill(told: Told) -> None:
        heard.append(told)
        if len({t.trial for t in heard}) == 2 and told.epoch == 2 and not told.closes:
            raise Killed

    heard: list[Told] = []
    whole, out = run(tmp_path / "whole"), tmp_path / "killed"
    with pytest.raises(Killed):
        run(out, kill)
    resumed: list[Told] = []
    study = run(out, resumed.append)
    # The trial that was killed is told from its first epoch, and goes on from its last.
    own = [told for told in resumed if told.trial == heard[-1].trial]
    assert [told.epoch for told in own if told.closes][:2] == [1, 2]
    assert min(told.share for told in own if not told.closes) > 2 / 3
    settled = [t for t in study.trials if t.state != TrialState.FAIL]
    assert [t.params for t in settled[:2]] == [t.params for t in whole.trials[:2]]
    assert len(settled) == search.samples
    for trial, undisturbed in zip(settled[:2], whole.trials[:2], strict=True):
        assert trial.value == undisturbed.value
        assert trial.intermediate_values == undisturbed.intermediate_values
    for trial in settled:
        stopped = trial.state == TrialState.PRUNED
        assert run_folder(out, search.make(trial.params)).exists() != stopped


@pytest.mark.slow
def test_a_search_that_is_killed_for_good_goes_on(sine_zoo, tmp_path):
    """A real kill -9 of the command; its file is data, with nothing pickled in it."""
    out = tmp_path / "search"
    flags = (
        "--zoo", sine_zoo, "--samples", "3", "--epochs", "30", "--grace", "30", "--widths", "8",
        "--chunk", "32", "64", "--set", "sne.heads=1", "--set", "sne.sabs=1", "--set",
        "sne.chunk_sabs=2", "--set", "sne.head=[8]", "--local", "--device", "cpu", "--out", out,
    )  # fmt: skip
    process = start("sweeps.tuner", *flags)
    wait_until(lambda: any(json.loads(p.read_text())["epoch"] >= 3 for p in states(out)))
    process.kill()
    finish(process)
    _, err = done("sweeps.tuner", *flags)
    assert "3 of 3 trials are to be done" in err
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{out / FILE}")
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert study.trials[0].params == study.trials[1].params
    assert len(figures(out)) >= 3
    with sqlite3.connect(out / FILE) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master")]
        assert {"studies", "trials", "trial_values"} <= set(tables)
        for (sql,) in file.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL"):
            assert "BLOB" not in sql.upper()
    for path in out.rglob("*"):
        if path.is_file() and path.suffix not in (".json", ".parquet"):
            with pytest.raises((pickle.UnpicklingError, ValueError, EOFError, KeyError)):
                pickle.loads(path.read_bytes())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--samples", "0"], "--samples is at least 1 and --seed from 0, got 0, 0"),
        (["--grace", "60"], "halving needs a factor of at least 2 and a grace of 1 up to all"),
        (["--chunk", "9", "3"], "--chunk is LOW HIGH, both above 0, got 9 3"),
    ],
)
def test_refusals(sine_zoo, tmp_path, capsys, flags, message):
    known = ["--zoo", str(sine_zoo), "--local", "--out", str(tmp_path / "out")]
    try:
        code = main([*known, *flags])
    except SystemExit as stop:  # usage errors end as tyro does it
        code = stop.code
    assert code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
