"""What the commands of sweeps have in common: messages, signals, errors, exit codes."""

import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial

from sne.errors import SneError
from sne.report import log_to_stderr
from sne.zoo import ZooError
from sweeps.errors import SweepError
from zoogen.errors import system_sentence
from zoogen.interrupt import Stopper, stopping_in_order

PATIENCE_S = 8.0
"""After a signal Ray takes 2 to 3 s to end its processes; then this process ends in any case."""
EXITS = (
    "Exit codes: 0 done, 1 trials failed, 2 refused, 130 or 143 stopped by Ctrl-C or SIGTERM; the "
    "same command goes on where it stopped."
)
log = logging.getLogger("sweeps")
Serve = Callable[[Sequence[str], str, Stopper], int]
"""(arguments, the command as it was typed, the signals' handlers) to the exit code."""


def run_command(program: str, serve: Serve, arguments: Sequence[str] | None = None) -> int:
    """Serve a command line.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = shlex.join([*program.split(), *given])
    _log()
    last_words = partial(log.warning, "stopped; the same command goes on:\n  %s", command)
    stopper: Stopper | None = None
    try:
        with stopping_in_order(patience_s=PATIENCE_S, last_words=last_words) as stopper:
            return serve(given, command, stopper)
    except KeyboardInterrupt:
        # Ray raises a plain one where it was interrupted while it waited.
        return _stopped(stopper, last_words)
    except (SneError, ZooError, SweepError) as error:
        log.error("%s", error)
        return 2
    except OSError as error:
        log.error("%s", system_sentence(error))
        return 2
    except Exception:
        # The signal has ended Ray's servers too, and whoever waited for them is told so first.
        if stopper is not None and stopper.noticed is not None:
            return _stopped(stopper, last_words)
        raise


def _stopped(stopper: Stopper | None, last_words: Callable[[], None]) -> int:
    got = None if stopper is None else stopper.received or stopper.noticed
    exit_code = 128 + (got or signal.SIGINT)
    last_words()
    if "ray" in sys.modules:
        # At exit Ray would wait for servers that the same signal has ended.
        sys.stdout.flush()
        os._exit(exit_code)
    return exit_code


def _log() -> None:
    log_to_stderr("sweeps")
    # What sne says of each training is the sweep's to say.
    log_to_stderr("sne", level=logging.WARNING)
