"""Recipes say what the sources say; variants; which recipe a command means."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from zoogen.archs import ARCHS
from zoogen.distributions import Choice, Constant, Depends, LogUniform, Uniform, support
from zoogen.errors import PlanError
from zoogen.images.catalog import IMAGE_SETS
from zoogen.members import draw_member, grid_size
from zoogen.overrides import override
from zoogen.recipe import LATER, Grid, core_seconds
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


def test_the_model_zoos_as_published() -> None:
    """Grids: the products of the listed values times ten seeds."""
    zoos = {n: classifier(n) for n in RECIPES if n.startswith("schuerholt-")}
    assert len(zoos) == 15
    sizes = {"mnist": 2_560, "fashion": 2_560, "svhn": 4_320, "cifar10": 1_280}
    sizes["cifar10-large"] = 1_280
    for name, recipe in zoos.items():
        assert (recipe.epochs, recipe.batch_size) == (50, 10)
        assert recipe.checkpoints == tuple(range(51))
        assert recipe.draws["b_init"] == Constant("0.01")
        assert recipe.draws["momentum"] == Constant(0.9)
        zoo, _, kind = name.removeprefix("schuerholt-").partition("-hyp-")
        if kind:
            assert recipe.grid == Grid(seeds=10, fixed=kind == "fixed")
            assert recipe.members == grid_size(recipe.draws) * 10 == sizes[zoo]
        else:
            assert recipe.members == 1_000
            assert all(isinstance(d, Constant) for d in recipe.draws.values())
    svhn = zoos["schuerholt-svhn-hyp-rand"]
    assert svhn.draws["learning_rate"] == Choice((1e-2, 1e-3, 1e-4))
    assert svhn.draws["weight_decay"] == Choice((0.0, 1e-3, 1e-1))
    assert (svhn.prep.crop, svhn.prep.colour) == (28, "luma")
    assert zoos["schuerholt-svhn-seed"].draws["learning_rate"] == Constant(3e-3)
    mnist = zoos["schuerholt-mnist-seed"].prep
    assert (255 * mnist.scale, mnist.shift) == pytest.approx((1 / 0.3081, -0.1307 / 0.3081))


@pytest.mark.parametrize("fixed", [True, False])
def test_a_grid_has_every_combination_with_ten_seeds(fixed: bool) -> None:
    kind = "fixed" if fixed else "rand"
    recipe = classifier(f"schuerholt-cifar10-hyp-{kind}")
    varied = [n for n, d in recipe.draws.items() if isinstance(d, Choice)]
    members = [
        draw_member(recipe, zoo_seed=3, index=i, dataset="cifar10", arch="schuerholt_small")
        for i in range(1_280)
    ]
    cells = Counter(tuple(m.config[n] for n in varied) for m in members)
    assert len(cells) == 128
    assert set(cells.values()) == {10}
    assert len({m.seed for m in members}) == (10 if fixed else 1_280)
    assert len({(m.seed, *(m.config[n] for n in varied)) for m in members}) == 1_280
    # A few members are a sample of the grid, not one corner of it.
    head = members[:64]
    assert all(len({m.config[n] for m in head}) == len(support(recipe.draws[n])) for n in varied)


def test_a_hyperparameter_can_depend_on_another() -> None:
    rates = Depends("optimizer", {"adam": Constant(1e-3), "sgd": LogUniform(0.1, 0.2)})
    draws = {"optimizer": Choice(("adam", "sgd")), "learning_rate": rates}
    recipe = replace(classifier("quick-arch1"), draws=draws)
    assert from_json(json.loads(json.dumps(to_json(recipe)))) == recipe
    for index in range(20):
        config = draw_member(recipe, zoo_seed=0, index=index, dataset="mnist", arch="arch1").config
        rate = float(config["learning_rate"])
        assert rate == 1e-3 if config["optimizer"] == "adam" else 0.1 <= rate <= 0.2
    with pytest.raises(PlanError, match=r"learning_rate depends on 'optimizer', which must be dra"):
        replace(recipe, draws={"learning_rate": rates})
    with pytest.raises(PlanError, match=r"no distribution for optimizer 'rmsprop'; there are: ad"):
        rates.given("rmsprop")


def test_a_quick_recipe_for_every_architecture_on_every_data_set() -> None:
    for arch in set(ARCHS) - {"siren"}:
        for dataset in IMAGE_SETS:
            recipe = recipe_for(arch, dataset, "quick")
            assert recipe.name == f"quick-{arch}"
            seconds = recipe.members * recipe.member_core_seconds
            assert seconds <= 2 * 25 * 60  # two cores, 25 minutes


def test_old_plans_have_no_younger_fields() -> None:
    """So that a zoo begun before they were there can be continued."""
    assert not set(to_json(RECIPES["unterthiner2020"])) & set(LATER)
    assert "crop" not in to_json(RECIPES["unterthiner2020"])["prep"]
    assert to_json(RECIPES["schuerholt-svhn-seed"])["prep"]["crop"] == 28


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
        ("siren", "mnist", "image-inr-label", "image-inr-label"),
        ("schuerholt_small", "svhn", None, "schuerholt-svhn-seed"),
        ("schuerholt_small", "digits", None, "quick-schuerholt_small"),
        ("schuerholt_large", "cifar10", None, "schuerholt-cifar10-large-seed"),
        ("mlp", "mnist", None, "mlp-zoo"),
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
        ("vgg", "mnist", None, "wanted an architecture with a recipe: arch1, arch2"),
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
        ("quick-arch1", {"draws": {"activation": "step"}}, "activation must be one of relu, tanh"),
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
