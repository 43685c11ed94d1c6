"""Members: stateless, independent of one another, exact splits."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from zoogen import members
from zoogen.distributions import Constant
from zoogen.members import (
    PURPOSES,
    Member,
    draw_column,
    draw_member,
    member_seed,
    split_of,
    stream,
)
from zoogen.overrides import override
from zoogen.recipes import RECIPES, Recipe, Shares

RECIPE = RECIPES["unterthiner2020"]


def draw(index: int, *, seed: int = 7, recipe: Recipe = RECIPE) -> Member:
    return draw_member(recipe, zoo_seed=seed, index=index, dataset="mnist", arch="arch1")


def test_a_member_depends_on_seed_and_index_alone() -> None:
    late = draw(29_999)
    others = [draw(i) for i in (0, 1, 15_000)]
    again = draw(29_999)
    assert (again.seed, again.split, again.config) == (late.seed, late.split, late.config)
    assert all(o.config != late.config and o.seed != late.seed for o in others)
    assert draw(29_999, seed=8).config != late.config


def test_configuration_columns() -> None:
    config = draw(5).config
    assert set(config) == {
        "dataset", "dnn_architecture", "epochs", "batch_size", "optimizer", "learning_rate",
        "l2reg", "dropout", "w_init", "init_std", "b_init", "activation", "train_fraction",
        "momentum", "epsilon",
    }  # fmt: skip
    assert (config["dataset"], config["dnn_architecture"]) == ("mnist", "arch1")
    assert (config["epochs"], config["batch_size"]) == (86, 512)
    assert all(type(v) in (str, int, float) for v in config.values())
    sine = draw_member(RECIPES["sine-f"], zoo_seed=0, index=4, dataset="sine", arch="siren").config
    assert (sine["points"], sine["epochs"], sine["amplitude"]) == (2_000, 1_500, 1.0)
    image = draw_member(RECIPES["image-inr"], zoo_seed=0, index=4, dataset="mnist", arch="siren")
    assert image.config["image_index"] == 4


def test_golden_member() -> None:
    """A change here changes every zoo that was ever planned."""
    member = draw(3, seed=0)
    assert member.seed == GOLDEN_SEED
    assert member.split == "train"
    assert {k: member.config[k] for k in GOLDEN} == GOLDEN


GOLDEN_SEED = 6619194650426729951
GOLDEN = {
    "optimizer": "rmsprop",
    "learning_rate": 0.00309044518942,
    "dropout": 0.0049638246071026845,
    "w_init": "glorot_normal",
    "train_fraction": 0.5,
}


@pytest.mark.parametrize("name", RECIPE.draws)
def test_overriding_one_distribution_changes_no_other_draw(name: str) -> None:
    text = {"optimizer": "adam", "w_init": "he_normal", "b_init": "zeros", "activation": "tanh"}
    changed = override(RECIPE, draws={name: Constant(text.get(name, 0.25))})
    for index in range(20):
        ours, other = draw(index).config, draw(index, recipe=changed).config
        assert {k for k in ours if ours[k] != other[k]} <= {name}


def test_schedule_overrides_change_no_draw() -> None:
    changed = override(RECIPE, members=3, epochs=2)
    drawn = {k: v for k, v in draw(11).config.items() if k in RECIPE.draws}
    assert drawn.items() <= draw(11, recipe=changed).config.items()
    assert draw(11, recipe=changed).split == draw(11).split


def test_members_follow_the_published_distributions() -> None:
    configs = [draw(i).config for i in range(4_000)]
    for name in ("optimizer", "w_init", "activation", "train_fraction"):
        counts = Counter(c[name] for c in configs)
        assert stats.chisquare(list(counts.values())).pvalue > 0.001
    dropout = [float(c["dropout"]) for c in configs]
    rate = [np.log(float(c["learning_rate"])) for c in configs]
    law = stats.uniform(np.log(5e-4), np.log(100))
    assert stats.kstest(dropout, stats.uniform(0, 0.7).cdf).pvalue > 0.001
    assert stats.kstest(rate, law.cdf).pvalue > 0.001
    assert abs(np.corrcoef(dropout, rate)[0, 1]) < 4 / np.sqrt(len(configs))


@pytest.mark.parametrize("shares", [Shares(train=4, val=1, test=5), Shares(train=8, val=1, test=1)])
def test_splits_are_exact_in_each_block_of_ten(shares: Shares) -> None:
    patterns = set()
    for block in range(200):
        splits = [split_of(shares, zoo_seed=5, index=10 * block + i) for i in range(10)]
        assert Counter(splits) == Counter(
            {"train": shares.train, "val": shares.val, "test": shares.test}
        )
        patterns.add(tuple(splits))
    assert len(patterns) > 50 if shares.train == 4 else len(patterns) > 40


def test_every_place_in_a_block_is_as_likely_for_each_split() -> None:
    shares = Shares(train=4, val=1, test=5)
    places = Counter(
        i % 10 for i in range(20_000) if split_of(shares, zoo_seed=1, index=i) == "train"
    )
    assert stats.chisquare([places[p] for p in range(10)]).pvalue > 0.001


def test_another_seed_gives_other_splits() -> None:
    shares = Shares(train=4, val=1, test=5)
    one, two = ([split_of(shares, zoo_seed=s, index=i) for i in range(100)] for s in (0, 1))
    assert one != two


def test_streams_do_not_overlap() -> None:
    seed = member_seed(0, 12)
    streams = [stream(seed, p, *more) for p in PURPOSES for more in ((), (0,), (1,), (0, 0))]
    # A seed is also an index somewhere: the streams of member p's own seed differ from the zoo's.
    streams += [stream(0, "split", 12), stream(12, "split", 0), stream(12, "split")]
    first = {s.integers(0, 2**63) for s in streams}
    assert len(first) == len(streams)


def test_dropout_keys_are_32_bit_and_differ() -> None:
    keys = [draw(i).dropout_key for i in range(50)]
    assert len(set(keys)) == 50
    assert all(0 <= word < 2**32 for key in keys for word in key)


def test_thirty_thousand_members_take_seconds_at_most() -> None:
    """60 µs each is promised on a free core; ten times that is a failure anywhere."""
    import time

    start = time.process_time()
    for index in range(3_000):
        draw(index)
    assert (time.process_time() - start) / 3_000 < 600e-6


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda r: r.name)
@pytest.mark.parametrize("indices", [(0, 7, 1_025), tuple(range(900, 960))])
def test_a_column_alone_is_that_of_the_whole_members(
    recipe: Recipe, indices: tuple[int, ...]
) -> None:
    configs = [draw(index, recipe=recipe).config for index in indices]
    for name in recipe.draws:
        found = draw_column(recipe, name, zoo_seed=7, indices=indices)
        assert found == [config[name] for config in configs]
        assert [type(value) for value in found] == [type(config[name]) for config in configs]
    nothing = draw_column(recipe, "no_such_thing", zoo_seed=7, indices=indices)
    assert nothing == [None] * len(indices)


def test_what_all_members_have_alike_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = override(RECIPE, draws={"train_fraction": Constant(0.25)})
    drawn = list[int]()
    monkeypatch.setattr(members, "stream", lambda seed, *_: drawn.append(seed) or stream(seed, *_))
    assert draw_column(recipe, "train_fraction", zoo_seed=7, indices=(5, 6)) == [0.25, 0.25]
    assert not drawn
    rate = draw_column(recipe, "learning_rate", zoo_seed=7, indices=(5,))
    assert rate == [draw(5).config["learning_rate"]]
    assert drawn


def test_a_member_beyond_32_bits_is_drawn_by_itself() -> None:
    far = range(2**32 - 20, 2**32 + 20)
    found = draw_column(RECIPE, "learning_rate", zoo_seed=7, indices=far)
    assert found == [draw(index).config["learning_rate"] for index in far]
