"""The Small CNN Zoo in and out, against files built by the published description."""

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import STEPS, nfn_loader, small_cnn_output, small_cnn_zoo

from zoogen import convert, export, info, verify
from zoogen.errors import SourceError
from zoogen.forward import forward, parameters_of
from zoogen.importers.find import find_source
from zoogen.importers.small_cnn_zoo import RELEASED
from zoogen.importers.source import Hints
from zoogen.importers.write import carry_out, plan_conversion
from zoogen.reader import Zoo, open_zoo
from zoogen.store import open_store

NETWORKS = 20


def quiet(what: str, done: int, wanted: int) -> None:
    del what, done, wanted


def converted(source: Path, zoo: Path, *flags: str) -> Zoo:
    assert convert.main([str(source), str(zoo), *flags]) == 0
    return open_zoo(zoo)


def metrics_of(folder: Path) -> list[dict[str, str]]:
    with gzip.open(folder / "metrics.csv.gz", "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that passes for the release, as if that had so few rows."""
    monkeypatch.setitem(RELEASED, "svhn", NETWORKS * len(STEPS))
    small_cnn_zoo(tmp_path / "svhn_cropped", networks=NETWORKS)
    return tmp_path / "svhn_cropped"


def test_networks_compute_what_the_published_layout_computes(
    source: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    matrix, zoo = np.load(source / "weights.npy"), converted(source, tmp_path / "zoo")
    images = rng.normal(size=(3, 32, 32, 1)).astype(np.float32)
    (architecture,) = zoo.architectures.values()
    wrong = 0
    for member, step in ((0, 0), (3, 1), (19, 86)):
        row = zoo.row(member, step)
        published = matrix[member * len(STEPS) + STEPS.index(step)]
        wanted = small_cnn_output(published, images, row["config.activation"])
        x = torch.tensor(images).permute(0, 3, 1, 2)
        for weights, right in ((row["weights"], True), (published, False)):
            parameters = parameters_of(architecture, torch.tensor(np.array(weights)))
            got = forward(
                architecture, parameters, x, config={"activation": row["config.activation"]}
            )
            if right:
                np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-4, atol=1e-5)
            else:  # the published order, taken for ours, computes something else
                wrong += not np.allclose(got.numpy(), wanted, rtol=1e-2)
        with torch.inference_mode():
            module = zoo.to_module(row)(x).numpy()
        np.testing.assert_allclose(module, wanted, rtol=1e-4, atol=1e-5)
    assert wrong == 3


def test_rows_and_plan_say_what_the_files_say(source: Path, tmp_path: Path) -> None:
    zoo, lines = converted(source, tmp_path / "zoo"), metrics_of(source)
    rows = zoo.table(checkpoint="all", status=None).to_pylist()
    assert len(rows) == len(lines) == NETWORKS * len(STEPS)
    for row, line in zip(rows, lines, strict=True):
        assert row["epoch"] == int(line["step"])
        assert row["seed"] == row["config.random_seed"] == 42
        for name in ("dropout", "learning_rate", "l2reg", "init_std", "train_fraction"):
            assert row[f"config.{name}"] == float(line[f"config.{name}"])
        for name in ("test_accuracy", "test_loss", "train_accuracy", "train_loss"):
            assert row[name] == float(line[name])
        assert row["generalization_gap"] == row["train_accuracy"] - row["test_accuracy"]
        assert row["config.modeldir"] == line["modeldir"]
    plan = zoo.plan
    assert (plan.dataset, plan.family, plan.checkpoints) == ("svhn", "arch1", STEPS)
    assert plan.data["chance_accuracy"] == pytest.approx(0.19587, abs=1e-5)
    assert plan.origin is not None
    assert plan.origin.licence == "CC BY 4.0"
    assert set(plan.origin.files) == {"weights.npy", "metrics.csv.gz", "layout.csv"}
    assert "L2 term, as published" in {c.name: c.meaning for c in zoo.columns}["test_loss"]
    splits = zoo.table(["split"]).column("split").to_pylist()
    assert {s: splits.count(s) for s in ("train", "val", "test")} == {
        "train": 8, "val": 2, "test": 10,
    }  # fmt: skip


def test_other_files_of_the_format_are_not_the_release(tmp_path: Path) -> None:
    small_cnn_zoo(tmp_path / "source", networks=3)
    zoo = converted(tmp_path / "source", tmp_path / "zoo")
    assert zoo.plan.origin is not None
    assert (zoo.plan.origin.credit, zoo.plan.origin.licence) == ("not stated", "not stated")
    assert "chance_accuracy" not in zoo.plan.data  # which images were used is not said


def test_the_published_split_file_is_followed(source: Path, tmp_path: Path) -> None:
    rows = NETWORKS * len(STEPS)
    order = np.random.default_rng(5).permutation(rows).tolist()
    # As published: a header line 0, then every row once.
    (tmp_path / "split.csv").write_text("\n".join(map(str, [0, *order])) + "\n")
    zoo = converted(source, tmp_path / "zoo", "--split-file", str(tmp_path / "split.csv"))
    for mode in ("train", "val", "test"):
        _, accuracies = nfn_loader(source, tmp_path / "split.csv", mode)
        ours = zoo.networks(split=mode).column("test_accuracy").tolist()
        assert sorted(ours) == sorted(accuracies)
    assert zoo.plan.shares == (4, 1, 5)


def test_info_and_verify_work_on_it(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = str(converted(source, tmp_path / "zoo").store.uri)
    with pytest.raises(SystemExit) as stopped:
        verify.main([zoo])
    assert stopped.value.code == 0
    info.main([zoo, "--plot", str(tmp_path / "plot.png")])
    said = capsys.readouterr().out
    assert "ok: 20 networks, 60 rows" in said
    assert "converted, not trained here" in said
    assert "from small-cnn-zoo (3 files" in said
    assert "Small CNN Zoo, Unterthiner et al. 2020 (arXiv:2002.11448); licence: CC BY 4.0" in said


def test_there_and_back_is_the_same_to_the_last_bit(source: Path, tmp_path: Path) -> None:
    zoo = converted(source, tmp_path / "zoo")
    assert export.main(
        [zoo.store.uri, "--to", "small-cnn-zoo", "--out", str(tmp_path / "back")]
    ) == 0  # fmt: skip
    first, second = (np.load(f / "weights.npy") for f in (source, tmp_path / "back"))
    assert first.tobytes() == second.tobytes()
    wanted, got = metrics_of(source), metrics_of(tmp_path / "back")
    assert got == wanted
    # With the order of rows that it wrote, the splits come back too.
    again = converted(
        tmp_path / "back", tmp_path / "again", "--split-file", str(tmp_path / "back" / "split.csv")
    )
    for column in ("split", "config.modeldir", "test_loss"):
        assert (
            again.table([column], checkpoint="all").to_pylist()
            == zoo.table([column], checkpoint="all").to_pylist()
        )
    assert again.plan.data == zoo.plan.data
    assert again.plan.origin is not None
    assert again.plan.origin.licence == "CC BY 4.0"
    assert again.weights(checkpoint="all").tobytes() == zoo.weights(checkpoint="all").tobytes()


def test_an_interrupted_conversion_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoogen.grouping import ShardRule
    from zoogen.importers import plan, write

    monkeypatch.setattr(plan, "SHARD_RULE", ShardRule(members=6))
    whole = converted(source, tmp_path / "whole")
    assert len(whole.shards) == 4
    made: list[int] = []
    real = write.put_shard

    def counting(store: Any, **given: Any) -> Any:
        if len(made) == 2:
            made.append(-1)
            raise KeyboardInterrupt
        made.append(given["spec"].number)
        return real(store, **given)

    monkeypatch.setattr(write, "put_shard", counting)
    assert convert.main([str(source), str(tmp_path / "zoo")]) == 130
    with pytest.raises(Exception, match="2 of 4 shards are there"):
        open_zoo(tmp_path / "zoo")
    assert convert.main([str(source), str(tmp_path / "zoo")]) == 0
    assert made == [0, 1, -1, 2, 3]
    ours = {e.name: e.sha256 for e in open_zoo(tmp_path / "zoo").shards}
    assert ours == {e.name: e.sha256 for e in whole.shards}


def test_another_source_does_not_continue_a_zoo(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    converted(source, tmp_path / "zoo")
    small_cnn_zoo(tmp_path / "other", networks=NETWORKS, seed=1)
    assert convert.main([str(tmp_path / "other"), str(tmp_path / "zoo")]) == 2
    assert "origin.content_hash" in capsys.readouterr().err


def test_a_network_that_is_not_finite_ends_there(source: Path, tmp_path: Path) -> None:
    matrix = np.load(source / "weights.npy")
    matrix[1 * len(STEPS) + 1, 7] = np.nan
    np.save(source / "weights.npy", matrix)
    zoo = converted(source, tmp_path / "zoo")
    rows = zoo.table(["member", "epoch", "status", "test_accuracy"], checkpoint="all", status=None)
    own = [r for r in rows.to_pylist() if r["member"] == 1]
    assert [(r["epoch"], r["status"]) for r in own] == [(0, "ok"), (1, "diverged")]
    assert own[1]["test_accuracy"] is None
    assert len(zoo.networks()) == NETWORKS - 1
    with pytest.raises(SystemExit) as stopped:
        verify.main([zoo.store.uri])
    assert stopped.value.code == 0


def damage_layout(folder: Path) -> None:
    text = (folder / "layout.csv").read_text()
    (folder / "layout.csv").write_text(text.replace("(3, 3, 1, 16)", "(3, 1, 3, 16)"))


def damage_metrics(folder: Path) -> None:
    with gzip.open(folder / "metrics.csv.gz", "rt") as file:
        lines = file.read().splitlines()
    with gzip.open(folder / "metrics.csv.gz", "wt") as file:
        file.write("\n".join(lines[:-1]) + "\n")


def damage_matrix(folder: Path) -> None:
    np.save(folder / "weights.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_layout, "wanted conv1.weight of shape"),
        (damage_metrics, "wanted a float32 matrix with a row for each of the 59 lines"),
        (damage_matrix, "cannot be read as a matrix"),
    ],
)
def test_what_is_not_the_published_layout_is_refused(
    damage: Any, said: str, source: Path, tmp_path: Path
) -> None:
    damage(source)
    found = find_source(source, format_name=None, hints=Hints())
    with pytest.raises(SourceError, match=said):
        plan_conversion(found, seed=0, report=quiet)


def test_verify_finds_a_changed_split(source: Path, tmp_path: Path) -> None:
    """The check of converted rows can fail: another seed's plan gives other splits."""
    from zoogen.check.converted import converted_faults

    found = find_source(source, format_name=None, hints=Hints())
    conversion = plan_conversion(found, seed=0, report=quiet)
    other = plan_conversion(found, seed=1, report=quiet).plan
    carry_out(conversion, open_store(tmp_path / "zoo"), quiet)
    zoo = open_zoo(tmp_path / "zoo")
    table = zoo.table([c.name for c in zoo.columns], checkpoint="all", status=None)
    (spec,) = other.shards()
    lengths = {name: a.parameters for name, a in zoo.architectures.items()}
    assert not list(converted_faults(zoo.plan, spec, table, lengths))
    assert {f.problem for f in converted_faults(other, spec, table, lengths)} == {"column split"}
    shorter = {name: length + 1 for name, length in lengths.items()}
    assert "length of column weights" in {
        f.problem for f in converted_faults(zoo.plan, spec, table, shorter)
    }
