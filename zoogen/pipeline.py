"""The Ray Data pipeline: one row of the plan in, one shard made, one receipt out.

Import this module only inside `zoogen.ray_session.ray_session`, which sets Ray's environment first.

Measured with Ray 2.60, hence these choices:

* The rows come from `from_items`, never from a read: a read is a task that wants a CPU, and a pool
  that has them all leaves none, so the job stands still without a word.
* Receipts come through `iter_batches(prefetch_batches=0)`, 0.02 to 0.2 s after a shard is written;
  `iter_rows` is always one receipt late.
* What goes wrong with a shard is in its receipt. Ray's own retries are left for processes that
  died; they never give up, so attempts are counted (`zoogen.execute.begin_attempt`).
"""

import json
import logging
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ray
import ray.data
from ray.exceptions import RayError

from zoogen.execute import Context, Receipt, ShardMaker, ShardReport, platform_of
from zoogen.grouping import ShardSpec
from zoogen.machine import thread_environment
from zoogen.platforms import Platform
from zoogen.ray_session import live_nodes, quieten

WINDOW = 4096
"""Rows that Ray holds at once: a larger plan is passed on in parts, with new workers for each."""
REPORT_EVERY_S, BOARD_PATIENCE_S = 1.0, 5.0
log = logging.getLogger(__name__)


def run_pipeline(
    context: Context, specs: Sequence[ShardSpec], report: ShardReport, *, workers: int
) -> Generator[Receipt]:
    """Make these shards with a fixed pool of actors; receipts in the order of completion."""
    _configure()
    with _board(report) as board:
        for start in range(0, len(specs), WINDOW):
            window = specs[start : start + WINDOW]
            yield from _run_window(context, window, workers=workers, board=board)


def worker_platform(engine: str, *, threads: int, device: str) -> Platform:
    """The platform of a machine of the cluster, asked of a task with a worker's resources."""
    remote: Any = ray.remote
    task = remote(**_resources(device, threads))(platform_of)
    return ray.get(task.remote(engine, threads=threads, device=device))


class TrainShards:
    """The actor class: one worker process, one `ShardMaker`."""

    def __init__(self, context: Context, board: Any) -> None:
        self._maker = ShardMaker(context)
        self._board = board
        self._reported = 0.0

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Make the shard of the one row of the batch."""
        row = json.loads(str(batch["spec"][0]))
        spec = ShardSpec(number=row["number"], groups=tuple(tuple(g) for g in row["groups"]))
        receipt = self._maker.make(spec, self._report)
        return {"receipt": [json.dumps(receipt.to_json())]}

    def _report(self, shard: int, done: int) -> None:
        now = time.monotonic()
        if now - self._reported >= REPORT_EVERY_S:
            self._reported = now
            self._board.put.remote(shard, done)


class Board:
    """An actor without a CPU slot where workers note how far they are and the driver looks."""

    def __init__(self) -> None:
        self._done: dict[int, int] = {}

    def put(self, shard: int, done: int) -> None:
        """Note the member-epochs of a shard's attempt."""
        self._done[shard] = done

    def take(self) -> dict[int, int]:
        """What has been noted since the last call."""
        done, self._done = self._done, {}
        return done


def _run_window(
    context: Context, specs: Sequence[ShardSpec], *, workers: int, board: Any
) -> Generator[Receipt]:
    rows = [{"spec": json.dumps({"number": s.number, "groups": s.groups})} for s in specs]
    receipts = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        TrainShards,
        fn_constructor_args=(context, board),
        batch_size=1,
        batch_format="numpy",
        # A shard queued behind a busy worker would wait while another worker has nothing to do.
        compute=ray.data.ActorPoolStrategy(
            size=min(workers, len(rows)), max_tasks_in_flight_per_actor=1
        ),
        runtime_env={"env_vars": thread_environment(context.threads)},
        **_resources(context.device, context.threads),
    )
    for block in receipts.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
        for text in block["receipt"]:
            yield Receipt.from_json(json.loads(str(text)))


def _resources(device: str, threads: int) -> dict[str, Any]:
    return {"num_cpus": threads} if device == "cpu" else {"num_gpus": 1}


def _configure() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Its default ends a run in which no shard was finished for half an hour.
    context.execution_no_progress_timeout_s = -1
    quieten("ray", "ray.data")


@contextmanager
def _board(report: ShardReport) -> Iterator[Any]:
    """A board, and a thread that passes on what is noted there and watches over the machines."""
    board: Any = ray.remote(num_cpus=0, max_restarts=-1)(Board).remote()
    stop = threading.Event()
    reader = threading.Thread(
        target=_read_board, args=(board, report, stop), name="board-reader", daemon=True
    )
    reader.start()
    try:
        yield board
    finally:
        stop.set()
        reader.join(timeout=5)
        ray.kill(board)


def _read_board(board: Any, report: ShardReport, stop: threading.Event) -> None:
    nodes = live_nodes()
    while not stop.wait(REPORT_EVERY_S):
        # The board's own machine may be gone: then that is what must be told.
        with suppress(RayError):
            noted: Mapping[int, int] = ray.get(board.take.remote(), timeout=BOARD_PATIENCE_S)
            for shard, done in noted.items():
                report(shard, done)
        try:
            alive = live_nodes()
        except RayError:  # Ray is ending
            continue
        if alive < nodes:
            log.warning(
                "%d of %d machines no longer answer; the others make their shards",
                nodes - alive,
                nodes,
            )
        nodes = alive
