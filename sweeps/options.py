"""The flags that all commands of sweeps share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sne.config import Machine, flag
from sweeps.errors import PlanError
from sweeps.mirror import Mirror


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """What does the work."""

    local: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Everything in this one process, without Ray; lists of trials give the same numbers."""
    address: Annotated[str | None, flag("HOST:PORT", "start Ray here, on loopback only")] = None
    """Join the Ray cluster at this address; its machines share --out, or give --store as well."""
    nodes: Annotated[int | None, flag("N", "those that are there")] = None
    """With --address: so many machines with a GPU are asked of the autoscaler and waited for."""
    store: Annotated[str | None, flag("s3://BUCKET/PREFIX", "--out alone")] = None
    """Results go here as well and come from here: for machines that share no folder."""
    workers: Annotated[int | None, flag("N", "as many as there is room for")] = None
    """Trials at the same time. Lists of trials give the same numbers for any."""
    threads: Annotated[int, flag("N")] = 1
    """Threads of each trial on a CPU; another number changes figures by rounding."""
    device: Annotated[str, flag("NAME")] = "auto"
    """cpu or cuda; auto: CUDA where there is a device."""
    card: Annotated[str, flag("SIZE")] = "11GB"
    """Memory that a trial may need, on any device; what does not fit is refused before it begins.
    On GPUs, trials share a card of this size as their plans allow."""
    fit: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Instead, batches of what does not fit are computed in parts that do."""
    allow_mixed_data: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Take zoos of one data set though they were made of different images."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the trials with their memory and time, and stop."""

    def __post_init__(self) -> None:
        if self.local and self.address is not None:
            raise PlanError("--local trains in this process, --address on a cluster: give one")
        if self.local and self.workers not in (None, 1):
            raise PlanError(f"--local is one process, got --workers {self.workers}: leave one out")
        counts = {"--threads": self.threads, "--workers": self.workers, "--nodes": self.nodes}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise PlanError(f"{name} is at least 1, got {value}")
        if self.nodes is not None and self.address is None:
            raise PlanError("--nodes are machines of a cluster: give its --address as well")

    @property
    def mirror(self) -> Mirror | None:
        """Of results."""
        return None if self.store is None else Mirror(uri=self.store)

    def machine(self, device: str, *, save_epochs: bool = True) -> Machine:
        """For each trial: where it computes; whether states are saved after each epoch."""
        return Machine(device=device, threads=self.threads, save_epochs=save_epochs)


def checked_out(out: Path) -> Path:
    """A sweep's folder: absolute, and not of something else.

    Raises:
        PlanError: it holds files but no sweep.
    """
    folder = out.absolute()
    if folder.exists() and not folder.is_dir():
        raise PlanError(f"{out} is a file: choose another --out")
    if folder.exists() and any(folder.iterdir()) and not (folder / "log").exists():
        raise PlanError(f"{out} is a folder of something else: choose another --out")
    return folder
