"""Results in a store that all machines reach, beside each machine's own folder.

Machines of a cloud share no folder. Each trial is done in a folder of its machine; what it found is
put into the store, and whoever tabulates fetches what its own folder lacks. Figures come last in
both directions, as their presence means that a trial is done.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sne import checkpoint
from sne.files import write_bytes
from sne.zoo import Store, ZooError, open_store
from sweeps.errors import ResultsError
from sweeps.perform import RUNS
from sweeps.results import CURVES, PREDICTIONS, RESULTS, WHERE, finished

RUN_FILES = (
    checkpoint.CONFIG,
    checkpoint.ARCHITECTURES,
    checkpoint.MODEL,
    checkpoint.MACHINE,
    f"{checkpoint.CURVES}.parquet",
    checkpoint.PREDICTIONS,
    checkpoint.RESULT,
)
"""What a run is read from; `sne.checkpoint` says what each holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    """A store, for instance `s3://bucket/prefix`."""

    uri: str

    def push(self, folder: Path, trial: str) -> None:
        """Put what a folder holds of a trial that is done.

        Raises:
            ResultsError: the store refuses it.
        """
        store = self._open()
        for name in _names(trial):
            path = folder / name
            if path.exists():
                try:
                    store.put(name, path.read_bytes())
                except ZooError as error:
                    raise ResultsError(f"results cannot be kept: {error}") from error

    def pull(self, folder: Path, trial: str) -> None:
        """Fetch what the store holds of a trial, if it is done there and not here.

        Raises:
            ResultsError: the store cannot be read.
        """
        if trial not in finished(folder):
            self._fetch(self._open(), folder, trial)

    def pull_all(self, folder: Path) -> int:
        """Fetch every trial that is done there and not here; returns how many.

        Raises:
            ResultsError: the store cannot be read.
        """
        store = self._open()
        try:
            there = {Path(name).stem for name in store.list(RESULTS) if name.endswith(".parquet")}
        except OSError as error:
            raise ResultsError(f"{self.uri} cannot be read: {error}") from error
        new = sorted(there - finished(folder))
        for trial in new:
            self._fetch(store, folder, trial)
        return len(new)

    def _open(self) -> Store:
        try:
            return open_store(self.uri)
        except ZooError as error:
            # Not the URI: there may be credentials in it.
            raise ResultsError(f"--store: {error}") from error

    def _fetch(self, store: Store, folder: Path, trial: str) -> None:
        try:
            if not store.exists(f"{RESULTS}/{trial}.parquet"):
                return
            for name in _names(trial):
                with contextlib.suppress(FileNotFoundError):
                    write_bytes(folder / name, store.read(name))
        except OSError as error:
            raise ResultsError(f"{self.uri} cannot be read: {error}") from error


def _names(trial: str) -> Iterator[str]:
    """A trial's files below either place, figures last."""
    yield from (f"{RUNS}/{trial}/{name}" for name in RUN_FILES)
    yield f"{PREDICTIONS}/{trial}.parquet"
    yield f"{CURVES}/{trial}.parquet"
    yield f"{WHERE}/{trial}.json"
    yield f"{RESULTS}/{trial}.parquet"
