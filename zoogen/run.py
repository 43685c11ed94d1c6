"""`python -m zoogen.run`: make a model zoo, or go on with one.

plan → Ray Data (or this process) → shards → manifest. This module is the command: it reads flags,
decides what does the work, reports, and turns errors and signals into exit codes. Torch, Ray and
pyarrow are imported when they are needed, so that `--help` answers at once.
"""

import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial

from zoogen.errors import RunError, ZooError, system_sentence
from zoogen.interrupt import Interrupted, stopping_in_order
from zoogen.machine import set_environment
from zoogen.options import PROGRAM, parse_options

PATIENCE_S = 8.0
"""After a signal Ray takes 2 to 3 s to end its processes; then this process ends in any case."""
log = logging.getLogger("zoogen")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 complete, 1 shards failed, 2 refused, 130 or 143 stopped by a signal.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    _log_to_stderr()
    sweeps: list[Callable[[], object]] = []
    last_words = partial(_last_words, sweeps, shlex.join([*PROGRAM.split(), *given]))
    try:
        options = parse_options(given)
        with stopping_in_order(patience_s=PATIENCE_S, last_words=last_words) as stopper:
            # Numeric libraries read their environment once, when they are loaded.
            set_environment(options.execution.threads)
            from zoogen.serve import serve

            serve(options, stopper, sweeps)
    except Interrupted as stop:
        last_words()
        if "ray" in sys.modules:
            # At exit Ray would wait for servers that the same signal has ended.
            sys.stdout.flush()
            os._exit(stop.exit_code)
        return stop.exit_code
    except KeyboardInterrupt:  # before there was anything to stop
        return 128 + signal.SIGINT
    except RunError as error:
        log.error("%s", error)
        return 1
    except ZooError as error:
        log.error("%s", error)
        return 2
    except OSError as error:
        log.error("%s", system_sentence(error))
        return 2
    return 0


def _last_words(sweeps: Sequence[Callable[[], object]], command: str) -> None:
    """Remove what half-done shards left, and say how to go on."""
    for sweep in sweeps:
        sweep()
    log.warning("stopped; whole shards are kept, and the same command goes on:\n  %s", command)


class _ToStderr(logging.Handler):
    """Writes to whatever `sys.stderr` is now: progress bars and the Ray session replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        """One message, one line or more."""
        sys.stderr.write(f"{self.format(record)}\n")
        sys.stderr.flush()


def _log_to_stderr() -> None:
    if not log.handlers:
        log.addHandler(_ToStderr())
        log.setLevel(logging.INFO)
        log.propagate = False


if __name__ == "__main__":
    sys.exit(main())
