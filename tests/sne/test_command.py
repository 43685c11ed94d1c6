"""What the commands of sne have in common: refusals and signals as exit codes and one sentence."""

import pytest
import torch

from sne.command import answer
from sne.errors import DataError
from sne.zoo import ZooError


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("no such column"), 2, "no such column\n"),
        (ZooError("no such zoo"), 2, "no such zoo\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_what_stops_a_command(error, code, said, capsys):
    def serve() -> int:
        raise error

    assert answer(serve) == code
    assert capsys.readouterr().err == said


def test_a_fault_of_ours_is_no_refusal():
    def serve() -> int:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        answer(serve)
    assert answer(lambda: 2) == 2


def test_no_memory_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    assert answer(lambda: len(torch.empty(2**50, dtype=torch.uint8))) == 2
    wanted = "no memory left: `python -m sne.memory` says what each batch takes\n"
    assert capsys.readouterr().err == wanted
