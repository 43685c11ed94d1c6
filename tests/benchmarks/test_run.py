import json
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.provenance import slug
from benchmarks.table import Promise, Row
from benchmarks.theme import Options

ROWS = (
    Row(name="a/b", what="x", promise=Promise(bound=3.0), reached=10.9),
    Row(name="a/c", what="y", fault="wrong", note="sums are 3"),
)


def test_a_recorded_table_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results")
    lines = [{**row.to_json(), **run.provenance()} for row in ROWS]
    name = run.record(lines, minutes=12.4, long=False)
    assert name.startswith(f"benchmarks/results/zoogen_{slug()}_")
    table = (tmp_path / "results" / Path(name).name).read_text(encoding="utf-8")
    assert "| a/b | x | ≥ 3 × | 10.9 × | pass |" in table
    assert "1 pass, 1 wrong; 12 minutes" in table
    (file,) = (tmp_path / "results").glob("*.jsonl")
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert tuple(Row.from_json(line) for line in found) == ROWS
    assert {"machine", "versions", "revision", "threads"} <= found[0].keys()


def test_a_theme_that_dies_becomes_a_failed_row():
    (line,) = run.measure("no_such_theme", Options())
    row = Row.from_json(line)
    assert (row.name, row.verdict, row.note) == ("no_such_theme", "failed", "exit code 1")
