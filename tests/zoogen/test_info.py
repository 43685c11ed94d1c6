"""`python -m zoogen.info` on zoos really trained: JSON against plain numpy, text and figures."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_zoo import OTHER_PLATFORM, image_plan, make_zoo, snapshots
from trained_zoo import Zoo, read_shard

from zoogen import info
from zoogen.errors import PlanError, ShardError
from zoogen.look.content import read_content
from zoogen.look.explain import Explanation
from zoogen.look.plots import draw
from zoogen.look.report import make_report
from zoogen.look.tables import as_text, print_rich
from zoogen.manifest import MANIFEST_NAME
from zoogen.plan import Plan
from zoogen.schema import WEIGHTS
from zoogen.shards import write_shard
from zoogen.store import Store, open_store


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    info.main(list(arguments))
    return capsys.readouterr().out


def all_rows(store: Store, plan: Plan) -> list[dict[str, Any]]:
    """Read without the code under test."""
    tables = [read_shard(store, spec.name).drop_columns([WEIGHTS]) for spec in plan.shards()]
    return [row for table in tables for row in table.to_pylist()]


# --- the command on zoos really trained


def test_classifiers(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, plan = trained_digits
    rows = all_rows(store, plan)
    last = {row["member"]: row for row in sorted(rows, key=lambda r: r["epoch"])}
    told = json.loads(said(capsys, store.uri, "--json"))
    assert told["complete"] is True
    assert (told["members"], told["rows"], told["shards"]) == (20, len(rows), 4)
    assert told["plan"] == plan.to_json()
    ended = [row["status"] for row in last.values()]
    assert told["status"] == {s: ended.count(s) for s in ("ok", "diverged", "unfitted")}
    splits = [row["split"] for row in last.values()]
    assert told["members_by_split"] == {s: splits.count(s) for s in ("train", "val", "test")}
    accuracy = np.array(
        [r["test_accuracy"] for r in last.values() if r["test_accuracy"] is not None]
    )
    spread_of_all = told["final"]["test_accuracy"]["all"]
    assert spread_of_all["networks"] == len(accuracy)
    for name, q in (("minimum", 0), ("p10", 0.1), ("median", 0.5), ("p90", 0.9), ("maximum", 1)):
        assert spread_of_all[name] == pytest.approx(np.quantile(accuracy, q))
    chance = plan.data["chance_accuracy"]
    (share,) = spread_of_all["at_or_below"].values()
    assert share == pytest.approx(np.mean(accuracy <= chance + 1e-12))
    first = [r["test_accuracy"] for r in rows if r["epoch"] == 0]
    assert told["checkpoints"]["0"]["mean"] == pytest.approx(np.mean(first))
    assert "too few" in told["explanation"]["reason"]


def test_classifiers_in_words(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, plan = trained_digits
    text = said(capsys, store.uri)
    for part in (
        f"{store.uri} (complete)",
        "quick-arch1: 2 epochs, batch 64, checkpoints 0 1 2; seed 5",
        "dropout 0..0.3; init_std log:0.001..0.5",
        "TruncatedNormal; b_init zeros; epsilon 1e-07; momentum 0.0",
        "digits: 1,297 training and 500 test images of 28×28×1",
        f"chance accuracy {plan.data['chance_accuracy']:.4f}; licence: Optical Recognition",
        f"arch1: 4,970 parameters (id {plan.architecture})",
        "engine loop, 1 thread, torch",
        "20 (8 train, 2 val, 10 test)",
        "4 shards",
        "test accuracy, last checkpoint of each network",
        "≤ chance",
        "at least 30 are needed",
    ):
        assert part in text
    assert "\x1b" not in text
    assert "─" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_inrs(trained_sine: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, plan = trained_sine
    rows = sorted(all_rows(store, plan), key=lambda r: -r["mse"])
    told = json.loads(said(capsys, store.uri, "--json"))
    assert [w["member"] for w in told["worst"]] == [r["member"] for r in rows]
    assert told["worst"][0]["signal"] == {
        "frequency": rows[0]["frequency"],
        "amplitude": rows[0]["amplitude"],
    }
    mse = np.array([r["mse"] for r in rows])
    shares = told["final"]["mse"]["all"]["at_or_below"]
    assert shares == {"0.0001": np.mean(mse <= 1e-4), "0.001": np.mean(mse <= 1e-3)}
    text = said(capsys, store.uri)
    assert "sine: a·sin(b·x) at 128 points of [-π, π)" in text
    assert "at most 70 steps, stopped at an MSE of 0.0001" in text
    assert "the 8 worst fits" in text
    assert f"{rows[0]['frequency']:.6g}" in text


def test_unfinished(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, plan = trained_digits
    store.delete(MANIFEST_NAME)
    gone = list(plan.shards())[1]
    store.delete(gone.name)
    text = said(capsys, store.uri)
    assert f"{store.uri} (unfinished)" in text
    assert "in 3 of 4 shards" in text
    assert f"{20 - len(gone.members)} of 20 (" in text


def test_planned_only(trained_digits: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    store, plan = trained_digits
    for spec in plan.shards():
        store.delete(spec.name)
    store.delete(MANIFEST_NAME)
    text = said(capsys, store.uri)
    assert "0 of 20 (" in text
    assert "0 rows in 0 of 4 shards" in text
    assert "0 measured networks are too few" in text


def test_no_zoo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        info.main([str(tmp_path)])
    assert stop.value.code == 2
    assert "holds no zoo: wanted a folder or URI with a plan.json" in capsys.readouterr().err


def test_other_platforms_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = image_plan()
    store = make_zoo(tmp_path / "zoo", plan)
    assert "7 threads" not in said(capsys, store.uri)
    spec = next(plan.shards())
    made = snapshots(plan, spec)
    write_shard(store, plan=plan, spec=spec, snapshots=made, platform=OTHER_PLATFORM)
    text = said(capsys, store.uri)
    assert "engine loop, 1 thread, torch" in text
    assert "engine loop, 7 threads, torch" in text


def test_damaged_shard(trained_digits: Zoo) -> None:
    store, plan = trained_digits
    name = next(plan.shards()).name
    store.put(name, b"nothing")
    with pytest.raises(ShardError, match=r"part-00000.parquet cannot be read .* zoogen.verify"):
        read_content(store)


def test_on_a_terminal(trained_sine: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    """The same cells as in the plain text, within lines."""
    report = make_report(read_content(trained_sine[0]))
    print_rich(report)
    rich = capsys.readouterr().out
    assert "─" in rich
    assert "mean squared error, last checkpoint of each network" in rich
    assert f"{report.worst[0].mse:.2e}" in rich
    assert f"{report.worst[0].mse:.2e}" in as_text(report)


# --- figures


def pixels(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path).convert("L"))


def test_figures_show_the_zoo(
    trained_digits: Zoo, trained_sine: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Six panels, each with ink in it; other networks give another picture."""
    whole = tmp_path / "whole.png"
    said(capsys, trained_digits[0].uri, "--plot", str(whole))
    image = pixels(whole)
    height, width = image.shape
    for row in range(2):
        for column in range(3):
            panel = image[
                row * height // 2 : (row + 1) * height // 2,
                column * width // 3 : (column + 1) * width // 3,
            ]
            assert np.mean(panel < 200) > 0.002
    trained_digits[0].delete(next(trained_digits[1].shards()).name)
    trained_digits[0].delete(MANIFEST_NAME)
    part = tmp_path / "part.png"
    said(capsys, trained_digits[0].uri, "--plot", str(part))
    assert not np.array_equal(image, pixels(part))
    said(capsys, trained_sine[0].uri, "--plot", str(tmp_path / "sine.svg"))
    assert (tmp_path / "sine.svg").read_text().count('<g id="axes_') >= 6


