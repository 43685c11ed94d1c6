"""What is counted while a run goes on, and how it is shown."""

import os
import pty
import subprocess
import sys

import pytest

from zoogen import progress
from zoogen.announce import core_time_text, counted, size_text
from zoogen.progress import ShardWork, State, Tally, describe, duration_text, rate_text


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def tally() -> Tally:
    """Two shards of four members and ten epochs; the second takes three times as long."""
    work = {
        0: ShardWork(members=4, member_epochs=40, core_seconds=10.0),
        1: ShardWork(members=4, member_epochs=40, core_seconds=30.0),
    }
    return Tally(work, members_before=2)


def test_nothing_is_said_of_time_before_there_is_something_to_measure(clock: Clock):
    state = tally().look()
    assert (state.members, state.done, state.rate, state.seconds_left) == (10, 2, None, None)
    assert describe(state) == "2 of 10 members (20%)"


def test_rate_and_time_left_go_by_estimated_work(clock: Clock):
    count = tally()
    count.update(0, 0)  # the clock starts with the work, not with the process
    clock.now += 20
    count.update(0, 40)
    count.finish(0)
    state = count.look()
    assert state.done == 6
    assert state.rate == pytest.approx(4 / 20)
    assert state.seconds_left == pytest.approx(60)  # 10 estimated seconds took 20; 30 are left


def test_a_shard_counts_as_done_with_its_receipt_only(clock: Clock):
    count = tally()
    count.update(0, 40)
    assert count.look().done < 6
    count.finish(0)
    assert count.look().done == 6
    count.update(0, 10)  # a late report
    assert count.look().done == 6


def test_a_shard_that_is_begun_again_counts_from_the_start(clock: Clock):
    count = tally()
    count.update(1, 20)
    assert count.look().done == 4
    count.update(1, 0)
    assert count.look().done == 2


def test_lines_are_short_and_readable():
    state = State(members=200, done=31.7, rate=0.21, seconds_left=803.0)
    assert describe(state) == "31 of 200 members (16%), 12.6 members/min, 13 min 23 s left"
    assert rate_text(7.25) == "7.2 members/s"
    assert [duration_text(s) for s in (0.4, 61.0, 3_725.0)] == ["0 s", "1 min 01 s", "1 h 02 min"]
    assert [size_text(n) for n in (12, 4_870_000, 5_440_000_000)] == [
        "12 bytes", "4.87 MB", "5.44 GB",
    ]  # fmt: skip
    assert counted(1, "shard") == "1 shard"
    assert counted(30_000, "member") == "30,000 members"
    assert core_time_text(100.0) == "100 core-seconds"
    assert core_time_text(7_200.0) == "2.0 core-hours"


SHOW = """
import time
from zoogen import display, progress
display.PLAIN_EVERY_S = display.REDRAW_EVERY_S = 0.05
work = {0: progress.ShardWork(members=4, member_epochs=40, core_seconds=1.0)}
tally = progress.Tally(work, members_before=0)
with progress.shown(tally):
    tally.update(0, 20)
    time.sleep(0.4)
"""


def test_plain_lines_where_there_is_no_terminal():
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True)
    assert done.stdout == ""
    assert done.stderr.splitlines()[0].startswith("2 of 4 members (50%)")


def test_a_bar_on_a_terminal():
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", SHOW],
            stdout=subprocess.PIPE,
            stderr=follower,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        )
        shown = os.read(leader, 10_000).decode()
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 0
    assert done.stdout == b""
    assert "2 of 4 members (50%)" in shown
    assert "━" in shown
