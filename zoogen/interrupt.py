"""Ctrl-C and SIGTERM: an orderly stop within seconds, whatever the process is doing.

Python runs a signal's handler between two bytecodes of the main thread, and a training step in
C++ may take long. So the handler raises where it can, and a watching thread, which the signal
wakes without the main thread, ends the process when the orderly way takes too long.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The user or the system asked this process to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        """130 for Ctrl-C, 143 for SIGTERM: what shells expect."""


class Stopper:
    """The handlers of one `stopping_in_order`."""

    def __init__(self) -> None:
        self.received: int | None = None
        """The signal that was turned into `Interrupted`."""
        self.noticed: int | None = None
        """The first signal, also one that another library's handler got."""
        self._before = {n: signal.getsignal(n) or signal.SIG_DFL for n in SIGNALS}

    def enforce(self) -> None:
        """Put the handlers into force, again after Ray has replaced that of SIGTERM."""
        for number, handler in self._before.items():
            # A job that a shell put into the background has SIGINT ignored: leave it so.
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._handle)

    def restore(self) -> None:
        """Put those back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.received is None:  # a second signal must not break the cleaning up
            self.received = number
            raise Interrupted(number)


@contextmanager
def stopping_in_order(*, patience_s: float, last_words: Callable[[], None]) -> Iterator[Stopper]:
    """Turn the first signal into `Interrupted`; ignore more; end the process if that stalls.

    Args:
        patience_s: how long cleaning up may take after a signal before the process just ends.
        last_words: what must still be done then, from another thread: remove files, say how to
            go on.

    Raises:
        Interrupted: also where a library turned the signal into its own `SystemExit`.
    """
    stopper, done = Stopper(), threading.Event()
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    watcher = threading.Thread(
        target=_watch,
        args=(ear, done, stopper, patience_s, last_words),
        name="stop-watch",
        daemon=True,
    )
    watcher.start()
    wakeup = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    stopper.enforce()
    try:
        yield stopper
    except SystemExit:
        if stopper.noticed is None:
            raise
        raise Interrupted(stopper.noticed) from None
    finally:
        done.set()
        signal.set_wakeup_fd(wakeup)
        stopper.restore()
        mouth.close()
        watcher.join(timeout=1)
        ear.close()


def _watch(
    ear: socket.socket,
    done: threading.Event,
    stopper: Stopper,
    patience_s: float,
    last_words: Callable[[], None],
) -> None:
    while received := ear.recv(1):
        number = received[0]
        if number not in SIGNALS:
            continue
        stopper.noticed = stopper.noticed or number
        if not done.wait(patience_s):
            last_words()
            os._exit(128 + number)
