"""Zoos as other projects' files: what their loaders find, and the Hugging Face folder."""

import csv
import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from published import nfn_loader, small_cnn_output, small_cnn_zoo
from tiny_zoo import image_plan, make_zoo, sine_plan, weights_of

from zoogen import convert, export
from zoogen.exporters.small_cnn_zoo import nfn_order
from zoogen.importers.small_cnn_zoo import RELEASED
from zoogen.reader import open_zoo

ENDS = {4: (1, "diverged")}


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A zoo of 21 arch1 whose last epoch is that of the published files; one diverged."""
    make_zoo(tmp_path / "zoo", image_plan(members=21, checkpoints=(0, 86)), ends=ENDS)
    return tmp_path / "zoo"


def exported(zoo: Path, form: str) -> Path:
    out = zoo.with_name(form)
    assert export.main([str(zoo), "--to", form, "--out", str(out)]) == 0
    return out


def test_the_small_cnn_zoos_files(zoo: Path, rng: np.random.Generator) -> None:
    out, opened = exported(zoo, "small-cnn-zoo"), open_zoo(zoo)
    matrix = np.load(out / "weights.npy")
    with gzip.open(out / "metrics.csv.gz", "rt", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert matrix.shape == (40, 4970)  # a network that diverged has no row
    assert matrix.dtype == np.float32
    images = rng.normal(size=(2, 28, 28, 1)).astype(np.float32)
    for number in (0, 17, 39):
        line = lines[number]
        member, step = int(line["modeldir"].split("/")[1]), int(line["step"])
        row = opened.row(member, step)
        with torch.inference_mode():
            wanted = opened.to_module(row)(torch.tensor(images).permute(0, 3, 1, 2)).numpy()
        got = small_cnn_output(matrix[number], images, line["config.activation"])
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
        assert float(line["test_accuracy"]) == row["test_accuracy"]
        assert int(line["config.random_seed"]) == row["seed"]
        # The published losses hold the L2 term: that of kernels alone.
        weights = weights_of(image_plan(), member, step).astype(np.float64)
        kernels = [weights[:144], weights[160:2464], weights[2480:4784], weights[4800:4960]]
        l2 = row["config.l2reg"] * sum(float(np.sum(k**2)) for k in kernels)
        assert float(line["test_loss"]) == pytest.approx(row["test_loss"] + l2, rel=1e-12)
        assert l2 > 0


def test_nfns_rules_find_the_zoos_splits(tmp_path: Path) -> None:
    make_zoo(tmp_path / "zoo", image_plan(members=20, checkpoints=(0, 86)))
    out, opened = exported(tmp_path / "zoo", "small-cnn-zoo"), open_zoo(tmp_path / "zoo")
    rows = opened.table(["member", "split"]).to_pylist()
    for name, count in (("train", 8), ("val", 2), ("test", 10)):
        found, _ = nfn_loader(out, out / "split.csv", name)
        # The order of a network's weights differs, their sum does not.
        sums = {round(float(row.sum(dtype=np.float64)), 3) for row in found}
        members = [row["member"] for row in rows if row["split"] == name]
        own = (weights_of(image_plan(), m, 86) for m in members)
        assert sums == {round(float(w.sum(dtype=np.float64)), 3) for w in own}
        assert len(found) == count


def test_other_shares_have_no_order_by_nfns_rule() -> None:
    lines = [(member, 86, "test") for member in range(10)]
    assert nfn_order(lines) is None


def test_other_networks_have_no_place_in_that_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_zoo(tmp_path / "waves", sine_plan(members=3))
    flags = ["--to", "small-cnn-zoo", "--out", str(tmp_path / "out")]
    assert export.main([str(tmp_path / "waves"), *flags]) == 2
    assert "the Small CNN Zoo's format is for arch1 alone" in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} == {"waves"}


def test_an_interrupted_export_leaves_nothing(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoogen.exporters import state_dicts

    real, calls = state_dicts.named_tensors, list[int]()

    def stop(*given: object) -> object:
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return real(*given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(state_dicts, "named_tensors", stop)
    out = zoo.with_name("out")
    assert export.main([str(zoo), "--to", "safetensors", "--out", str(out)]) == 130
    assert {p.name for p in zoo.parent.iterdir()} == {"zoo"}


def test_the_hub_folder_has_every_row_and_a_card(zoo: Path) -> None:
    out, opened = exported(zoo, "hf"), open_zoo(zoo)
    names = [c.name for c in opened.columns]
    for split, hub in (("train", "train"), ("val", "validation"), ("test", "test")):
        table = pq.read_table(sorted((out / "data").glob(f"{hub}-*.parquet")))
        wanted = opened.table(names, checkpoint="all", status=None, split=split)
        assert table.select([n for n in names if n != "weights"]).to_pylist() == (
            wanted.select([n for n in names if n != "weights"]).to_pylist()
        )
        flat = [t.column("weights").combine_chunks().flatten().to_numpy() for t in (table, wanted)]
        assert flat[0].tobytes() == flat[1].tobytes()
    text = (out / "README.md").read_text(encoding="utf-8")
    front = text.split("---")[1]
    for line in ("license: other", "- split: validation", "path: data/validation-*.parquet"):
        assert line in front
    assert "**licence of what they were trained on**: not stated" in text
    assert "quick-arch1, seed 3" in text
    for column in opened.columns:
        assert f"| `{column.name}` |" in text
    assert (out / "architectures.parquet").read_bytes() == opened.store.read(
        "architectures.parquet"
    )


def test_the_card_of_a_published_zoo_names_its_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RELEASED, "svhn", 9)
    small_cnn_zoo(tmp_path / "source", networks=3)
    assert convert.main([str(tmp_path / "source"), str(tmp_path / "zoo")]) == 0
    text = (exported(tmp_path / "zoo", "hf") / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-4.0" in text.split("---")[1]
    assert "**licence of the networks**: CC BY 4.0" in text
    assert "**licence of what they were trained on**: For non-commercial use only" in text
    assert "Unterthiner et al. 2020" in text
    assert "the L2 term, as published" in text


def test_datasets_reads_the_hub_folder_offline(zoo: Path) -> None:
    pytest.importorskip("datasets", reason="the package `datasets` is not installed")
    out, opened = exported(zoo, "hf"), open_zoo(zoo)
    code = (
        "import datasets\n"
        "d = datasets.load_dataset('hf')\n"
        "print({k: v.num_rows for k, v in d.items()}, len(d['test'][0]['weights']))"
    )
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(out / ".home")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=out.parent, env={**os.environ, **offline}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = opened.table(["split"], checkpoint="all", status=None).column("split").to_pylist()
    wanted = {"train": "train", "validation": "val", "test": "test"}
    counts = {hub: rows.count(split) for hub, split in wanted.items()}
    assert done.stdout.splitlines()[-1] == f"{counts} 4970"
