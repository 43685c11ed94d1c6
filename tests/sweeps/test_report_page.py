"""The report page: its numbers are the Parquet files', links lead somewhere, names are text."""

import json
import re
import shlex
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MACHINE, tiny_config, tiny_trial
from page_reader import Element, read_page

from sne.options import parse_options
from sne.resampling import Resampling
from sweeps.asked import Asked, Entry, read_asked, write_asked
from sweeps.attempt import note_death
from sweeps.cells import read_cell
from sweeps.factors import FULL
from sweeps.matrix import main as fill_matrix
from sweeps.measures import MEASURES
from sweeps.page.embedding import MOST
from sweeps.page.trials import FIXED
from sweeps.perform import complete_trial
from sweeps.report import main
from sweeps.results import read_predictions, read_results
from sweeps.tables import number_text
from sweeps.trial import make_trial
from sweeps.zoos import find_target, open_sweep_zoos

TINY = (
    "--epochs", "1", "--set", "training.batch=8", "--set", "deepsets.width=8", "--device", "cpu",
    "--local",
)  # fmt: skip


@pytest.fixture(scope="module")
def matrix(arch1_zoo, arch2_zoo, tmp_path_factory) -> Path:
    """Two models on two zoos with two seeds."""
    out = tmp_path_factory.mktemp("report") / "matrix"
    zoos, models = (str(arch1_zoo), str(arch2_zoo)), ("deepsets", "statnn")
    flags = ["--zoos", *zoos, "--models", *models, "--seeds", "0", "1", *TINY]
    assert fill_matrix([*flags, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def page(matrix) -> Element:
    """As the matrix wrote it at its end."""
    return read_page((matrix / "page.html").read_text())


@pytest.fixture(scope="module")
def settings(sine_zoo, tmp_path_factory) -> tuple[Path, Asked]:
    """Three trials on SIRENs, and an ablation of them."""
    out = tmp_path_factory.mktemp("report") / "settings"
    zoos = open_sweep_zoos([str(sine_zoo)])
    trials = [tiny_trial(zoos, seed=seed) for seed in (0, 1)]
    other = tiny_config(seed=0)
    other = replace(other, training=replace(other.training, batch=16))
    trials.append(replace(trials[0], config=replace(other, data=trials[0].config.data)))
    for trial in trials:
        complete_trial(trial, out, machine=MACHINE, command="python -m sweeps.ablation")
    rows = ((FULL, 0), (FULL, 1), ("batch 16", 0))
    asked = Asked(
        kind="ablation",
        command="python -m sweeps.ablation",
        entries=tuple(
            Entry(trial=trial.hash, table="steps", row=row, seed=seed)
            for trial, (row, seed) in zip(trials, rows, strict=True)
        ),
        test_zoos=(zoos[0].ref.label.hash,),
        notes=("Budget: 2 epochs.",),
    )
    write_asked(out, asked)
    return out, asked


def page_of(folder: Path, *flags: str) -> Element:
    assert main([str(folder), "--device", "cpu", *flags]) == 0
    return read_page((folder / "page.html").read_text())


def shown(element: Element) -> list[float]:
    """The numbers in an element, exactly; each must say what it is rounded to."""
    found = []
    for data in element.all("data"):
        assert data.text.strip()
        found.append(float(data.get("value")))
    return found


def check_figures(page: Element, rows: list[dict[str, Any]]) -> None:
    """Every row of the results stands on the page, with its very numbers, and no other."""
    by_trial: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_trial.setdefault(row["trial"], []).append(row)
    for trial, own in by_trial.items():
        lines = list(
            page.one("details", id=f"trial-{trial}").one("table", class_="figures").all("tr")
        )[1:]
        assert len(lines) == len(own)
        for line, row in zip(lines, own, strict=True):
            assert line.get("data-metric") == row["metric"]
            assert line.get("data-zoo") == (row["test_zoo"] or {"hash": ""})["hash"]
            known = [row[name] for name in ("value", "low", "high") if row[name] is not None]
            assert shown(line) == [*known, row["n_networks"]]
            texts = [data.text for data in line.all("data")]
            fixed = row["metric"] in FIXED
            assert texts[:-1] == [number_text(value, fixed=fixed) for value in known]


def test_every_figure_of_the_parquet_files_stands_there(matrix, page):
    check_figures(page, read_results(matrix).to_pylist())


def test_that_comparison_can_fail(matrix, page):
    rows = read_results(matrix).to_pylist()
    row = next(row for row in rows if row["value"] is not None)
    with pytest.raises(AssertionError):
        check_figures(page, [{**r, "value": r["value"] + 1e-9} if r is row else r for r in rows])
    with pytest.raises(AssertionError):
        check_figures(page, rows[1:])


def test_means_over_seeds_are_those_of_the_table_in_markdown(matrix, page):
    lines = [line for line in (matrix / "matrix.md").read_text().splitlines() if " × " in line]
    cells = [[cell.strip() for cell in line.split("|")[4:-1]] for line in lines if line[0] == "|"]
    rows = [row for row in page.one("table", id="matrix").all("tr") if list(row.all("td"))]
    assert len(rows) == len(cells) + 1  # the mean over all pairs
    for row, own in zip(rows, cells, strict=False):
        for cell, text in zip(list(row.all("td"))[-2:], own, strict=True):
            numbers = [data.text for data in cell.all("data")]
            assert set(numbers) == set(re.findall(r"−?\d+\.\d+", text))
            assert ("best" in cell.get("class")) == ("**" in text)
            assert ("n/a" in cell.text) == text.startswith("n/a")


def test_means_and_their_intervals_are_exact(matrix, page):
    asked = read_asked(matrix)
    figures = read_results(matrix).to_pylist()
    panel = page.one("table", id="heat-0")  # deepsets
    assert panel.one("caption").text == "deepsets"
    for at, (place, trials) in enumerate(list(asked.places.items())[:1]):
        assert place[0] == "deepsets"
        row = [r for r in panel.all("tr") if list(r.all("td"))][at]
        for cell, zoo in zip(row.all("td"), asked.test_zoos, strict=False):
            taus = [
                f["value"]
                for f in figures
                if (f["trial"] in trials and f["metric"] == "tau") and f["test_zoo"]["hash"] == zoo
            ]
            assert len(taus) == 2
            estimate = read_cell(matrix, trials, zoo, "tau").estimate(MEASURES["tau"], Resampling())
            assert estimate is not None
            assert shown(cell) == [estimate.value, estimate.low, estimate.high]
            assert shown(cell)[0] == pytest.approx(sum(taus) / 2, abs=1e-12)


def test_every_link_leads_somewhere_and_nothing_leads_outside(matrix, page):
    ids = [element.get("id") for element in page.all() if element.get("id")]
    assert not [name for name, count in Counter(ids).items() if count > 1]
    links = [
        element.get(name)
        for element in page.all()
        for name in ("href", "xlink:href", "src", "aria-labelledby", "aria-describedby")
        if element.get(name)
    ]
    assert len(links) > 50
    for link in links:
        assert link.startswith("data:") or link.removeprefix("#") in ids
    text = (matrix / "page.html").read_text()
    assert set(re.findall(r"https?://[^\s\"'<>)]+", text)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {f"#{name}" for name in ids}
    assert "@import" not in text


def test_every_number_of_a_table_leads_to_its_trials(matrix, page):
    asked = read_asked(matrix)
    places = list(asked.places.values())
    cells = [
        cell
        for name in ("heat-0", "heat-1", "matrix")
        for cell in page.one("table", id=name).all("td", class_="number")
        if list(cell.all("data"))
    ]
    assert len(cells) > 10
    for cell in cells:
        target = cell.one("a").get("href").removeprefix("#")
        if target == "trials":  # the mean over all pairs
            continue
        body = page.one("tbody", id=target)
        trials = [link.get("href").removeprefix("#trial-") for link in body.all("a")]
        assert trials == places[int(target.removeprefix("place-"))]


def test_each_command_alone_is_the_trial(matrix, page):
    for row in {r["trial"]: r for r in read_results(matrix).to_pylist()}.values():
        details = page.one("details", id=f"trial-{row['trial']}")
        command, *tests = next(details.all("pre")).text.splitlines()
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "sne.train"]
        options = parse_options(words[3:])
        wanted = json.loads(row["config"])["config"]
        found = json.loads(json.dumps(options.config.to_json()))
        zoos = found["data"].pop("zoo")
        assert found == wanted
        assert all((Path(zoo) / "manifest.json").exists() for zoo in zoos)
        assert (options.machine.device, options.machine.threads) == ("cpu", 1)
        assert len(tests) == 1
        assert tests[0].startswith("python -m sne.evaluate runs/one --zoo ")


def test_what_ran_where(matrix, page):
    rows = list(page.one("table", id="runs").all("tr"))[1:]
    figures = {r["trial"]: r for r in read_results(matrix).to_pylist()}
    assert {row.one("code").text for row in rows} == set(figures)
    for row in rows:
        assert shown(row) == [figures[row.one("code").text]["seconds"]]
        assert ", cpu (" in row.text
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row.text)


def test_pictures_have_words_and_take_the_themes_colours(page):
    pictures = list(page.all("svg"))
    assert len(pictures) >= 8
    for picture in pictures:
        assert picture.get("role") == "img"
        assert len(picture.get("aria-label")) > 10
        styles = " ".join(element.get("style") for element in picture.all())
        assert "var(--soft)" in styles
        assert "#010203" not in styles
    labels = [picture.get("aria-label") for picture in pictures]
    assert sum(label.startswith("predicted against true") for label in labels) == 6
    assert sum(label.startswith("validation loss by epoch") for label in labels) == 2
    assert any(label.startswith("t-SNE of ") for label in labels)
    assert MOST >= 15


def test_an_ablation_has_pictures_and_paired_differences(settings):
    folder, asked = settings
    page = page_of(folder)
    check_figures(page, read_results(folder).to_pylist())
    table = page.one("table", id="table-0")
    rows = {row.one("th", scope="row").text: row for row in table.all("tr") if list(row.all("td"))}
    assert set(rows) == {FULL, "batch 16"}
    zoo = asked.test_zoos[0]
    cells = {
        row: read_cell(folder, trials, zoo, "mse") for (_, row), trials in asked.places.items()
    }
    difference = cells["batch 16"].difference(cells[FULL], MEASURES["mse"], Resampling())
    assert shown(list(rows["batch 16"].all("td"))[1]) == [
        difference.value,
        difference.low,
        difference.high,
    ]
    assert not shown(list(rows[FULL].all("td"))[1])
    labels = [picture.get("aria-label") for picture in page.all("svg")]
    assert any(label.startswith("mean squared error by steps: full model ") for label in labels)
    assert "Budget: 2 epochs." in page.text


def test_pairs_that_were_not_asked_for_have_no_figure_and_no_averages(matrix, tmp_path):
    folder = shutil.copytree(matrix, tmp_path / "partial", ignore=shutil.ignore_patterns("runs"))
    asked = read_asked(folder)
    kept = [e for e in asked.entries if (e.table, e.row) != ("statnn", "digits × arch2")]
    renamed = tuple(replace(e, table=f"our {e.table}") for e in kept)
    write_asked(folder, replace(asked, kind="table2", entries=renamed))
    page = page_of(folder)
    rows = [row for row in page.one("table", id="matrix").all("tr") if list(row.all("td"))]
    assert ["mean" in row.text for row in rows] == [False] * 4
    heads = [head.text for head in page.one("table", id="matrix").all("th", scope="col")]
    assert heads[-2:] == ["our deepsets", "our statnn"]
    missing = [list(row.all("td"))[-1] for row in rows if "digits × arch2" in row.one("th").text]
    assert [shown(cell) for cell in missing] == [[], []]
    assert "not trained or not tested so: it was not asked for" in page.text
    assert len(list(page.one("table", id="heat-1").all("td", class_="heat"))) == 1


def test_categories_are_counted(arch1_zoo, tmp_path):
    zoos = open_sweep_zoos([str(arch1_zoo)])
    config = tiny_config()
    target = find_target(zoos, "activation", config.data.which)
    trial = make_trial(config, train=[zoos[0].ref], test=[zoos[0].ref], target=target)
    complete_trial(trial, tmp_path, machine=MACHINE)
    entry = Entry(trial=trial.hash, table="deepsets", row="digits × arch1", seed=0)
    hashes = (zoos[0].ref.label.hash,)
    asked = Asked(kind="matrix", command="x", entries=(entry,), test_zoos=hashes)
    write_asked(tmp_path, asked)
    page = page_of(tmp_path, "--no-tsne")
    assert "Matrix: activation, by accuracy" in page.one("h1").text
    table = page.one("section", id="predicted").one("table")
    rows = {row.one("th").text: shown(row) for row in list(table.all("tr"))[1:]}
    columns = [head.text for head in table.all("th", scope="col")][1:]
    rows_of = read_predictions(tmp_path, trial.hash).to_pylist()
    assert set(rows) == set(columns)
    for true, counts in rows.items():
        for predicted, count in zip(columns, counts, strict=True):
            pair = (true, predicted)
            assert count == sum((r["target"], r["prediction"]) == pair for r in rows_of)


def test_other_lists_have_losses_and_the_metric_that_is_asked_for(settings):
    folder, asked = settings
    entries = tuple(replace(e, table="search", row=f"number {e.trial}") for e in asked.entries)
    write_asked(folder, replace(asked, kind="search", entries=entries))
    try:
        page = page_of(folder, "--metric", "mae", "--no-tsne")
    finally:
        write_asked(folder, asked)
    figures = read_results(folder).to_pylist()
    table = page.one("table", id="table-0")
    for row in list(table.all("tr"))[1:]:
        trial = row.one("th").text.removeprefix("number ")
        own = {f["metric"]: f["value"] for f in figures if f["trial"] == trial}
        loss, error = row.all("td")
        assert shown(loss) == [own["val_loss"]]
        assert shown(error)[0] == pytest.approx(own["mae"], rel=1e-12)
    assert "t-SNE" not in page.one("section", id="encodings").text


def test_the_same_results_make_the_same_bytes(settings, tmp_path):
    folder, _ = settings
    pages = [tmp_path / "one.html", tmp_path / "two.html"]
    for path in pages:
        assert main([str(folder), "--device", "cpu", "--out", str(path)]) == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_trials_that_failed_or_are_missing_are_said(settings, tmp_path):
    folder, asked = settings
    entries = (
        *asked.entries,
        Entry(trial="f" * 16, table="steps", row="batch 0", seed=0),
        Entry(trial="e" * 16, table="steps", row="batch 1", seed=0),
    )
    write_asked(folder, replace(asked, entries=entries))

    class Failed:
        hash = "f" * 16

        def __str__(self) -> str:
            return "a trial"

    note_death(folder, Failed(), "the loss is <b>not</b> finite")  # pyright: ignore[reportArgumentType]
    try:
        page = page_of(folder, "--no-tsne")
    finally:
        (folder / "failures" / f"{'f' * 16}.json").unlink()
        write_asked(folder, asked)
    said = page.one("div", class_="alert").text
    assert "1 of 5 trials failed." in said
    assert "1 of 5 trials have no result yet." in said
    assert "steps: batch 0, seed 0: failed: the loss is <b>not</b> finite" in said
    details = page.one("details", id=f"trial-{'f' * 16}")
    assert "failed: the loss is <b>not</b> finite" in details.text
    assert "python -m sweeps.ablation" in details.text


def test_without_runs_the_page_says_what_is_missing(settings, tmp_path):
    folder = shutil.copytree(settings[0], tmp_path / "moved")
    shutil.rmtree(folder / "runs")
    encodings = page_of(folder).one("section", id="encodings")
    assert "no trial's run with its weights lies in runs/" in encodings.text
    assert not list(encodings.all("svg"))


def test_refusals(tmp_path, settings, capsys):
    assert main([str(tmp_path)]) == 2
    assert "is no sweep's folder: it has no sweep.json" in capsys.readouterr().err
    folder, _ = settings
    assert main([str(folder), "--metric", "auc"]) == 2
    assert "no metric 'auc' for tables" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([str(folder), "--no-tsne", "--out", str(tmp_path / "file" / "page.html")]) == 2
    assert "cannot write" in capsys.readouterr().err
