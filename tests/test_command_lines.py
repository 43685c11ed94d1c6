"""Command lines of all commands, mutated, up to where the work would begin: refused or understood.

A refusal is exit code 2 and one sentence; work that would begin is stopped by `Begun`.
"""

import importlib
import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from sne.recipes import default_config
from sne.train import train
from tests.fuzz import mutated_words, unnamed
from tests.samples import zoo as make_zoo
from tests.test_commands import SCRIPTS

FEW, MANY = 6, 60


class Begun(BaseException):
    """The command was understood."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A whole command line, and what would do its work."""

    words: str
    """ZOO and RUN stand for a zoo and a training of the test; OUT is not there yet."""
    work: tuple[str, ...]
    """Functions as MODULE:NAME."""


SWEEP = "--local --device cpu --out OUT"
COMMANDS: dict[str, Command] = {
    "zoogen.run": Command(
        words="--dataset sine --arch siren --recipe quick --members 10 --seed 0 --frequency 1..3 "
        "--learning-rate log:1e-4..1e-2 --threads 1 --out OUT --local",
        work=("zoogen.serve:crew_for",),
    ),
    "zoogen.info": Command(words="ZOO --plot OUT.png", work=("zoogen.look.report:make_report",)),
    "zoogen.verify": Command(
        words="ZOO --sample 2 --sample-seed 0 --no-download",
        work=("zoogen.check.checkup:check_zoo",),
    ),
    "zoogen.convert": Command(
        words="ZOO OUT --format state-dicts --dataset svhn --seed 1",
        work=("zoogen.importers.write:plan_conversion",),
    ),
    "zoogen.export": Command(
        words="ZOO --to hf --out OUT", work=("zoogen.exporters.place:whole_folder",)
    ),
    "zoogen.datasets": Command(
        words="list --data-dir ZOO",
        work=("zoogen.images.command:_download", "zoogen.images.command:listing"),
    ),
    "sne.train": Command(
        words="--zoo ZOO --model mlp --epochs 1 --batch 8 --out OUT --device cpu",
        work=("sne.train:train",),
    ),
    "sne.evaluate": Command(
        words="RUN --zoo ZOO --split test --batch 8 --seed 0 --device cpu",
        work=("sne.evaluate:evaluate", "sne.evaluate:write_evaluation"),
    ),
    "sne.compare": Command(
        words="RUN RUN --zoo ZOO --split test --seed 0 --device cpu", work=("sne.compare:compare",)
    ),
    "sne.encode": Command(
        words="RUN ZOO#1@1500 ZOO#0 --out OUT.parquet --device cpu",
        work=("sne.encode:encode", "sne.encode:write_table"),
    ),
    "sne.embed": Command(
        words="RUN --zoo ZOO --split all --perplexity 5 --seed 0 --most 10 --device cpu",
        work=("sne.embed:embed",),
    ),
    "sne.memory": Command(
        words="--zoo ZOO --model mlp --batch 8 --card 11GB", work=("sne.memory:find",)
    ),
    "sweeps.ablation": Command(
        words=f"--recipe quick --zoo ZOO --seeds 0 1 --epochs 2 --set sne.chunk=16 {SWEEP}",
        work=("sweeps.ablation:plan_trials", "sweeps.ablation:cached_zoo"),
    ),
    "sweeps.information": Command(words="ZOO --seeds 1", work=("sweeps.information:_boosted",)),
    "sweeps.matrix": Command(
        words="--zoos ZOO --models mlp deepsets --seeds 0 --epochs 2 --set training.batch=8 "
        f"--target frequency --metric tau {SWEEP}",
        work=("sweeps.matrix:plan_trials",),
    ),
    "sweeps.methods": Command(
        words=f"--zoos ZOO --models mlp --seconds 5 --seeds 0 {SWEEP}",
        work=("sweeps.methods:measured",),
    ),
    "sweeps.report": Command(
        words="RUN --out OUT.html --metric tau", work=("sweeps.report:write_page",)
    ),
    "sweeps.reproduce": Command(
        words=f"table1 --scale laptop --minutes 5 --dry-run {SWEEP}",
        work=("sweeps.reproduce:draft", "sweeps.reproduce:show_plan"),
    ),
    "sweeps.tuner": Command(
        words=f"--zoo ZOO --samples 2 --epochs 20 {SWEEP}", work=("sweeps.tuner:plan_trials",)
    ),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A zoo and a training, for the words that stand for them."""
    folder = tmp_path_factory.mktemp("places")
    make_zoo(folder / "zoo")
    config = default_config((str(folder / "zoo"),), model="mlp")
    train(replace(config, training=replace(config.training, epochs=1)), folder / "run")
    return {"ZOO": str(folder / "zoo"), "RUN": str(folder / "run")}


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A deep folder to be in, that stays as empty as it is."""
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("AWS_REGION", "us-east-1")  # none is asked for over the network
    yield folder
    assert list(folder.rglob("*")) == []


def begin(*_: object, **__: object) -> object:
    raise Begun


def words_of(command: Command, places: dict[str, str]) -> list[str]:
    words = command.words.split()
    for name, place in {**places, "OUT": "made/out"}.items():
        words = [word.replace(name, place) for word in words]
    return words


def outcome(module: ModuleType, words: list[str]) -> str:
    """What became of a command line: begun, helped, refused; anything else is an error."""
    # As Python opens it: what is no text is shown all the same.
    errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with redirect_stderr(errors), redirect_stdout(io.StringIO()):
        try:
            code = (getattr(module, "run", None) or module.main)(words)
        except Begun:
            return "begun"
        except SystemExit as stop:
            code = stop.code
    errors.seek(0)
    said = errors.read()
    assert "Traceback" not in said, said
    if code in (0, None):
        return "helped"
    assert code == 2, (code, said)
    assert said.strip()
    return "refused"


def stopped(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The command's module, with `Begun` where its work is."""
    for work in COMMANDS[name].work:
        where, _, function = work.partition(":")
        monkeypatch.setattr(importlib.import_module(where), function, begin)
    return importlib.import_module("zoogen.images.command" if name == "zoogen.datasets" else name)


def test_every_command_is_here() -> None:
    assert set(COMMANDS) == set(SCRIPTS)
    assert len(COMMANDS) * FEW > 100


@pytest.mark.parametrize("name", COMMANDS)
def test_a_right_command_line_begins(
    name: str,
    places: dict[str, str],
    nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = stopped(name, monkeypatch)
    assert outcome(module, words_of(COMMANDS[name], places)) == "begun"


@pytest.mark.parametrize(
    "count", [FEW, pytest.param(MANY, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))]
)
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.filterwarnings("ignore")
def test_a_mutated_command_line_is_refused_or_understood(
    name: str,
    count: int,
    places: dict[str, str],
    nowhere: Path,
    fuzz_seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, words = stopped(name, monkeypatch), words_of(COMMANDS[name], places)

    def attempt(dice: Random) -> None:
        outcome(module, mutated_words(words, dice))

    found = unnamed(attempt, range(fuzz_seed, fuzz_seed + count), ())
    assert not found, "\n".join(found)
