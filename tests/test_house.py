"""The house rules that a linter does not check: sizes, silent handlers, what an import may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("zoogen", "sne", "sweeps", "cluster", "benchmarks", "tests")
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
CATCH_ALL_ALLOWED = {
    "zoogen/execute.py",
    "benchmarks/theme.py",
    "sweeps/attempt.py",
    "tests/fuzz.py",
}
"""The edge of a shard, a trial, a benchmark's row, a mutated input: what goes wrong is recorded."""


def modules() -> list[Path]:
    return sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))


def long_functions(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{node.name}: {lines} lines"


def catches_everything(text: str) -> Iterator[int]:
    """Handlers of every error that do not raise it again."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler) and (
            node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
        ):
            last = node.body[-1]
            if not (isinstance(last, ast.Raise) and last.exc is None):
                yield node.lineno


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_sizes_and_handlers(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_MODULE
    assert not list(long_functions(text))
    if str(path.relative_to(ROOT)) not in CATCH_ALL_ALLOWED:
        assert not list(catches_everything(text))


def test_the_rules_can_fail() -> None:
    long = "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION
    assert list(long_functions(long)) == ["f: 61 lines"]
    assert list(catches_everything("try:\n    pass\nexcept Exception:\n    pass\n")) == [3]
    assert not list(catches_everything("try:\n    pass\nexcept Exception:\n    raise\n"))


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement", ["import zoogen", "import zoogen.contract", "import zoogen.run", "import sne"]
)
def test_imports_stay_light(statement: str) -> None:
    assert not {"torch", "ray", "torchvision"} & loaded_by(statement)


def test_the_import_test_can_fail() -> None:
    assert "torch" in loaded_by("import torch")
