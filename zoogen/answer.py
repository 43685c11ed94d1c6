"""What commands of zoogen share: messages on stderr, refusals and signals as exit codes."""

import logging
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from zoogen.display import displayed
from zoogen.errors import ZooError, refusal_sentence
from zoogen.interrupt import Interrupted, stopping_in_order

PATIENCE_S = 8.0
"""After a signal, before the process ends whatever it does."""
log = logging.getLogger("zoogen")


def answer(serve: Callable[[], int], *, last_words: Callable[[], None]) -> int:
    """Do what a command does.

    Args:
        serve: works, and gives the exit code.
        last_words: called where a signal stopped it.

    Returns:
        Its exit code; 2 where it is refused in one sentence, 130 or 143 where a signal stopped it.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        with stopping_in_order(patience_s=PATIENCE_S, last_words=last_words):
            return serve()
    except Interrupted as stop:
        last_words()
        return stop.exit_code
    except KeyboardInterrupt:  # before there was anything to stop
        return 128 + signal.SIGINT
    except (ZooError, OSError) as error:
        sys.stderr.write(f"error: {refusal_sentence(error)}\n")
        return 2


def command_line(program: str, arguments: Sequence[str] | None) -> str:
    """What was typed, to be typed again."""
    given = sys.argv[1:] if arguments is None else arguments
    return shlex.join([*program.split(), *given])


@contextmanager
def counted() -> Iterator[Callable[[str, int, int], None]]:
    """Shows on stderr what is being done and how much of it is done."""
    state = ("starting", 0, 0)

    def report(what: str, done: int, wanted: int) -> None:
        nonlocal state
        state = (what, done, wanted)

    def look() -> tuple[float, str]:
        what, done, wanted = state
        share = done / wanted if wanted else 0.0
        return share, f"{what}: {done:,} of {wanted:,}" if wanted else what

    with displayed(look, repeat=False):
        yield report
