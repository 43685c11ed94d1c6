"""The report page in a real browser: no error, no request, both themes, a phone, keys, WCAG.

Needs Chromium or Chrome on the path and `pip install 'zooscope[browser]'`.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.matrix import main as fill_matrix

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on the path"),
]


@pytest.fixture(scope="module")
def page_file(arch1_zoo, arch2_zoo, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("browser") / "matrix"
    zoos = ("--zoos", str(arch1_zoo), str(arch2_zoo))
    models = ("--models", "sne", "deepsets", "boosting", "--seeds", "0", "1", "--epochs", "2")
    small = [f"sne.{name}" for name in ("width=8", "heads=1", "encoding=8", "head=[8]", "sabs=1")]
    changes = [word for text in ("training.batch=8", *small) for word in ("--set", text)]
    flags = [*zoos, *models, *changes, "--local", "--device", "cpu", "--out", str(out)]
    assert fill_matrix(flags) == 0
    return out / "page.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs zooscope[browser]")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


class Seen:
    """An opened page, with all that went wrong in it."""

    def __init__(self, browser: Any, file: Path, **how: Any) -> None:
        self.context = browser.new_context(**how)
        self.page: Any = self.context.new_page()
        self.wrong: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())


@pytest.fixture
def see(browser, page_file) -> Iterator[Any]:
    opened: list[Seen] = []

    def open_page(file: Path = page_file, **how: Any) -> Seen:
        opened.append(Seen(browser, file, **how))
        return opened[-1]

    yield open_page
    for seen in opened:
        seen.context.close()


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options={"runOnly": list(RULES)}).response
    assert found["passes"]
    return [f"{v['id']}: {node['html'][:120]}" for v in found["violations"] for node in v["nodes"]]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_on_a_desk_and_on_a_phone(see, page_file, theme, size):
    seen = see(viewport=size, color_scheme=theme)
    page = seen.page
    # Everything that can be opened is looked at as well.
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    assert seen.wrong == []
    # SVG pictures hold their points as data.
    assert {url for url in seen.requests if not url.startswith("data:")} == {page_file.as_uri()}
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    assert violations(page) == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(int(part) for part in ground[4:-1].split(","))
    assert (lightness > 600) == (theme == "light")
    if folder := os.environ.get("REPORT_SHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = f"{theme}-{size['width']}.png"
        page.screenshot(path=str(Path(folder) / name), full_page=True)


def test_the_checker_can_find_something(see, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text("<html><body><p style='color:#ccc;background:#fff'>pale</p><img src='data:,'>")
    found = violations(see(bad).page)
    assert {line.partition(":")[0] for line in found} >= {"color-contrast", "image-alt"}


def column(page: Any, table: str, number: int) -> list[str]:
    rows = f"[...document.querySelectorAll('#{table} tbody tr:not(.fixed)')]"
    return page.evaluate(f"{rows}.map((row) => row.cells[{number}].dataset.sort)")


def test_tables_sort_by_keys(see):
    page = see(viewport=DESK).page
    before = column(page, "matrix", 4)
    head = page.locator("#matrix thead th").nth(4)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    known = [float(text) for text in column(page, "matrix", 4) if text]
    assert known == sorted(known, reverse=True)
    assert "sorted by deepsets, descending" in page.locator("#said").text_content()
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    known = [float(text) for text in column(page, "matrix", 4) if text]
    assert known == sorted(known)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") is None
    assert column(page, "matrix", 4) == before
    last = page.locator("#matrix tbody tr").last.text_content()
    assert "all pairs" in last


def test_numbers_without_a_value_stay_last(see):
    page = see(viewport=DESK).page
    button = page.locator("#matrix thead th").nth(5).locator("button")
    for _ in range(2):
        button.click()
        values = column(page, "matrix", 5)
        missing = [number for number, text in enumerate(values) if not text]
        assert missing == list(range(len(values) - len(missing), len(values)))
        assert missing


def test_a_cell_shows_its_hint_and_leads_to_its_trials(see):
    page = see(viewport=DESK).page
    cell = page.locator("#heat-0 td a").first
    assert page.locator("#hint").is_hidden()
    cell.hover()
    assert "seed 0: " in page.locator("#hint").text_content()
    page.keyboard.press("Escape")
    page.locator("#hint").wait_for(state="hidden")
    cell.focus()
    assert page.locator("#hint").is_visible()
    assert cell.get_attribute("aria-describedby") == "hint"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#place-0"
    page.locator("#place-0 a").first.click()
    assert page.evaluate("document.querySelector('details:target').open")


def test_the_theme_can_be_chosen_and_print_is_light(see):
    page = see(viewport=DESK, color_scheme="dark").page
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    button = page.locator("#theme")
    button.click()
    assert button.text_content() == "Theme: light"
    assert page.evaluate(ground) != dark
    button.click()
    assert (button.text_content(), page.evaluate(ground)) == ("Theme: dark", dark)
    page.emulate_media(media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.locator("#theme").is_hidden()
    assert len(page.pdf(format="A4")) > 10_000


def test_it_reads_without_a_script(see):
    page = see(viewport=PHONE, java_script_enabled=False).page
    assert page.locator("#heat-0 td data").count() > 5
    assert page.locator("thead button").count() == 0
    assert page.locator("#theme").is_hidden()
