"""The command as a user meets it before anything is trained: help, refusals, the plan."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from commands import TINY, run

from zoogen.archs import ARCHS
from zoogen.errors import PlanError
from zoogen.hyperparameters import HYPERPARAMETERS
from zoogen.images.catalog import IMAGE_SETS
from zoogen.options import parse_options
from zoogen.recipes import RECIPES
from zoogen.request import make_request
from zoogen.train.engines import ENGINES

FLAGS = {
    "--help", "--dataset", "--arch", "--recipe", "--members", "--epochs", "--checkpoints", "--seed",
    "--out", "--data-dir", "--no-download", "--engine", "--threads", "--local", "--address",
    "--workers", "--nodes", "--dry-run", "--no-lock", "--mixed-platforms", "--activation",
    "--dropout",
    "--optimizer", "--learning-rate", "--l2reg", "--w-init", "--init-std", "--train-fraction",
    "--frequency", "--amplitude", "--weight-decay",
}  # fmt: skip
HEAVY = ("torch", "ray", "pyarrow", "sklearn", "pandas")


@pytest.fixture(scope="module")
def help_text() -> str:
    done = run("--help", COLUMNS="100")
    assert done.returncode == 0
    return done.stdout


def test_flags_grow_only_on_purpose(help_text: str):
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", help_text)) == FLAGS


def test_help_names_what_there_is(help_text: str):
    names = [*ARCHS, *IMAGE_SETS, "sine", "quick", *ENGINES, "probe"]
    options = [o for h in HYPERPARAMETERS.values() for o in h.options if "zeros" not in h.options]
    missing = [n for n in (*names, *options) if not re.search(rf"\b{n}\b", help_text)]
    assert missing == []


def test_help_has_groups_defaults_and_an_example(help_text: str):
    groups = re.findall(r"─ (\w+) options ─", help_text)
    assert groups == ["zoo", "schedule", "storage", "execution", "distributions", "safety"]
    assert "(default: 0)" in help_text
    assert "python -m zoogen.run --dataset svhn --arch arch2 --recipe quick" in help_text


def test_help_comes_at_once():
    # CPU time, so that other work on the machine does not count.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run("--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def loaded(code: str) -> set[str]:
    report = f"{code}\nimport json, sys; print('LOADED', json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True)
    return {*json.loads(done.stdout.rpartition("LOADED")[2])} & {*HEAVY}


def test_help_loads_nothing_heavy():
    code = "from zoogen.run import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert loaded(code) == set()
    assert loaded("import zoogen, zoogen.request") == set()
    assert "pyarrow" in loaded("import zoogen.store")  # so the check can fail


@pytest.mark.parametrize(
    ("flags", "needles"),
    [
        (("--dataset", "mnits", "--arch", "arch1"), ("mnits", "fashion_mnist", "sine")),
        (("--dataset", "digits", "--arch", "arch9"), ("arch9", "arch1, arch2, siren")),
        (("--dataset", "sine", "--arch", "arch1"), ("sine", "arch1", "an image data set")),
        ((*TINY[:4], "--recipe", "fast"), ("fast", "quick", "unterthiner2020")),
        ((*TINY, "--dropout", "1.5"), ("dropout", "[0, 1)", "1.5")),
        ((*TINY, "--activation", "step"), ("activation", "relu, tanh", "step")),
        ((*TINY, "--frequency", "3"), ("quick-arch1", "frequency")),
        ((*TINY, "--checkpoints", "0,x"), ("--checkpoints", "0,x")),
        ((*TINY, "--epochs", "2", "--checkpoints", "9"), ("checkpoints", "9")),
        ((*TINY, "--members", "0"), ("members", "0")),
        ((*TINY, "--local", "--address", "auto"), ("--local", "--address")),
        ((*TINY, "--local", "--workers", "2"), ("--local", "--workers 2")),
        ((*TINY, "--engine", "fast", "--local"), ("fast", "loop, vmap, native")),
        ((*TINY, "--threads", "0"), ("--threads", "0")),
        ((*TINY, "--out", "ftp://place/zoo"), ("ftp://place/zoo",)),
    ],
    ids=lambda value: " ".join(value[-2:]),
)
def test_a_refusal_is_one_line(
    flags: tuple[str, ...], needles: tuple[str, ...], tmp_path: Path, trained_cache: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    from zoogen.run import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    assert main(flags) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert [n for n in needles if n not in shown.err] == []
    assert list(tmp_path.iterdir()) == []


def test_a_missing_flag_is_a_usage_error():
    done = run("--dataset", "digits")
    assert done.returncode == 2
    assert "--arch" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_plan_is_shown_and_nothing_is_made(tmp_path: Path, trained_cache: Path):
    done = run("--dataset", "digits", "--arch", "arch1", "--dry-run", "--out", tmp_path / "zoo")
    assert done.returncode == 0
    # Without --recipe the published one: hours, and the flag that makes it short.
    for needle in ("unterthiner2020", "30,000 members", "938 shards", "5.44 GB", "core-hours",
                   " h ", "--recipe quick", "40 % train, 10 % val, 50 % test"):  # fmt: skip
        assert needle in done.stdout
    assert not (tmp_path / "zoo").exists()


def request_of(*flags: str):
    return make_request(parse_options(flags))


def test_the_default_place_names_the_zoo():
    assert request_of("--dataset", "svhn", "--arch", "arch2", "--recipe", "quick").out == (
        "zoos/svhn-arch2-quick-seed0"
    )
    published = request_of("--dataset", "cifar10", "--arch", "arch1", "--seed", "4")
    assert published.out == "zoos/cifar10-arch1-unterthiner2020-seed4"
    assert published.hint is not None
    assert "--recipe quick" in published.hint


def test_overrides_reach_the_recipe():
    request = request_of(
        *TINY[:6], "--members", "7", "--epochs", "5", "--checkpoints", "0", "2,5",
        "--dropout", "0", "--learning-rate", "log:1e-4..1e-2", "--activation", "relu",
    )  # fmt: skip
    recipe = request.recipe
    assert (recipe.members, recipe.epochs, recipe.checkpoints) == (7, 5, (0, 2, 5))  # pyright: ignore[reportAttributeAccessIssue]
    given = {n: d for n, d in recipe.draws.items() if d != RECIPES["quick-arch1"].draws[n]}
    assert set(given) == {"dropout", "learning_rate", "activation"}
    assert request.grows


def test_checkpoints_are_read_with_commas_and_blanks():
    for words in (("0", "1", "15"), ("0,1,15",), ("0, 1", "15")):
        assert parse_options([*TINY, "--checkpoints", *words]).checkpoints == (0, 1, 15)
    with pytest.raises(PlanError, match="--checkpoints"):
        _ = parse_options([*TINY, "--checkpoints", "-1"]).checkpoints


def test_probe_is_no_engine_name():
    request = request_of(*TINY, "--engine", "probe")
    assert (request.engine, request.probe) == (None, True)
