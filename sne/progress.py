"""How far a training is: epochs, losses, rate and time left, on stderr.

A bar that redraws itself on a terminal, otherwise a plain line every ten seconds. The clock starts
after the first step, so that compiling and warming up are no part of the rate; how long they took
is said.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sne.fit import Progress, Report

PLAIN_EVERY_S = 10.0
REDRAW_EVERY_S = 0.2
SLOW_START_S = 3.0
"""A first step that takes longer is mentioned."""
FIRST_STEP = "{:.0f} s until the first step was done (reading, compiling, warming up)"


class Watch:
    """Turns progress into a line of text."""

    def __init__(self, *, batch: int) -> None:
        self._batch = batch
        self._created = self._started = time.monotonic()
        self._first: int | None = None
        self._done = 0
        self._progress: Progress | None = None
        self._row = ""

    def update(self, progress: Progress) -> bool:
        """Take note; True for the first step of this process."""
        self._progress = progress
        self._done = progress.epoch * progress.steps + progress.step
        if progress.row is not None:
            self._row = _losses(progress)
        if self._first is None:
            self._first, self._started = self._done, time.monotonic()
            return True
        return False

    @property
    def warm_up_s(self) -> float:
        """Seconds up to the end of the first step."""
        return self._started - self._created

    @property
    def share(self) -> float:
        """Part of the training that is done, 0 to 1."""
        if self._progress is None:
            return 0.0
        return self._done / (self._progress.epochs * self._progress.steps)

    def line(self) -> str:
        """One line for people."""
        progress = self._progress
        if progress is None or self._first is None:
            return "starting"
        text = f"epoch {min(progress.epoch + 1, progress.epochs)}/{progress.epochs}{self._row}"
        steps, elapsed = self._done - self._first, time.monotonic() - self._started
        if steps and elapsed > 0:
            left = (progress.epochs * progress.steps - self._done) * elapsed / steps
            rate = steps * self._batch / elapsed
            text += f", {rate:,.0f} networks/s, {duration_text(left)} left"
        return text


def duration_text(seconds: float) -> str:
    """A duration with its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def shown(*, batch: int) -> Iterator[Report]:
    """A report that shows progress on stderr for the time of the `with`.

    Args:
        batch: networks of a step.
    """
    watch = Watch(batch=batch)
    with _bar(watch) if sys.stderr.isatty() else _lines(watch) as draw:
        yield lambda progress: draw(watch.update(progress), progress)


@contextmanager
def heartbeat(what: str) -> Iterator[None]:
    """Say on stderr that work without steps goes on: after ten seconds, twenty, forty and so on.

    Args:
        what: is being done, such as `encoding`.
    """
    done, begun = threading.Event(), time.monotonic()

    def beat() -> None:
        pause = PLAIN_EVERY_S
        while not done.wait(pause):
            _say(f"  {what}, {duration_text(time.monotonic() - begun)} so far")
            pause = time.monotonic() - begun

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


Draw = Callable[[bool, Progress], None]


@contextmanager
def _lines(watch: Watch) -> Iterator[Draw]:
    last = time.monotonic()

    def draw(first: bool, progress: Progress) -> None:
        nonlocal last
        if first and watch.warm_up_s > SLOW_START_S:
            _say(FIRST_STEP.format(watch.warm_up_s))
        done = progress.epoch == progress.epochs
        if done or time.monotonic() - last >= PLAIN_EVERY_S:
            last = time.monotonic()
            _say(watch.line())

    yield draw


@contextmanager
def _bar(watch: Watch) -> Iterator[Draw]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    last = 0.0
    with Progress(
        BarColumn(bar_width=24), TextColumn("{task.fields[line]}"), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task("", total=1.0, line=watch.line())

        def draw(first: bool, progress: object) -> None:
            nonlocal last
            if first and watch.warm_up_s > SLOW_START_S:
                bar.console.print(FIRST_STEP.format(watch.warm_up_s))
            if time.monotonic() - last >= REDRAW_EVERY_S or watch.share == 1.0:
                last = time.monotonic()
                bar.update(task, completed=watch.share, line=watch.line())

        yield draw


def _losses(progress: Progress) -> str:
    row = progress.row or {}
    text = f": loss {row.get('train_loss'):.4g}"
    if row.get("val_loss") is not None:
        text += f", validation {row['val_loss']:.4g}"
        if progress.best_epoch is not None:
            text += f" (best in epoch {progress.best_epoch})"
    return text


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
