"""Every architecture from its quick recipe to a verified zoo; and zoos with labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.zoogen.arch_cases import CLASSIFIERS
from tests.zoogen.trained_zoo import make_trained
from zoogen import open_zoo
from zoogen.check.checkup import Request, check_zoo
from zoogen.datasets import load_images
from zoogen.overrides import override
from zoogen.permute import draw_symmetry, permute
from zoogen.recipes import ClassifierRecipe, ImagePrep, SignalRecipe, recipe_for
from zoogen.store import open_store
from zoogen.varied import varies

MEMBERS = 3


def _faults(path: Path) -> tuple[tuple[str, ...], str]:
    request = Request(partial=False, sample=MEMBERS, seed=0, data_dir=None, download=False)
    found = check_zoo(open_store(path), request, report=_silent)
    return tuple(str(f) for f in found.faults), found.evaluation


def _silent(what: str, done: int, total: int) -> None:
    pass


@pytest.mark.parametrize("arch", sorted(set(CLASSIFIERS) - {"arch1", "arch2"}))
def test_quick_zoo_of_digits_is_verified(arch: str, tmp_path: Path) -> None:
    recipe = override(recipe_for(arch, "digits", "quick"), members=MEMBERS, epochs=1)
    assert isinstance(recipe, ClassifierRecipe)
    recipe = replace(recipe, prep=replace(recipe.prep, train_limit=100, test_limit=50))
    make_trained(open_store(tmp_path), recipe, names=("digits", arch), shard_members=2)
    faults, evaluation = _faults(tmp_path)
    assert faults == ()
    assert evaluation.startswith(f"{MEMBERS} networks")
    zoo = open_zoo(tmp_path)
    ids = set(zoo.table(["arch"], status=None).column("arch").to_pylist())
    assert ids == set(zoo.architectures)
    assert len(ids) == (MEMBERS if varies(arch) else 1)
    row = zoo.row(0)
    weights = np.asarray(row["weights"])
    architecture = zoo.architectures[row["arch"]]
    assert weights.shape == (architecture.parameters,)
    assert np.isfinite(weights).all()
    moved = permute(architecture, draw_symmetry(architecture, np.random.default_rng(0)), weights)
    assert not np.array_equal(moved, weights)


def test_inrs_of_images_keep_the_label(tmp_path: Path) -> None:
    recipe = override(recipe_for("siren", "digits", "image-inr-label"), members=6, epochs=2)
    assert isinstance(recipe, SignalRecipe)
    prep = ImagePrep(side=8)
    recipe = replace(recipe, prep=prep)
    make_trained(open_store(tmp_path), recipe, names=("digits", "siren"), shard_members=4)
    table = open_zoo(tmp_path).table(["member", "label"], status=None)
    labels = load_images("digits", prep, download=False).data.train_labels
    assert table.column("label").to_pylist() == labels[:6].tolist()
    assert len(set(table.column("label").to_pylist())) > 1
    faults, _ = _faults(tmp_path)
    assert faults == ()
