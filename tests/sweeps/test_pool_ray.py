"""The same trials with Ray Tune: equal numbers, killed workers and drivers, searches.

A start of Ray takes seconds, so each test asks several things of one run.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import optuna
import pytest
from sweep_commands import done, finish, same_results, start, states, trainers, wait_until

from sweeps.results import finished
from sweeps.study import FILE, NAME

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]
TINY = ("--models", "deepsets", "mlp", "--set", "training.batch=2", "--set", "deepsets.width=8")
"""Trials of a few seconds each, most of them steps."""
SCRATCH = "sweeps-tune-"
"""What the folders begin with that Tune writes to."""
LONG = (*TINY, "--epochs", "40", "--device", "cpu")
SEARCH = (
    "--samples", "5", "--epochs", "4", "--grace", "1", "--factor", "2", "--widths", "8", "16",
    "--chunk", "32", "64", "--set", "sne.heads=1", "--set", "sne.sabs=1", "--set",
    "sne.chunk_sabs=2", "--set", "sne.head=[8]", "--set", "training.batch=16", "--device", "cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def reference(arch1_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The matrix of LONG, made in one process."""
    out = tmp_path_factory.mktemp("reference") / "matrix"
    done("sweeps.matrix", "--zoos", arch1_zoo, *LONG, "--local", "--out", out)
    return out


def test_two_processes_one_of_them_killed_give_the_same_numbers(
    reference: Path, arch1_zoo: Path, tmp_path: Path, cache_dir: Path
):
    out = tmp_path / "matrix"
    process = start(
        "sweeps.matrix", "--zoos", arch1_zoo, *LONG, "--workers", "2", "--out", out,
        ZOOGEN_CACHE=str(cache_dir),
    )  # fmt: skip
    wait_until(lambda: len(trainers(process.pid)) == 2 and len(states(out)) >= 1)
    os.kill(trainers(process.pid)[0], signal.SIGKILL)
    code, stdout, err = finish(process)
    assert code == 0, err
    assert same_results(out, reference)
    assert stdout == (reference / "matrix.md").read_text() + "\n"
    assert not [word for word in ("raylet", "Traceback", "Warning", "╭") if word in err + stdout]
    # Tune's pickles went with their folder, and nothing here was ever one.
    assert not [path for path in out.rglob("*") if path.suffix in (".pkl", ".pickle")]


def test_a_killed_driver_costs_no_finished_trial_and_the_same_command_goes_on(
    reference: Path, arch1_zoo: Path, tmp_path: Path, cache_dir: Path
):
    out = tmp_path / "matrix"
    flags = ("--zoos", arch1_zoo, *LONG, "--out", out)
    process = start("sweeps.matrix", *flags, "--workers", "1", ZOOGEN_CACHE=str(cache_dir))
    wait_until(lambda: len(finished(out)) >= 1 and states(out))
    process.kill()
    finish(process)
    there = finished(out)
    if len(there) == 4:
        pytest.skip("every trial was done before the signal came")
    assert there
    # At once, while the killed driver's workers may still be ending.
    _, err = done("sweeps.matrix", *flags, "--local")
    assert f"4 trials, {len(there)} of them done already" in err
    assert same_results(out, reference)


@pytest.mark.slow
def test_a_search_with_ray_is_the_search_in_one_process(
    sine_zoo: Path, tmp_path: Path, cache_dir: Path
):
    local, ray = tmp_path / "local", tmp_path / "ray"
    flags = ("--zoo", sine_zoo, *SEARCH)
    said, err = done("sweeps.tuner", *flags, "--local", "--out", local)
    assert "8 validation networks: with fewer than 200, much of what a search finds is luck" in err
    with_ray, _ = done(
        "sweeps.tuner", *flags, "--workers", "1", "--out", ray, ZOOGEN_CACHE=str(cache_dir)
    )
    assert with_ray == said
    assert same_results(local, ray)
    studies = [
        optuna.load_study(study_name=NAME, storage=f"sqlite:///{out / FILE}")
        for out in (local, ray)
    ]
    facts = [
        [(t.params, t.state, t.value, t.intermediate_values) for t in study.trials]
        for study in studies
    ]
    assert len(facts[0]) == 5
    assert facts[0] == facts[1]
    states_of = {state.name for _, state, _, _ in facts[0]}
    assert states_of == {"COMPLETE", "PRUNED"}


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_everything_within_seconds(
    arch1_zoo: Path, tmp_path: Path, cache_dir: Path, number: int, code: int
):
    out = tmp_path / "matrix"
    flags = ("--zoos", arch1_zoo, *LONG, "--epochs", "3000", "--workers", "2", "--out", out)
    process = start("sweeps.matrix", *flags, ZOOGEN_CACHE=str(cache_dir))
    wait_until(lambda: len(states(out)) == 2)
    workers = trainers(process.pid)
    sent = time.monotonic()
    os.killpg(process.pid, number)
    found, stdout, err = finish(process)
    assert time.monotonic() - sent < 10
    assert (found, stdout) == (code, "")
    assert f"the same command goes on:\n  python -m sweeps.matrix --zoos {arch1_zoo} " in err
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []
    assert not list(Path(tempfile.gettempdir()).glob(f"{SCRATCH}{process.pid}-*"))
