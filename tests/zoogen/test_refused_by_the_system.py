"""What the system refuses to a command is one sentence, too."""

from collections.abc import Callable, Sequence

import pytest

from zoogen import convert, export, info, verify
from zoogen.errors import PlanError, refusal_sentence

LONG = "a" * 300


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (info.main, [LONG]),
        (verify.main, [LONG]),
        (export.main, [LONG, "--to", "safetensors", "--out", "exported"]),
        (convert.main, [LONG, "zoo"]),
    ],
    ids=["info", "verify", "export", "convert"],
)
def test_a_name_too_long_is_refused_in_a_sentence(
    main: Callable[[Sequence[str]], object], arguments: list[str], tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(main(arguments))
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert LONG in line


def test_both_kinds_of_errors_have_a_sentence():
    assert refusal_sentence(PlanError("no such recipe")) == "no such recipe"
    missing = FileNotFoundError(2, "No such file or directory", "zoo.json")
    assert refusal_sentence(missing) == "zoo.json: No such file or directory"
