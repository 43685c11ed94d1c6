"""Independent pieces of work on a CPU's threads: one piece a thread, not one operation over all.

PyTorch's own threads share out each operation and wait for one another at its end. Where pieces are
independent, as the networks of a batch are, each thread does its piece alone: no waiting.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Done = TypeVar("Done")


def side_by_side(
    work: Callable[[Piece], Done], pieces: Iterable[Piece], *, threads: int
) -> Iterator[Done]:
    """`map(work, pieces)`, so many at a time; not many more pieces are drawn than are worked on.

    Args:
        work: called in several threads at once, each of which computes by itself.
        pieces: drawn one after another, in this thread.
        threads: 1: everything in this thread.
    """
    if threads == 1:
        yield from map(work, pieces)
        return
    before, pool = torch.get_num_threads(), _workers(threads)
    waiting: list[Future[Done]] = []
    try:
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > threads:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        for one in waiting:
            one.cancel()
        # The number is each thread's own, but for threads that begin later.
        torch.set_num_threads(before)


@lru_cache
def _workers(count: int) -> ThreadPoolExecutor:
    """Threads whose operations PyTorch does not share out; they last as long as the process."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="sne", initializer=_compute_alone)
    # All begin now: what one that begins later sets would hold for other threads as well.
    everyone = Barrier(count)
    for one in [pool.submit(everyone.wait) for _ in range(count)]:
        one.result()
    return pool


def _compute_alone() -> None:
    torch.get_num_threads()  # takes the process's number once; the first operation would do so
    torch.set_num_threads(1)
