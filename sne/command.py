"""What the commands of sne share: flags, messages, refusals and signals as exit codes."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from sne.errors import SneError
from sne.report import log_to_stderr
from sne.zoo import ZooError, out_of_memory, system_sentence

REFUSED, STOPPED = 2, 130
Options = TypeVar("Options")
log = logging.getLogger("sne")


def parse(
    options: type[Options],
    arguments: Sequence[str] | None,
    *,
    program: str,
    description: str,
    more: Sequence[Any] = (),
) -> Options:
    """A command line as an object of this class; help and usage errors end as tyro ends them.

    Args:
        options: a dataclass, whose fields are the flags.
        arguments: None: those of the process.
        program: for help, like the description.
        description: what the command does.
        more: markers of tyro's for all flags.
    """
    return tyro.cli(
        options,
        prog=program,
        description=description,
        args=arguments,
        config=(tyro.conf.DisallowNone, *more),
    )


def say_stopped() -> None:
    """What a command that keeps nothing says of Ctrl-C."""
    log.warning("stopped")


def answer(serve: Callable[[], int], *, last_words: Callable[[], None] = say_stopped) -> int:
    """Do what a command does.

    Args:
        serve: parses and works; gives the exit code.
        last_words: called where Ctrl-C stopped it.

    Returns:
        Its exit code; 2 where it is refused in one sentence, 130 where Ctrl-C stopped it.
    """
    log_to_stderr()
    try:
        return serve()
    except (SneError, ZooError) as error:
        log.error("%s", error)
        return REFUSED
    except OSError as error:
        log.error("%s", system_sentence(error))
        return REFUSED
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        log.error("no memory left: `python -m sne.memory` says what each batch takes")
        return REFUSED
    except KeyboardInterrupt:
        last_words()
        return STOPPED
