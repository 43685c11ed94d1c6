"""Shows a tally on stderr: a bar that redraws itself on a terminal, else a line now and then."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeps.tally import Tally, describe

PLAIN_EVERY_S = 10.0
REDRAW_EVERY_S = 0.5


@contextmanager
def shown(tally: Tally) -> Iterator[None]:
    """Show it for the time of the `with`."""
    with _bar(tally) if sys.stderr.isatty() else _lines(tally):
        yield


@contextmanager
def _lines(tally: Tally) -> Iterator[None]:
    last = ""

    def say() -> None:
        nonlocal last
        line = describe(tally.look())
        if line != last:
            print(line, file=sys.stderr, flush=True)
        last = line

    with _every(PLAIN_EVERY_S, say):
        yield


@contextmanager
def _bar(tally: Tally) -> Iterator[None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    text = TextColumn("{task.fields[line]}")
    with Progress(BarColumn(bar_width=30), text, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=1.0, line=describe(tally.look()))

        def redraw() -> None:
            state = tally.look()
            bar.update(task, completed=state.share, line=describe(state))

        with _every(REDRAW_EVERY_S, redraw):
            yield
        redraw()


@contextmanager
def _every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    stop = threading.Event()

    def repeat() -> None:
        while not stop.wait(seconds):
            act()

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=2)
