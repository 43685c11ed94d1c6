"""Who does the work of a sweep: this process or Ray's, on which device, how many at a time."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from optuna.storages import RDBStorage
from optuna.study import Study

from sne.cards import parse_card
from sne.predict import choose_device
from sweeps.attempt import Job, Tell
from sweeps.errors import PlanError
from sweeps.local import run_local, search_local
from sweeps.options import Execution
from sweeps.portion import Portion
from sweeps.search import Search
from sweeps.trial import Trial
from zoogen.machine import available_cores, available_gpus
from zoogen.ray_growth import grown
from zoogen.ray_session import ray_session

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew:
    """What was found to work with."""

    device: str
    """`cpu` or a CUDA device's name."""
    workers: int
    """Trials at a time."""
    gpus: int
    """Slots that a Ray of our own offers."""
    execution: Execution
    on_start: Callable[[], None]
    """Called when Ray has started, which replaces the handler of SIGTERM."""

    def run(
        self, trials: Sequence[Trial], job: Job, tell: Tell, shares: Mapping[str, float]
    ) -> None:
        """Attempt each trial.

        Args:
            trials: those that lack something.
            job: what all share.
            tell: called in this process.
            shares: of a GPU, by hash.
        """
        if self.execution.local:
            run_local(trials, job, tell)
            return
        with self._ray():
            from sweeps.pool import run_pool

            run_pool(
                trials,
                job,
                tell,
                workers=self.workers,
                resources={name: self._resources(share) for name, share in shares.items()},
                portions={name: self._portion(share) for name, share in shares.items()},
            )

    def search(  # noqa: PLR0913 (a search is this many things)
        self,
        search: Search,
        study: Study,
        storage: RDBStorage,
        job: Job,
        tell: Tell,
        *,
        share: float,
        samples: int,
    ) -> None:
        """Attempt what a study proposes; each trial has this share of a GPU."""
        if self.execution.local:
            search_local(study, search, job, tell, samples=samples)
            return
        with self._ray():
            from sweeps.pool import search_pool
            from sweeps.proposer import StudySearch

            search_pool(
                StudySearch(search, storage),
                search.make,
                job,
                tell,
                samples=samples,
                course=search.course(study),
                workers=self.workers,
                resources=self._resources(share),
                portion=self._portion(share),
            )

    def _resources(self, share: float) -> dict[str, float]:
        if self.device == "cpu":
            return {"cpu": self.execution.threads}
        return {"cpu": 1, "gpu": share}

    def _portion(self, share: float) -> Portion:
        return Portion(share=share, card_bytes=parse_card(self.execution.card).total_bytes)

    @contextmanager
    def _ray(self) -> Iterator[None]:
        address = self.execution.address
        if address is None:
            log.info("starting Ray on 127.0.0.1 with %d processes", self.workers)
        each = self.execution.threads if self.device == "cpu" else 1
        with ray_session(address=address, cpus=self.workers * each, gpus=self.gpus):
            self.on_start()
            yield


@contextmanager
def crew_for(execution: Execution, *, share: float, on_start: Callable[[], None]) -> Iterator[Crew]:
    """The crew that was asked for; a cluster is joined at once, a Ray of our own later.

    Args:
        execution: the flags.
        share: of a GPU, that the largest trial needs.
        on_start: called when Ray has started.

    Raises:
        PlanError: no such device, or no room for the workers.
        ZooError: there is no cluster at the address.
    """
    if execution.local:
        device = str(choose_device(execution.device))
        yield Crew(device=device, workers=1, gpus=0, execution=execution, on_start=on_start)
    elif execution.address is None:
        room = Room(cpus=available_cores(), gpus=available_gpus())
        yield ray_crew(execution, room, share=share, on_start=on_start)
    else:
        joined = ray_session(address=execution.address)
        with joined as there, grown(there, execution.nodes) as found:
            on_start()
            room = Room(cpus=found.cpus, gpus=found.gpus)
            yield ray_crew(execution, room, share=share, on_start=on_start)


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What a machine or a cluster has."""

    cpus: int
    gpus: int


def ray_crew(
    execution: Execution, room: Room, *, share: float, on_start: Callable[[], None]
) -> Crew:
    """Device and number of workers for what there is.

    Raises:
        PlanError: no such device, or no room for the workers.
    """
    wanted = execution.device
    on_gpu = wanted.startswith("cuda") or (wanted == "auto" and room.gpus > 0)
    if on_gpu and not room.gpus:
        raise PlanError(f"there is no GPU for --device {wanted}; cpu is always there")
    slots = room.gpus * int(1 / share) if on_gpu else room.cpus // execution.threads
    workers = execution.workers or max(1, slots)
    if on_gpu and workers > slots:
        raise PlanError(
            f"--workers {workers}: a trial needs {share:.0%} of a {execution.card} card, so "
            f"{room.gpus} GPUs have room for {slots}"
        )
    return Crew(
        device="cuda" if on_gpu else "cpu",
        workers=workers,
        gpus=room.gpus if on_gpu else 0,
        execution=execution,
        on_start=on_start,
    )
