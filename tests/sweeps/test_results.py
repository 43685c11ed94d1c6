"""Results as files: whole or absent, the columns that are promised, refusals in words."""

import io
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sne.errors import DataError
from sne.files import write_bytes
from sweeps.asked import Asked, Entry, read_asked, write_asked
from sweeps.errors import ResultsError
from sweeps.results import (
    FIGURES,
    TrialResult,
    ZooLabel,
    finished,
    read_curves,
    read_predictions,
    read_results,
    read_where,
    sweep_temporary,
    write_result,
    zoo_names,
    zoos_of,
)

ZOO = ZooLabel(hash="a" * 64, dataset="svhn", family="arch2", recipe="quick", seed=0)
ROW = {
    "trial": "0123456789abcdef", "model": "sne", "seed": 0, "train_zoos": [ZOO.to_json()],
    "test_zoo": ZOO.to_json(), "split": "test", "target": "test_accuracy", "checkpoints": "last",
    "metric": "tau", "value": 0.5, "low": 0.4, "high": None, "level": 0.95, "method": "",
    "n_networks": 30, "n_train": 24, "dropped": 0, "tied": 0.1, "tie_ceiling": 0.9, "epochs": 3,
    "steps": 9, "seconds": 1.5, "best_epoch": 2, "parameters": 100, "unseen": [], "status": "ok",
    "reason": None, "protocol_version": 1, "code_version": "0", "config": "{}",
}  # fmt: skip


def result(trial: str = "0123456789abcdef", **changes: object) -> TrialResult:
    row = {**ROW, "trial": trial, **changes}
    return TrialResult(
        trial=trial, figures=[row], curves=[{"epoch": 1, "val_loss": 0.25}], where={"host": "a"}
    )


def test_what_is_written_is_read(tmp_path: Path):
    write_result(tmp_path, result())
    table = read_results(tmp_path)
    assert table.schema.equals(FIGURES, check_metadata=True)
    assert table.to_pylist() == [ROW]
    assert read_curves(tmp_path, ROW["trial"]).to_pylist() == [{"epoch": 1, "val_loss": 0.25}]
    assert read_predictions(tmp_path, ROW["trial"]) is None
    assert read_where(tmp_path, ROW["trial"]) == {"host": "a"}
    assert zoos_of(table) == (ZOO,)


def test_trials_come_by_hash_or_in_the_order_wanted(tmp_path: Path):
    for trial in ("b", "a", "c"):
        write_result(tmp_path, result(trial))
    assert read_results(tmp_path).column("trial").to_pylist() == ["a", "b", "c"]
    assert read_results(tmp_path, ["c", "a"]).column("trial").to_pylist() == ["c", "a"]
    with pytest.raises(ResultsError, match=r"no result of 1 trials \(d\): the same sweep again"):
        read_results(tmp_path, ["d"])


def test_the_page_names_every_column():
    page = (Path(__file__).parents[2] / "docs" / "results-format.md").read_text()
    section = page.partition("## results/HASH.parquet")[2].partition("\nA zoo is")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)`", " ".join(cells)) == FIGURES.names


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(ResultsError, match="holds no results: a sweep writes them"):
        read_results(tmp_path)


def test_a_row_without_a_figure_is_not_written(tmp_path: Path):
    with pytest.raises(ValueError, match="non-nullable"):
        write_result(tmp_path, result(metric=None))
    assert finished(tmp_path) == frozenset()


def test_a_full_disk_is_one_sentence_and_leaves_no_result(tmp_path: Path):
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot write"):
        write_result(tmp_path, result())
    assert finished(tmp_path) == frozenset()


def test_damage_and_other_formats_are_said(tmp_path: Path):
    write_result(tmp_path, result("a"))
    path = tmp_path / "results" / "a.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(ResultsError, match=r"a\.parquet is damaged .*remove it and the same sweep"):
        read_results(tmp_path)
    pq.write_table(pq.ParquetFile(io.BytesIO(whole)).read().replace_schema_metadata({}), path)
    with pytest.raises(ResultsError, match="has results format none, this version reads 1"):
        read_results(tmp_path)


def test_what_killed_writers_left_is_removed(tmp_path: Path):
    write_result(tmp_path, result("a"))
    left = tmp_path / "results" / ".b.parquet.0.tmp"
    write_bytes(left, b"half")
    sweep_temporary(tmp_path)
    assert not left.exists()
    assert finished(tmp_path) == {"a"}


def test_zoos_are_named_as_shortly_as_they_differ():
    def zoo(number: int, **changes: object) -> ZooLabel:
        known = {"dataset": "svhn", "family": "arch2", "recipe": "quick", "seed": 0}
        return ZooLabel(hash=f"{number:064d}", **{**known, **changes})

    zoos = [
        zoo(0, family="arch1"),
        zoo(1, recipe="sne2024"),
        zoo(2),
        zoo(3, seed=1),
        zoo(10**60),
        zoo(0, family="arch1"),
    ]
    assert list(zoo_names(zoos).values()) == [
        "svhn × arch1",
        "svhn × arch2, sne2024",
        "svhn × arch2, quick, seed 0 (00000000)",
        "svhn × arch2, quick, seed 1",
        "svhn × arch2, quick, seed 0 (00010000)",
    ]


def test_what_was_asked_for_comes_back(tmp_path: Path):
    entries = (Entry(trial="a", table="chunk size", row="16", seed=0),)
    asked = Asked(
        kind="ablation", command="python -m sweeps.ablation", entries=entries, test_zoos=("z",)
    )
    with pytest.raises(ResultsError, match=r"is no sweep's folder: it has no sweep\.json"):
        read_asked(tmp_path)
    write_asked(tmp_path, asked)
    assert read_asked(tmp_path) == asked
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({**asked.to_json(), "format": 2}))
    with pytest.raises(ResultsError, match="has format 2, this version reads 1"):
        read_asked(tmp_path)
    path.write_text("{")
    with pytest.raises(ResultsError, match="is damaged"):
        read_asked(tmp_path)
