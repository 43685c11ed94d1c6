"""The zoo that others are compared with, and the table of what was tried, shown at the end."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.making import LONG, Making
from tests.faults.record import Outcome, table
from tests.faults.two_nodes import Nodes, two_nodes
from tests.zoogen.commands import made

_OUTCOMES: list[Outcome] = []


class Tried:
    """Takes what is to stand in the table."""

    def __call__(
        self,
        *,
        fault: str,
        ended: str,
        making: Making | None = None,
        commands: int | None = None,
        recovered_s: float | None = None,
    ) -> None:
        """Fields of `Outcome`; commands and shards begun again are those of `making`."""
        own = 1 if making is None else making.commands
        again = None if making is None else making.begun_again()
        outcome = Outcome(
            fault=fault,
            ended=ended,
            commands=own if commands is None else commands,
            again=again,
            recovered_s=recovered_s,
        )
        _OUTCOMES.append(outcome)


@pytest.fixture
def tried() -> Tried:
    """Of this test."""
    return Tried()


@pytest.fixture(scope="session")
def fault_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all of these tests."""
    return tmp_path_factory.mktemp("fault-cache")


@pytest.fixture(autouse=True)
def _one_cache(fault_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOOGEN_CACHE", str(fault_cache))


@pytest.fixture(scope="session")
def undisturbed(fault_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo of LONG, made in one process; not to be changed."""
    zoo = tmp_path_factory.mktemp("undisturbed") / "zoo"
    made(*LONG, "--local", "--out", zoo, ZOOGEN_CACHE=str(fault_cache))
    return zoo


@pytest.fixture
def session() -> Iterator[Path]:
    """Where Ray's session lies: its name is short, as sockets' paths must be."""
    folder = Path(tempfile.mkdtemp(prefix="two-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nodes(session: Path) -> Iterator[Nodes]:
    """Two, and a head."""
    with two_nodes(session) as cluster:
        yield cluster


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Where a test makes its zoo."""
    return tmp_path / "zoo"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, below what pytest says itself."""
    if _OUTCOMES:
        terminalreporter.section("faults that were tried; each ended as it should")
        terminalreporter.write_line(table(_OUTCOMES))
