"""The ablation: its settings, its cached zoo, its tables and figures."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sne.recipes import default_config
from sweeps import budgets
from sweeps.ablation import ablation_trials, main
from sweeps.asked import read_asked
from sweeps.budgets import RECIPES, cached_zoo
from sweeps.errors import SweepError
from sweeps.factors import FACTORS, FULL, configure, one_at_a_time, product
from sweeps.results import finished
from sweeps.zoos import find_target, open_sweep_zoos

SMALL = [
    "--set", "sne.width=8", "--set", "sne.heads=1", "--set", "sne.head=[8]", "--set",
    "training.batch=32", "--device", "cpu", "--local",
]  # fmt: skip


@pytest.fixture
def config():
    return default_config((), recipe="inr")


def test_one_factor_at_a_time_is_fourteen_trainings(config, sine_zoo):
    settings = one_at_a_time(tuple(FACTORS))
    assert len(settings) == 18
    zoos = open_sweep_zoos([str(sine_zoo)])
    target = find_target(zoos, None, config.data.which)
    listed = ablation_trials(config, settings, (0, 1), zoos, target)
    assert len(listed) == 36
    # The unchanged model stands in four tables, the one without a penalty in two.
    assert len({trial.hash for _, trial in listed}) == 28
    full = {t.hash for s, t in listed if s.row == FULL}
    for table, row in (("chunk size", "32"), ("λ", "0.1"), ("positions", "element and chunk")):
        assert {t.hash for s, t in listed if (s.table, s.row) == (table, row)} == full


def test_the_grid_is_the_product_of_three_factors(config):
    settings = product()
    assert len(settings) == 1 + 4 * 4 * 4
    rows = {s.row: configure(config, s.changes) for s in settings}
    changed = rows["chunk size 8, λ 1.0, positions chunk"]
    assert changed.settings.chunk == 8
    assert changed.symmetry.invariance == 1.0
    assert (changed.settings.element_positions, changed.settings.chunk_positions) == (False, True)
    assert rows["chunk size 32, λ 0.1, positions element and chunk"] == rows[FULL] == config


def test_the_papers_tables_are_a_recipe():
    paper = RECIPES["paper"]
    assert (paper.epochs, paper.seeds, paper.settings) == (300, (0, 1, 2), ())
    assert {s.table for s in one_at_a_time(paper.factors)} == {"components", "chunk size"}


def test_tables_and_figures_of_a_tiny_ablation(sine_zoo, tmp_path, capsys, monkeypatch):
    # Two tables of two rows, instead of four of four.
    few = {
        "chunk size": {str(c): {"settings.chunk": c} for c in (32, 64)},
        "components": {
            "without set functions": {"settings.without": ("set_functions",)},
            FULL: {},
        },
    }
    monkeypatch.setattr("sweeps.factors.FACTORS", few)
    recipe = {"quick": RECIPES["quick"].__class__(
        summary="tiny", factors=tuple(few), zoo_flags=(), zoo_name="", epochs=1, seeds=(0, 1),
        settings=("sne.sabs=1", "sne.chunk_sabs=2"),
    )}  # fmt: skip
    monkeypatch.setattr("sweeps.budgets.RECIPES", recipe)
    out = tmp_path / "ablation"
    assert main(["--zoo", str(sine_zoo), *SMALL, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert len(finished(out)) == 6
    assert "**SNE by chunk size**" in text
    assert "| components | mean squared error | less the full model's | Kendall's τ-b |" in text
    (full,) = [line for line in text.splitlines() if line.startswith(f"| {FULL} |")]
    assert full.split("|")[3].strip() == "–"
    (other,) = [line for line in text.splitlines() if line.startswith("| without set functions |")]
    assert "…" in other.split("|")[3]
    assert "means over 2 seeds" in text
    assert "The best constant on these test networks has " in text
    assert "Budget: 1 epochs over 64 networks of sine × siren, batch 32; the full model" in text
    assert (out / "ablation.tex").read_text().count("\\begin{tabular}") == 2
    assert (out / "ablation-chunk-size.png").read_bytes().startswith(b"\x89PNG")
    asked = read_asked(out)
    assert [(e.table, e.row) for e in asked.entries[:2]] == [("chunk size", "32")] * 2


def test_the_zoo_is_made_once(cache_dir, monkeypatch):
    calls: list[list[str]] = []

    def make(command: list[str], **how: Any) -> SimpleNamespace:
        calls.append(command)
        folder = Path(command[command.index("--out") + 1])
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({}))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", make)
    folder = cached_zoo(RECIPES["quick"])
    assert Path(folder).is_relative_to(cache_dir)
    assert cached_zoo(RECIPES["quick"]) == folder
    (command,) = calls
    assert command[1:3] == ["-m", "zoogen.run"]
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: SimpleNamespace(returncode=2))
    with pytest.raises(SweepError, match=r"could not be made \(exit code 2\)"):
        cached_zoo(RECIPES["paper"])


def test_the_quick_zoo_can_be_made(cache_dir, monkeypatch):
    """The recipe's own flags, with fewer members."""
    from dataclasses import replace

    recipe = RECIPES["quick"]
    flags = [*recipe.zoo_flags]
    flags[flags.index("--members") + 1] = "10"
    folder = cached_zoo(replace(recipe, zoo_flags=tuple(flags)))
    (one,) = open_sweep_zoos([folder])
    assert str(one.ref.label) == "sine × siren"
    assert budgets.cached_zoo(recipe) == folder


def test_an_unknown_recipe_names_those_there_are(capsys, tmp_path):
    assert main(["--recipe", "long", "--out", str(tmp_path / "out")]) == 2
    assert "no recipe 'long'; there are: quick, paper" in capsys.readouterr().err