def test_figure_of_a_zoo_without_networks(trained_digits: Zoo, tmp_path: Path) -> None:
    store, plan = trained_digits
    for spec in plan.shards():
        store.delete(spec.name)
    content = read_content(store)
    draw(content, make_report(content), tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 1000


def test_figure_with_an_explanation(tmp_path: Path) -> None:
    """40 networks are enough for the last panel; 8 members' bars at most."""
    store = make_zoo(tmp_path / "zoo", image_plan(40, checkpoints=(0, 1)))
    content = read_content(store)
    report = make_report(content)
    assert isinstance(report.explanation, Explanation)
    draw(content, report, tmp_path / "zoo.pdf")
    assert (tmp_path / "zoo.pdf").read_bytes().startswith(b"%PDF")


def test_figure_refusals(trained_sine: Zoo, tmp_path: Path) -> None:
    content = read_content(trained_sine[0])
    report = make_report(content)
    with pytest.raises(PlanError, match=r"ending in \.png, \.pdf, \.svg, got 'zoo\.gif'"):
        draw(content, report, tmp_path / "zoo.gif")
    with pytest.raises(PlanError, match=r"cannot write .*: No such file"):
        draw(content, report, tmp_path / "nowhere" / "zoo.png")


# --- the command itself


def test_help_is_light() -> None:
    code = (
        "import sys\nfrom zoogen import info\n"
        "try:\n    info.main(['--help'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'ray', 'pyarrow', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(','.join(heavy) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("--plot", "--json", "--data-dir", "--no-download", "zoo.png"):
        assert word in done.stdout


def test_looking_needs_no_torch(trained_sine: Zoo, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom zoogen import info\n"
        f"info.main([{trained_sine[0].uri!r}, '--plot', {str(tmp_path / 'zoo.png')!r}])\n"
        "sys.exit('torch' if 'torch' in sys.modules else None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_relative_folder(
    trained_sine: Zoo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(trained_sine[0].uri)
    monkeypatch.chdir(folder.parent)
    assert open_store(folder.name).uri in said(capsys, folder.name)
