"""`python -m sweeps.reproduce` on tiny zoos: tables beside published numbers, plans, refusals."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sne import models
from sweeps import reproduce
from sweeps.asked import read_asked
from sweeps.paper.artefacts import ARTEFACTS, DEEPSETS, MLP, NEURALGRAPH
from sweeps.paper.declared import Artefact, Need, Pair
from sweeps.paper.published import PUBLISHED, Published
from sweeps.paper.scale import SCALES, Scale
from sweeps.report import write_page
from sweeps.reproduce import main
from sweeps.results import finished

SNE = ("sne.width=8", "sne.heads=1", "sne.chunk_sabs=2", "sne.sabs=1", "sne.head=[8]")
TINY = Scale(
    name="tiny",
    summary="an epoch",
    seeds=(0, 1),
    epochs=1,
    settings=dict.fromkeys(("cnn", "inr"), ("training.batch=16", "deepsets.width=8")),
    sne={"inr": SNE},
)
ONE, OTHER = Need(dataset="digits", arch="arch1"), Need(dataset="digits", arch="arch2")
PAIRS = tuple(
    Pair(label=f"{a}→{b}", train=(own,), test=test)
    for a, own in (("one", ONE), ("other", OTHER))
    for b, test in (("one", ONE), ("other", OTHER))
)
HERE = ["--device", "cpu", "--local"]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny scale, the models of the first version alone, and pages without t-SNE."""
    page = partial(write_page, with_embedding=False)
    monkeypatch.setattr(
        reproduce, "add_page", lambda folder, measure, device: page(folder, measure=measure)
    )
    monkeypatch.setitem(SCALES, "tiny", TINY)  # pyright: ignore[reportArgumentType]
    for name in set(models.MODELS) - {"sne", "mlp", "deepsets", "statnn", "boosting"}:
        monkeypatch.delitem(models.MODELS, name)  # pyright: ignore[reportArgumentType]


def declare(monkeypatch, name: str, shape, pairs=PAIRS, lines=(DEEPSETS, MLP, NEURALGRAPH)) -> None:
    artefact = Artefact(
        name=name, title=f"Tiny {shape}", shape=shape, lines=lines, pairs=pairs, metric="tau",
        study="tiny", kind="cnn", once=True,
    )  # fmt: skip
    monkeypatch.setitem(ARTEFACTS, name, artefact)  # pyright: ignore[reportArgumentType]
    printed = {("one→other", "DeepSets"): Published(value=0.5), ("one", "DeepSets"): None}
    known = {place: p for place, p in printed.items() if p is not None}
    monkeypatch.setitem(PUBLISHED, name, known)


