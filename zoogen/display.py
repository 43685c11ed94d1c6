"""Shows on stderr how far something is: a bar that redraws itself on a terminal, else lines."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

PLAIN_EVERY_S = 10.0
REDRAW_EVERY_S = 0.5
Look: TypeAlias = Callable[[], tuple[float, str]]
"""The part that is done now, 0 to 1, and a line for people; called from a thread of its own."""


@contextmanager
def displayed(look: Look, *, repeat: bool = True) -> Iterator[None]:
    """Show it for the time of the `with`.

    Args:
        look: how far it is.
        repeat: say a plain line again though nothing has changed.
    """
    with _bar(look) if sys.stderr.isatty() else _lines(look, repeat=repeat):
        yield


@contextmanager
def _lines(look: Look, *, repeat: bool) -> Iterator[None]:
    last = ""

    def say() -> None:
        nonlocal last
        _, line = look()
        if repeat or line != last:
            print(line, file=sys.stderr, flush=True)
        last = line

    with _every(PLAIN_EVERY_S, say):
        yield


@contextmanager
def _bar(look: Look) -> Iterator[None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    text = TextColumn("{task.fields[line]}")
    with Progress(BarColumn(bar_width=30), text, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=1.0, line=look()[1])

        def redraw() -> None:
            share, line = look()
            bar.update(task, completed=share, line=line)

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
