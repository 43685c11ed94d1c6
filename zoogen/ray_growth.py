"""Ask a cluster's autoscaler for machines with GPUs, wait until they are there, give them back.

A cloud's cluster that has nothing to do has a head without a CPU and no machine else: what is there
when a command joins says nothing of what may be.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from zoogen.errors import ZooError
from zoogen.ray_session import Resources, request_gpus, resources

log = logging.getLogger(__name__)
PATIENCE_S = 900.0
"""A spot machine takes minutes to come and to install what it needs."""
LOOK_S, TELL_S = 2.0, 60.0


@contextmanager
def grown(
    found: Resources, nodes: int | None, *, patience_s: float = PATIENCE_S
) -> Iterator[Resources]:
    """A cluster with at least so many GPUs, as long as the `with` lasts; then they may go.

    With fewer after the time, the work begins with those that came; Ray takes in what comes later.

    Args:
        found: what the cluster has.
        nodes: machines with a GPU that are wanted; None: what is there.
        patience_s: how long is waited.

    Raises:
        ZooError: nothing that could work is there, or came.
    """
    if nodes is not None and found.gpus < nodes:
        request_gpus(nodes)
        try:
            yield _await(nodes, patience_s)
        finally:
            request_gpus(0)
        return
    if not found.gpus and not found.cpus:
        raise ZooError(
            "the cluster has no machine that works, only a head: say how many machines with a GPU "
            "are to be asked for, for example --nodes 4"
        )
    yield found


def _await(gpus: int, patience_s: float) -> Resources:
    begun, told = time.monotonic(), -TELL_S
    while True:
        found, waited = resources(), time.monotonic() - begun
        if found.gpus >= gpus:
            log.info("%d GPUs on %d machines are there", found.gpus, found.nodes)
            return found
        if waited > patience_s:
            break
        if waited - told >= TELL_S:
            told = waited
            log.info("waiting for machines: %d of %d GPUs are there", found.gpus, gpus)
        time.sleep(LOOK_S)
    if not found.gpus:
        raise ZooError(
            f"no machine with a GPU came within {patience_s / 60:g} minutes: `ray status` on the "
            "head says what the autoscaler waits for; spot machines may be sold out"
        )
    log.warning("%d of %d GPUs came; beginning with these", found.gpus, gpus)
    return found