def rows_of(text: str) -> dict[str, list[str]]:
    """Cells of a Markdown table by the first of each row."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells] for cells in lines}


def test_table_1_and_e3_from_one_training_each(sine_zoo, tmp_path, capsys, monkeypatch):
    few = ("MLP", "NFN-NP", "NFT", "SNE", "boosting on statistics")
    for name in ("table1", "e3"):
        lines = tuple(line for line in ARTEFACTS[name].lines if line.name in few)
        monkeypatch.setitem(ARTEFACTS, name, replace(ARTEFACTS[name], lines=lines))  # pyright: ignore[reportArgumentType]
    out = tmp_path / "out"
    flags = ["--scale", "tiny", "--use", f"sine-siren={sine_zoo}", "--out", str(out), *HERE]
    assert main(["table1", *flags]) == 0
    text, told = capsys.readouterr()
    assert told.index("scale tiny: an epoch") < told.index("6 trials")
    rows = rows_of(text)
    ours, paper, less = rows["SNE"][3:6]
    assert paper == "0.098"
    assert float(less.partition(" ")[0]) == pytest.approx(float(ours.partition(" ")[0]) - 0.098)
    assert "…" in ours
    assert "±" in ours
    assert rows["SNE"][2] == "358,000"
    assert rows["MLP"][1:3] == ["14,017", "14,000"]
    assert rows["NFT"][3].startswith("– [")
    assert rows["NFT"][4] == "0.401"
    assert rows["boosting on statistics"][4] == "–"
    assert "missing in this version: model nft" in text
    assert "not confirmed whose" in text
    assert "Budget: scale tiny; networks: sine × siren 80 (64 to train on); epochs: MLP 1" in text
    # After one epoch nothing has left the constant, and the table says so.
    assert "†" in rows["SNE"][3]
    assert "‡" in rows["SNE"][3]
    assert "‡ not told from a constant" in text
    assert (out / "table1.md").read_text() in text
    assert (out / "table1.tex").read_text().count("\\begin{tabular}") == 1
    assert (out / "table1.png").read_bytes().startswith(b"\x89PNG")
    assert "boosting on statistics" in (out / "page.html").read_text()
    asked = read_asked(out)
    assert (asked.kind, asked.entries[0].row) == ("table1", "MLP")
    assert any("Missing in this version: model nfn_np" in note for note in asked.notes)
    trained = {path: path.stat().st_mtime_ns for path in (out / "results").iterdir()}
    assert len(trained) == 6
    _check_e3(flags, out, capsys)
    assert {path: path.stat().st_mtime_ns for path in (out / "results").iterdir()} == trained


def _check_e3(flags, out, capsys) -> None:
    """From the same trainings."""
    assert main(["e3", *flags]) == 0
    text, told = capsys.readouterr()
    assert "6 trials, 6 of them done already" in told
    rows = rows_of(text)
    assert rows["SNE"][2].startswith("1.00e-15 [")
    assert rows["boosting on statistics"][1] == "0.000 ±0.000"
    assert (out / "e3.tex").exists()


def test_pairs_averages_and_a_plane(arch1_zoo, arch2_zoo, tmp_path, capsys, monkeypatch):
    use = ["--use", f"digits-arch1={arch1_zoo}", "--use", f"digits-arch2={arch2_zoo}"]
    flags = ["--scale", "tiny", *use, "--out", str(tmp_path / "out"), *HERE]
    declare(monkeypatch, "pairs", "pairs")
    assert main(["pairs", *flags]) == 0
    text = capsys.readouterr().out
    rows = rows_of(text)
    # Three columns where the paper has a number, one where it has none.
    assert rows["model"][2:] == ["DeepSets", "paper", "less the paper's", "MLP", "NeuralGraph"]
    assert rows["one→other"][3] == "0.500"
    assert rows["one→one"][3:5] == ["–", "–"]
    assert rows["one→other"][5].startswith("n/a")
    assert rows["one→one"][5].partition(" ")[0] != "n/a"
    assert "missing in this version: model neuralgraph" in text
    assert len(finished(tmp_path / "out")) == 4

    declare(monkeypatch, "averages", "averages")
    assert main(["averages", *flags]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert list(rows)[2:] == ["one", "other"]
    assert rows["one"][4].startswith("n/a")
    assert rows["one"][5].startswith("– [")
    assert len(finished(tmp_path / "out")) == 4

    both = tuple(Pair(label=n, train=(ONE, OTHER), test=t) for n, t in (("a", ONE), ("b", OTHER)))
    declare(monkeypatch, "plane", "plane", pairs=both, lines=(DEEPSETS, NEURALGRAPH))
    assert main(["plane", *flags]) == 0
    places = pq.read_table(tmp_path / "out" / "plane.parquet")
    assert places.num_rows == 30 + 15
    assert set(places.column("group").to_pylist()) == {"digits × arch1", "digits × arch2"}
    assert set(places.column("line").to_pylist()) == {"DeepSets"}
    assert (tmp_path / "out" / "plane.png").read_bytes().startswith(b"\x89PNG")


def test_a_plan_that_fits_a_time_is_measured_once_and_kept(sine_zoo, tmp_path, capsys, monkeypatch):
    laptop = Scale(
        name="laptop", summary="short", seeds=(0,), epochs=2, minutes=60, recipes={"cnn": "quick"},
        members={"cnn": 80}, settings=TINY.settings, sne=TINY.sne,
    )  # fmt: skip
    monkeypatch.setitem(SCALES, "laptop", laptop)  # pyright: ignore[reportArgumentType]
    declare(
        monkeypatch, "sizes", "sizes", lines=(DEEPSETS,),
        pairs=(Pair(label="all", train=(W,), test=W),),
    )  # fmt: skip
    out = tmp_path / "out"
    flags = ["sizes", "--use", f"sine-siren={sine_zoo}", "--out", str(out), *HERE]
    assert main([*flags, "--minutes", "9"]) == 0
    text, told = capsys.readouterr()
    assert "of 9 min, by steps measured here" in told
    assert "64 (all)" in text
    kept = json.loads((out / "budget.json").read_text())
    assert (kept["minutes"], kept["epochs"]) == (9.0, {"DeepSets": 2})

    def never(*args, **how):
        raise AssertionError("a kept plan is not measured again")

    monkeypatch.setattr(reproduce, "measure_paces", never)
    assert main([*flags, "--minutes", "9"]) == 0
    assert json.loads((out / "budget.json").read_text()) == kept
    assert main([*flags, "--minutes", "10"]) == 2
    assert "was planned with --minutes 9.0, and 10.0 is asked for" in capsys.readouterr().err


W = Need(dataset="sine", arch="siren")


def test_zoos_are_made_when_that_is_allowed(tmp_path, cache_dir, capfd, monkeypatch):
    """The smallest zoo of the laptop's scale, by zoogen's command, and a resumed plan."""
    monkeypatch.setitem(
        SCALES,  # pyright: ignore[reportArgumentType]
        "laptop",
        Scale(
            name="laptop", summary="short", seeds=(0,), epochs=1, minutes=60,
            recipes={"cnn": "quick"}, members={"cnn": 60}, settings=TINY.settings,
        ),
    )  # fmt: skip
    declare(
        monkeypatch, "made", "sizes", lines=(DEEPSETS,),
        pairs=(Pair(label="all", train=(W,), test=W),),
    )  # fmt: skip
    out, zoos = tmp_path / "out", tmp_path / "zoos"
    flags = ["made", "--zoos", str(zoos), "--out", str(out), *HERE]
    assert main([*flags, "--dry-run"]) == 0
    shown = capfd.readouterr().out
    place = zoos / "sine-siren-laptop-seed0"
    flags_shown = "--dataset sine --arch siren --recipe quick --members 60"
    assert f"python -m zoogen.run {flags_shown} --out {place}" in shown
    assert not out.exists()
    assert main(flags) == 2
    assert "zoos that are not there: sine × siren; add --make-zoos" in capfd.readouterr().err
    assert main([*flags, "--make-zoos"]) == 0
    assert (place / "manifest.json").exists()
    assert json.loads((out / "budget.json").read_text())["members"] == 60


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["table10"], "no table or figure 'table10'; there are: table1,"),
        (["table1", "--scale", "huge"], "no scale 'huge'; there are: paper,"),
        (["table1", "--scale", "paper", "--minutes", "9"], "--minutes is for scales that fit a"),
        (["table1", "--minutes", "0"], "--minutes is above 0, got 0"),
        (["table1", "--use", "mine"], "--use is KEY=FOLDER, for example"),
        (["table1", "--use", "svhn=x"], "table1 has no zoo 'svhn' for --use; its zoos: sine-siren"),
        (["table8", "--minutes", "1"], "1 minutes are too short: "),
        (["table1", "--use", "sine-siren=gone"], "gone"),
    ],
)
def test_refusals_are_one_sentence(flags, sentence, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out"), "--zoos", str(tmp_path / "zoos")]
    assert main([*flags, *out]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def test_what_this_version_cannot_do_at_all_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(ARTEFACTS, "only", _only_neuralgraph())
    monkeypatch.setitem(PUBLISHED, "only", {})
    flags = ["only", "--scale", "tiny", "--out", str(tmp_path / "out"), *HERE]
    assert main(flags) == 2
    said = capsys.readouterr().err
    assert "nothing of only can be trained. Missing in this version: model neuralgraph." in said
    assert not Path(tmp_path / "out").exists()


def _only_neuralgraph() -> Artefact:
    return Artefact(
        name="only", title="Only", shape="pairs", lines=(NEURALGRAPH,), pairs=PAIRS, metric="tau",
        study="only", kind="cnn",
    )  # fmt: skip
