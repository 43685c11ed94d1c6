"""Signals: the first one stops in order, more are ignored, a process that hangs ends anyway."""

import signal
import subprocess
import sys
import time

import pytest

from zoogen.interrupt import Interrupted, stopping_in_order


def stop_after(code: str, *signals: int) -> tuple[int, str, float]:
    """Run code that prints a line when it is ready, send the signals, see how it ends."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)  # from printing that it is ready to being busy
        begun = time.monotonic()
        for number in signals:
            process.send_signal(number)
            time.sleep(0.1)
        text = process.stdout.read()
        return process.wait(timeout=30), text, time.monotonic() - begun


ORDERLY = """
import sys, time
from zoogen.interrupt import Interrupted, stopping_in_order
try:
    with stopping_in_order(patience_s=20.0, last_words=lambda: print("never", flush=True)):
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            time.sleep(0.5)
            print("cleaned", flush=True)
except Interrupted as stop:
    sys.exit(stop.exit_code)
"""
STUCK = """
import hashlib
from zoogen.interrupt import stopping_in_order
with stopping_in_order(patience_s=0.3, last_words=lambda: print("last words", flush=True)):
    print("ready", flush=True)
    # Minutes in one call of compiled code, as training may be: no handler runs meanwhile.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_stops_in_order_and_more_do_no_harm(number: int, code: int):
    ended, text, _ = stop_after(ORDERLY, number, signal.SIGINT, signal.SIGTERM)
    assert ended == code
    assert text == "cleaned\n"


def test_a_process_that_hangs_ends_with_its_last_words():
    ended, text, seconds = stop_after(STUCK, signal.SIGINT)
    assert ended == 130
    assert text == "last words\n"
    assert seconds < 10


def test_the_handlers_come_back():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with stopping_in_order(patience_s=1.0, last_words=lambda: None) as stopper:
        assert signal.getsignal(signal.SIGTERM) != before[1]
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray replaces it
        stopper.enforce()
        with pytest.raises(Interrupted) as stop:
            signal.raise_signal(signal.SIGTERM)
        assert stop.value.exit_code == 143
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def exit_as_a_library_does() -> None:
    with stopping_in_order(patience_s=5.0, last_words=lambda: None) as stopper:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            while stopper.noticed is None:
                time.sleep(0.01)


def test_a_library_that_turns_the_signal_into_an_exit():
    with pytest.raises(Interrupted) as stop:
        exit_as_a_library_does()
    assert stop.value.exit_code == 143


def test_an_exit_without_a_signal_stays_one():
    with (
        pytest.raises(SystemExit, match="7"),
        stopping_in_order(patience_s=1.0, last_words=lambda: None),
    ):
        sys.exit(7)
