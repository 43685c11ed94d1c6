"""The map from the papers to the code leads somewhere: its files are there, and hold its names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "paper-map.md").read_text(encoding="utf-8")
PLACE = re.compile(r"`((?:zoogen|sne|sweeps)/[\w/.]*)`")
NAMES = re.compile(r"((?:`\w+`(?:, )?)+) in `((?:zoogen|sne|sweeps)/[\w/.]+)`")
COMMAND = re.compile(r"python -m ([\w.]+)")


def lost(text: str) -> list[str]:
    """Files, names and commands of the map that are not there."""
    found = [place for place in PLACE.findall(text) if not (ROOT / place).exists()]
    for names, place in NAMES.findall(text):
        code = (ROOT / place).read_text(encoding="utf-8") if (ROOT / place).is_file() else ""
        found += [
            f"{name} in {place}"
            for name in re.findall(r"\w+", names)
            if not re.search(rf"^(def|class) {name}\b|^{name}\b", code, re.MULTILINE)
        ]
    modules = (name.replace(".", "/") + ".py" for name in COMMAND.findall(text))
    return found + [module for module in modules if not (ROOT / module).is_file()]


def test_everything_is_where_the_map_says() -> None:
    assert len(NAMES.findall(TEXT)) > 10
    assert not lost(TEXT)


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ("| Eq. 99 | `sne/gone.py` |", ["sne/gone.py"]),
        ("| Eq. 99 | `Sab`, `Mab` in `sne/blocks.py` |", ["Mab in sne/blocks.py"]),
        ("| Eq. 99 | `python -m sne.gone` |", ["sne/gone.py"]),
    ],
)
def test_a_map_that_leads_nowhere_is_found(row: str, missing: list[str]) -> None:
    assert lost(row) == missing


@pytest.mark.parametrize("number", range(1, 17))
def test_every_equation_of_sne_is_mapped(number: int) -> None:
    spans = re.findall(r"Eqs?\. ([\d–, ]+)", TEXT)
    covered = set[int]()
    for span in spans:
        for part in span.strip(" ,").split(","):
            first, _, last = part.strip().partition("–")
            covered |= set(range(int(first), int(last or first) + 1))
    assert number in covered
