"""What the commands of sne share: messages, refusals and signals as exit codes."""

import logging
from collections.abc import Callable

from sne.errors import SneError
from sne.report import log_to_stderr
from sne.zoo import ZooError

REFUSED, STOPPED = 2, 130
log = logging.getLogger("sne")


def answer(serve: Callable[[], int]) -> int:
    """Do what a command does.

    Args:
        serve: parses and works; gives the exit code.

    Returns:
        Its exit code; 2 where it is refused in one sentence, 130 where Ctrl-C stopped it.
    """
    log_to_stderr()
    try:
        return serve()
    except (SneError, ZooError) as error:
        log.error("%s", error)
        return REFUSED
    except KeyboardInterrupt:
        log.warning("stopped")
        return STOPPED
