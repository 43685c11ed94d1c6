"""The simulation against cases that can be worked out by hand, and against its own books."""

import ast
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.cluster_simulation import (
    WINDOW,
    Cluster,
    as_it_was_made,
    bend,
    later,
    main,
    simulate,
)
from zoogen.entry import ShardEntry
from zoogen.execute import Receipt

TIMES = np.random.default_rng(0).uniform(5, 60, 300).tolist()
COSTS: dict[str, Any] = {"start_s": 7.0, "put_s": 0.3, "commit_s": 0.02}


def entry(shard: int) -> ShardEntry:
    name = f"shards/part-{shard:05d}.parquet"
    return ShardEntry(name=name, rows=32, networks=32, status={"ok": 32}, bytes=1, sha256="0")


def receipt(shard: int, worker: str, seconds: float) -> Receipt:
    return Receipt(
        shard=shard, status="made", entry=entry(shard), attempt=1, cpu_seconds=seconds,
        wall_seconds=2 * seconds, worker=worker,
    )  # fmt: skip


def test_one_worker_takes_the_sum():
    found = simulate(TIMES, Cluster(workers=1))
    assert found.seconds == pytest.approx(sum(TIMES))
    assert found.efficiency == pytest.approx(1)
    found = simulate(TIMES, Cluster(workers=1, **COSTS))
    # Receipts are committed while the next shard trains; only the last is waited for.
    assert found.seconds == pytest.approx(7 + sum(TIMES) + 300 * 0.3 + 0.02)


def test_as_many_workers_as_shards_take_the_longest():
    assert simulate(TIMES, Cluster(workers=300)).seconds == pytest.approx(max(TIMES))
    more = simulate(TIMES, Cluster(workers=3_000))
    assert more.seconds == pytest.approx(max(TIMES))
    assert more.limit == "tail"


def test_a_slow_driver_sets_the_rate():
    found = simulate([1.0] * 1_000, Cluster(workers=500, commit_s=0.5))
    assert found.seconds == pytest.approx(1 + 1_000 * 0.5)
    assert found.limit == "commits"


def test_equal_shards_take_whole_rounds():
    assert simulate([3.0] * 10, Cluster(workers=4)).seconds == pytest.approx(9)
    assert simulate([3.0] * 12, Cluster(workers=4)).efficiency == pytest.approx(1)


def test_windows_wait_and_start_again():
    found = simulate([1.0, 5.0, 1.0, 5.0], Cluster(workers=2, start_s=2.0, window=2))
    assert found.seconds == pytest.approx(2 * (2 + 5))
    assert (found.start, found.tail) == (pytest.approx(8), pytest.approx(8))
    assert simulate([1.0, 5.0, 1.0, 5.0], Cluster(workers=2, start_s=2.0)).seconds == 2 + 7


@pytest.mark.parametrize("workers", [1, 2, 7, 64, 512])
@pytest.mark.parametrize("window", [50, 128, WINDOW])
def test_all_workers_time_is_accounted_for(workers: int, window: int):
    found = simulate(TIMES, Cluster(workers=workers, window=window, **COSTS))
    spent = found.work + found.start + found.put + found.tail + found.commit
    assert spent == pytest.approx(workers * found.seconds)
    assert found.efficiency + sum(found.losses.values()) == pytest.approx(1)


def test_more_workers_are_never_slower_by_more_than_the_rule_of_lists_allows():
    """List scheduling is at most 2 - 1/m times the best schedule, which no machine beats."""
    for workers in (2, 8, 64):
        best = max(max(TIMES), sum(TIMES) / workers)
        found = simulate(TIMES, Cluster(workers=workers)).seconds
        assert best <= found <= (2 - 1 / workers) * best


def test_the_bend_lies_where_efficiency_falls():
    good, bad = bend([10.0] * 64, Cluster(workers=1))
    assert good is not None
    assert bad is not None
    assert (good.workers, bad.workers, bad.limit) == (64, 128, "tail")
    assert bend([1.0], Cluster(workers=1, start_s=100.0))[0] is None


def test_a_workers_first_shard_contains_its_start_and_does_not_count():
    run = [receipt(0, "a:1", 9.0), receipt(1, "b:2", 8.0), receipt(2, "a:1", 1.0)]
    failed = replace(receipt(4, "a:1", 7.0), status="failed", entry=None)
    kept = later([*run, receipt(3, "b:2", 2.0), failed])
    assert [each.cpu_seconds for each in kept] == [1.0, 2.0]


def test_a_zoos_own_run_is_simulated_from_its_receipts(tmp_path: Path):
    """Two workers, 4 + 2 s and 6 s by the wall, in a run that the clock says took 9 s."""
    (tmp_path / "log").mkdir()
    begun = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)
    noted = {"begun_utc": begun.strftime("%Y%m%d-%H%M%S")}
    (tmp_path / "log" / "run-x.json").write_text(json.dumps(noted))
    run = [receipt(1, "b:2", 3.0), receipt(0, "a:1", 2.0), receipt(2, "a:1", 1.0)]
    assert as_it_was_made(tmp_path, run) is None
    manifest = tmp_path / "manifest.json"
    manifest.touch()
    end = begun.timestamp() + 9
    os.utime(manifest, (end, end))
    found = as_it_was_made(tmp_path, run)
    assert found == (
        "made by 2 workers: 6.0 s by its shards' times, 9.0 s by the clock, of which 3.0 s before "
        "the first shard or after the last"
    )
    (tmp_path / "log" / "run-y.json").write_text(json.dumps(noted))
    assert as_it_was_made(tmp_path, run) is None


def test_the_command_reads_a_zoos_receipts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "log").mkdir()
    lines = [json.dumps(receipt(i, "a:1", 4.0).to_json()) for i in range(5)]
    (tmp_path / "log" / "receipts-x-0000.jsonl").write_text("\n".join(lines))
    flags = ["--zoo", str(tmp_path), "--members", "640", "--workers", "1", "4"]
    main([*flags, "--start", "0", "--put", "0", "--commit", "0"])
    out = capsys.readouterr().out
    assert "4 shards measured: 4 to 4 s, mean 4 s of CPU, 0.1250 s for each network" in out
    assert "640 networks are 20 shards" in out
    assert "| 1 | 80 s | 100% |" in out
    assert "| 4 | 20 s | 100% |" in out


def test_a_zoo_without_receipts_is_refused(tmp_path: Path):
    with pytest.raises(SystemExit, match="no receipt of a worker's second shard"):
        main(["--zoo", str(tmp_path)])


def test_the_window_is_that_of_the_pipeline():
    path = Path(__file__).parents[2] / "zoogen" / "pipeline.py"
    assigned = {
        node.targets[0].id: node.value
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert ast.literal_eval(assigned["WINDOW"]) == WINDOW
