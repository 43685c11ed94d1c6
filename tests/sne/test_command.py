"""What the commands of sne have in common: refusals and signals as exit codes and one sentence."""

import pytest

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
