"""Recipes say what the sources say; variants; which recipe a command means."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from zoogen.distributions import Choice, Constant, LogUniform, Uniform
from zoogen.errors import PlanError
from zoogen.members import draw_member
from zoogen.overrides import override
from zoogen.recipe import core_seconds
from zoogen.recipes import (
    RECIPES,
    ClassifierRecipe,
    Recipe,
    Shares,
    SignalRecipe,
    from_json,
    recipe_for,
    to_json,
)

CLASSIFIERS = [r for r in RECIPES.values() if isinstance(r, ClassifierRecipe)]


def classifier(name: str) -> ClassifierRecipe:
    recipe = RECIPES[name]
    assert isinstance(recipe, ClassifierRecipe)
    return recipe


def signal(name: str) -> SignalRecipe:
    recipe = RECIPES[name]
    assert isinstance(recipe, SignalRecipe)
    return recipe


def test_the_small_cnn_zoo_as_published() -> None:
    recipe = classifier("unterthiner2020")
    assert (recipe.members, recipe.epochs, recipe.batch_size) == (30_000, 86, 512)
    assert recipe.checkpoints == (0, 1, 2, 3, 20, 40, 60, 80, 86)
    assert recipe.shares == Shares(train=4, val=1, test=5)
    assert (recipe.prep.side, recipe.prep.colour, recipe.prep.train_limit) == (None, "grey", None)
    assert (recipe.prep.scale, recipe.prep.shift) == (1 / 127.5, -1.0)
    assert recipe.draws == {
        "optimizer": Choice(("sgd", "adam", "rmsprop")),
        "learning_rate": LogUniform(5e-4, 5e-2),
        "l2reg": LogUniform(1e-8, 1e-2),
        "dropout": Uniform(0.0, 0.7),
        "w_init": Choice(
            ("glorot_normal", "he_normal", "orthogonal", "RandomNormal", "TruncatedNormal")
        ),
        "init_std": LogUniform(1e-3, 0.5),
        "b_init": Constant("zeros"),
        "activation": Choice(("relu", "tanh")),
        "train_fraction": Choice((0.1, 0.25, 0.5, 1.0)),
        "momentum": Constant(0.0),
        "epsilon": Constant(1e-7),
    }


def test_the_5x5_zoos() -> None:
    test_zoo, train_zoo = classifier("sne2024-arch2"), classifier("sne2024-arch2-train")
    assert (test_zoo.members, test_zoo.shares) == (750, Shares(train=0, val=0, test=10))
    assert (train_zoo.members, train_zoo.shares) == (3_000, Shares(train=4, val=1, test=5))
    assert (test_zoo.prep.side, test_zoo.prep.colour) == (28, "keep")
    assert test_zoo.draws == classifier("unterthiner2020").draws
    assert test_zoo.checkpoints == classifier("unterthiner2020").checkpoints


@pytest.mark.parametrize("name", ["quick-arch1", "quick-arch2"])
def test_quick_classifiers(name: str) -> None:
    recipe = classifier(name)
    assert (recipe.members, recipe.epochs, recipe.batch_size) == (200, 15, 64)
    assert recipe.checkpoints == (0, 1, 2, 3, 15)
    assert (recipe.prep.train_limit, recipe.prep.test_limit) == (8_000, 2_500)
    assert recipe.shares == Shares(train=4, val=1, test=5)
    changed = {"dropout": Uniform(0.0, 0.3), "train_fraction": Choice((0.5, 1.0))}
    assert recipe.draws == {**classifier("unterthiner2020").draws, **changed}


def test_sine_zoos() -> None:
    f, af, quick = signal("sine-f"), signal("sine-af"), signal("quick-siren")
    assert (f.draws["frequency"], f.draws["amplitude"]) == (Uniform(0.5, 10.0), Constant(1.0))
    assert af.draws["frequency"] == af.draws["amplitude"] == Uniform(0.0, 10.0)
    assert quick.draws == f.draws
    assert (f.members, af.members, f.points, quick.points) == (1_000, 10_000, 2_000, 128)
    for recipe in (f, af, quick):
        assert (recipe.steps, recipe.stop_mse, recipe.unfitted_mse) == (1_500, 1e-4, 1e-2)
        assert recipe.shares == Shares(train=8, val=1, test=1)
        assert recipe.draws["learning_rate"] == Constant(1e-3)
        assert recipe.draws["weight_decay"] == Constant(1e-4)
        assert recipe.draws["epsilon"] == Constant(1e-8)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda r: r.name)
def test_every_recipe_survives_json_and_draws_members(recipe: Recipe) -> None:
    text = json.dumps(to_json(recipe))
    assert from_json(json.loads(text)) == recipe
    assert json.loads(text) == to_json(recipe)
    assert RECIPES[recipe.name] is recipe
    member = draw_member(recipe, zoo_seed=1, index=3, dataset="x", arch=recipe.archs[0])
    assert set(recipe.draws) < set(member.config)
    assert core_seconds(recipe, member.config, train_images=8_000) > 0


@pytest.mark.parametrize(
    ("arch", "dataset", "name", "wanted"),
    [
        ("arch1", "mnist", None, "unterthiner2020"),
        ("arch2", "svhn", None, "sne2024-arch2"),
        ("siren", "sine", None, "sine-f"),
        ("siren", "mnist", None, "image-inr"),
        ("arch1", "digits", "quick", "quick-arch1"),
        ("arch2", "svhn", "quick", "quick-arch2"),
        ("siren", "sine", "quick", "quick-siren"),
        ("siren", "mnist", "quick", "image-inr"),
        ("arch2", "svhn", "sne2024-arch2-train", "sne2024-arch2-train"),
        ("siren", "sine", "sine-af", "sine-af"),
    ],
)
def test_which_recipe_a_command_means(arch: str, dataset: str, name: str, wanted: str) -> None:
    assert recipe_for(arch, dataset, name).name == wanted


@pytest.mark.parametrize(
    ("arch", "dataset", "name", "message"),
    [
        (
            "arch2",
            "svhn",
            "unterthiner2020",
            "no recipe 'unterthiner2020' for 'arch2' on 'svhn'; there are: "
            "quick, sne2024-arch2, sne2024-arch2-train, quick-arch2",
        ),
        ("arch1", "sine", None, "no recipe trains 'arch1' on 'sine': wanted an image data set"),
        ("vit", "mnist", None, "wanted an architecture with a recipe: arch1, arch2, siren"),
    ],
)
def test_wrong_names_list_the_right_ones(arch: str, dataset: str, name: str, message: str):
    with pytest.raises(PlanError) as caught:
        recipe_for(arch, dataset, name)
    assert message in str(caught.value)


def test_epochs_cut_the_checkpoints_and_the_cost() -> None:
    recipe = RECIPES["unterthiner2020"]
    short = override(recipe, epochs=30)
    assert isinstance(short, ClassifierRecipe)
    assert (short.epochs, short.checkpoints) == (30, (0, 1, 2, 3, 20, 30))
    assert short.member_core_seconds == pytest.approx(recipe.member_core_seconds * 30 / 86)
    longer = override(RECIPES["quick-arch1"], epochs=20)
    assert isinstance(longer, ClassifierRecipe)
    assert longer.checkpoints == (0, 1, 2, 3, 15, 20)
    siren = override(RECIPES["sine-f"], epochs=100, members=7)
    assert isinstance(siren, SignalRecipe)
    assert (siren.steps, siren.members) == (100, 7)


def test_the_last_epoch_is_kept_in_any_case() -> None:
    recipe = override(RECIPES["quick-arch1"], checkpoints=(5, 0))
    assert isinstance(recipe, ClassifierRecipe)
    assert recipe.checkpoints == (0, 5, 15)


def test_distributions_are_overridden_by_text_or_value() -> None:
    recipe = override(
        RECIPES["quick-arch1"],
        draws={"activation": "relu", "dropout": "0", "learning_rate": LogUniform(1e-4, 1e-3)},
    )
    assert recipe.draws["activation"] == Constant("relu")
    assert recipe.draws["dropout"] == Constant(0.0)
    assert recipe.draws["learning_rate"] == LogUniform(1e-4, 1e-3)
    assert recipe.name == "quick-arch1"
    assert list(recipe.draws) == list(RECIPES["quick-arch1"].draws)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "quick-arch1",
            {"draws": {"frequency": "3"}},
            "quick-arch1 draws no 'frequency'; it draws",
        ),
        ("quick-arch1", {"draws": {"dropout": "much"}}, "dropout: cannot read 'much'"),
        ("quick-arch1", {"draws": {"dropout": "1"}}, "dropout must be a number in [0, 1), got 1.0"),
        ("quick-arch1", {"draws": {"activation": "gelu"}}, "activation must be one of relu, tanh"),
        ("quick-arch1", {"members": 0}, "members and epochs are at least 1, got 0 and 15"),
        ("quick-arch1", {"checkpoints": (50,)}, "different epochs from 0 to 15"),
        ("sine-f", {"checkpoints": (0,)}, "of an INR only the last state is kept"),
        ("sine-f", {"epochs": 0}, "members and epochs are at least 1, got 1000 and 0"),
    ],
)
def test_variants_that_cannot_be_made(name: str, change, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        override(RECIPES[name], **change)
    assert message in str(caught.value)


def test_parts_that_contradict_one_another() -> None:
    with pytest.raises(PlanError, match="shares are three numbers that add up to 10"):
        Shares(train=8, val=1, test=2)
    with pytest.raises(PlanError, match="the last epoch, 15, must be a checkpoint"):
        replace(classifier("quick-arch1"), checkpoints=(0, 1))
    with pytest.raises(PlanError, match="a sine has points"):
        replace(signal("sine-f"), points=None)


@pytest.mark.parametrize(("module", "loads"), [("zoogen.overrides", False), ("torch", True)])
def test_recipes_load_no_torch(module: str, loads: bool) -> None:
    code = f"import sys, {module}, zoogen.members; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == str(loads)
