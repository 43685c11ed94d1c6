"""Zoos in memory: the right rows, in one order, and what is refused."""

from dataclasses import replace
from hashlib import sha256
from shutil import copytree

import numpy as np
import pytest

from sne.errors import DataError
from sne.networks import (
    Networks,
    Which,
    check_splits,
    check_values,
    identify,
    open_zoos,
    read_networks,
)
from sne.zoo import ZooError, open_zoo


@pytest.fixture(scope="module")
def zoo(digits_zoo):
    return open_zoo(digits_zoo)


def read(zoo, **options) -> Networks:
    split = options.pop("split", "train")
    return read_networks(zoo, split=split, which=Which(**options), columns=["test_accuracy"])


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_weights_and_rows_are_those_of_the_zoo(zoo, split):
    found = read(zoo, split=split)
    assert len(found) == {"train": 24, "val": 6, "test": 30}[split]
    assert set(found.column("split")) == {split}
    assert set(found.column("epoch")) == {1}
    assert len(found.parts) == 1
    assert found.parts[0].weights.dtype == np.float32
    for row in (0, len(found) - 1):
        wanted = zoo.row(found.column("member")[row])
        assert np.array_equal(found.parts[0].weights[row], wanted["weights"])
        assert found.column("test_accuracy")[row] == wanted["test_accuracy"]


def test_splits_share_no_network(zoo):
    members = [set(read(zoo, split=split).column("member")) for split in ("train", "val", "test")]
    assert sum(len(m) for m in members) == len(set.union(*members)) == len(zoo)
    assert len(read(zoo, split=None)) == 60


def test_checkpoints(zoo):
    every = read(zoo, checkpoints="all")
    assert len(every) == 48
    assert every.numbers.tolist() == np.repeat(np.arange(24), 2).tolist()
    assert set(read(zoo, checkpoints="0").column("epoch")) == {0}
    with pytest.raises(ZooError, match=r"no checkpoint 7; there are: 0, 1"):
        read(zoo, checkpoints="7")
    with pytest.raises(DataError, match="--checkpoints is last, all or an epoch"):
        Which(checkpoints="first")


def test_a_zoo_of_two_architectures_is_read_by_architecture(zoo, arch2_zoo, monkeypatch):
    other = open_zoo(arch2_zoo)
    both = replace(zoo, architectures={**zoo.architectures, **other.architectures})
    mixed, plain = read(both), read(zoo)
    assert len(mixed.parts) == 1
    assert np.array_equal(mixed.parts[0].weights, plain.parts[0].weights)
    assert mixed.rows.equals(plain.rows)


def test_weights_that_are_not_finite_are_dropped_and_counted_or_refused(zoo, monkeypatch, caplog):
    weights = type(zoo.networks()).weights

    def broken(self):
        found = weights(self).copy()
        found[3, 7] = np.nan
        return found

    whole = read(zoo)
    monkeypatch.setattr(type(zoo.networks()), "weights", broken)
    found = read(zoo)
    member = whole.column("member")[3]
    assert found.dropped == 1
    assert found.column("member") == [m for m in whole.column("member") if m != member]
    assert np.isfinite(found.parts[0].weights).all()
    assert f"1 of 24 networks have a weight that is not finite (the first is member {member})" in (
        caplog.text
    )
    with pytest.raises(DataError, match="leave them out with --nonfinite drop"):
        read(zoo, nonfinite="error")


def test_networks_without_a_value_are_named_by_status(zoo):
    found = read(zoo)
    check_values(found, "test_accuracy", what="training")
    column = [None, float("nan"), *found.column("test_accuracy")[2:]]
    index = found.rows.schema.get_field_index("test_accuracy")
    rows = found.rows.set_column(index, "test_accuracy", [column])
    with pytest.raises(DataError) as caught:
        check_values(replace(found, rows=rows), "test_accuracy", what="training")
    assert str(caught.value) == (
        f"{zoo.store.uri}: 2 of 24 training networks have no test_accuracy (2 ok): leave them out "
        "with --status, or choose another --target"
    )


def test_a_zoo_without_a_training_split_names_recipes_that_have_one(zoo):
    check_splits(zoo)
    untrainable = replace(zoo, plans=(replace(zoo.plan, shares=(0, 0, 10)),))
    with pytest.raises(DataError) as caught:
        check_splits(untrainable)
    message = str(caught.value)
    assert "has no training split, all its networks are for testing (recipe quick-arch1)" in message
    assert message.endswith("recipes for arch1 with one: unterthiner2020, quick-arch1")


def test_identity(zoo, arch2_zoo):
    one, other = identify(zoo), identify(open_zoo(arch2_zoo))
    assert one.shared_with(one) == "it is the same zoo"
    assert one.shared_with(other) is None
    assert one.shared_with(replace(one, hash="")) == "both are digits × arch1 of seed 0"
    assert one.shared_with(replace(one, hash="", seed=1)) is None
    with pytest.raises(ZooError, match="is no zoo"):
        open_zoos([str(arch2_zoo / "shards")])


def test_a_zoo_stays_the_same_when_a_columns_meaning_is_told_better(zoo, tmp_path):
    copy = tmp_path / "zoo"
    copytree(zoo.store.local_root, copy)
    assert identify(open_zoo(copy)).hash == identify(zoo).hash
    manifest = copy / "manifest.json"
    # As an earlier version wrote it: read as before, but not what would be written today.
    text = manifest.read_text().replace('"meaning": "', '"meaning": "in other words, ')
    manifest.write_text(text)
    earlier = open_zoo(copy)
    assert earlier.manifest is not None
    assert earlier.manifest.text != text
    assert identify(earlier).hash == sha256(text.encode()).hexdigest()
