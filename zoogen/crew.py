"""Who does the work of a run: this process or Ray's workers, on which device, how many."""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from zoogen.errors import PlanError
from zoogen.execute import Context, Receipt, ShardReport, engine_of, platform_of
from zoogen.grouping import ShardSpec
from zoogen.local import run_local
from zoogen.machine import available_cores, available_gpus
from zoogen.plan import Plan
from zoogen.platforms import Platform
from zoogen.request import Request

MakeShards = Callable[[Context, Sequence[ShardSpec], ShardReport], Generator[Receipt]]
log = logging.getLogger(__name__)
CPU_ENGINES = ("native",)
"""Asked for by name, they work on the CPU of a machine that has a GPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew:
    """Who makes shards, and with what."""

    session: Callable[[], AbstractContextManager[MakeShards]]
    """Starts the workers and gives the means to make shards."""
    platform: Callable[[str], Platform]
    """The platform of a worker that trains with this engine."""
    device: str
    """`cpu` or `cuda`."""
    workers: int
    threads: int
    engine: str | None
    """The one asked for; None: by rule, or as an existing plan says."""
    data_dir: Path | None
    download: bool
    mixed_platforms: bool

    def context(self, plan: Plan, *, out: str, run: str | None, label: str) -> Context:
        """What each worker is given."""
        return Context(
            plan=plan,
            out=out,
            engine=self.engine or engine_of(plan),
            device=self.device,
            threads=self.threads,
            data_dir=self.data_dir,
            download=self.download,
            mixed_platforms=self.mixed_platforms,
            run=run,
            label=label,
        )


@contextmanager
def crew_for(
    request: Request, *, planned: str | None, on_start: Callable[[], None]
) -> Iterator[Crew]:
    """The crew that a request asks for; a cluster is joined at once, a Ray of our own later.

    Args:
        request: what the command line asks for.
        planned: the engine of a zoo that is there already.
        on_start: called when Ray has started, which replaces the handler of SIGTERM.

    Raises:
        PlanError: more workers than the cluster or the GPUs allow.
        ZooError: there is no cluster at the address.
    """
    if request.address is None:
        yield _crew_here(request, planned, on_start)
        return
    from zoogen.ray_growth import grown
    from zoogen.ray_session import ray_session

    joined = ray_session(address=request.address)
    with joined as there, grown(there, request.nodes) as found:
        on_start()
        from zoogen.pipeline import worker_platform

        device, slots = _slots(request, planned, cpus=found.cpus, gpus=found.gpus)
        if request.workers is not None and request.workers > slots:
            raise PlanError(
                f"--workers {request.workers} with --threads {request.threads}: the cluster at "
                f"{request.address} has room for {slots}"
            )
        yield _crew(
            request,
            device=device,
            workers=request.workers or slots,
            session=partial(_ray, request, request.workers or slots, 0, on_start),
            platform=partial(worker_platform, threads=request.threads, device=device),
        )


def _crew_here(request: Request, planned: str | None, on_start: Callable[[], None]) -> Crew:
    gpus = available_gpus()
    device, slots = _slots(request, planned, cpus=available_cores(), gpus=gpus)
    workers = 1 if request.local else request.workers or slots
    if device == "cuda" and workers > gpus:
        raise PlanError(f"--workers {workers}, but there are {gpus} GPUs, one for each worker")
    used = gpus if device == "cuda" else 0
    local = partial(nullcontext[MakeShards], run_local)
    return _crew(
        request,
        device=device,
        workers=workers,
        session=local if request.local else partial(_ray, request, workers, used, on_start),
        platform=partial(platform_of, threads=request.threads, device=device),
    )


def _slots(request: Request, planned: str | None, *, cpus: int, gpus: int) -> tuple[str, int]:
    """Device, and how many workers have one (or their threads' cores) each."""
    if gpus and (request.engine or planned) not in CPU_ENGINES:
        return "cuda", gpus
    return "cpu", max(1, cpus // request.threads)


def _crew(
    request: Request,
    *,
    device: str,
    workers: int,
    session: Callable[[], AbstractContextManager[MakeShards]],
    platform: Callable[[str], Platform],
) -> Crew:
    return Crew(
        session=session,
        platform=platform,
        device=device,
        workers=workers,
        threads=request.threads,
        engine=request.engine,
        data_dir=request.data_dir,
        download=request.download,
        mixed_platforms=request.mixed_platforms,
    )


@contextmanager
def _ray(
    request: Request, workers: int, gpus: int, on_start: Callable[[], None]
) -> Iterator[MakeShards]:
    from zoogen.ray_session import ray_session

    if request.address is None:
        log.info("starting Ray on 127.0.0.1 with %d workers", workers)
    with ray_session(address=request.address, cpus=max(1, workers * request.threads), gpus=gpus):
        on_start()
        from zoogen.pipeline import run_pipeline

        yield partial(run_pipeline, workers=workers)
