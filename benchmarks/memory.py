"""Memory of the driver and of a worker, from the first moment to the manifest.

Whole zoos of 100 and of 10,000 members (one epoch on a tenth of the images), so that planning,
receipts and the manifest of many members count. What is compared is each process's own peak.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import processes
from benchmarks.table import Promise, Row
from benchmarks.theme import Measure, main
from benchmarks.timing import require
from zoogen.reader import open_zoo

FEW, MANY = 100, 10_000
SHORT = ("--epochs", "1", "--checkpoints", "1", "--train-fraction", "0.1")
BOUND = Promise(bound=1.1, kind="at most")


def memory() -> Iterator[Row]:
    """Both sizes; a row for the driver and one for the largest worker."""
    with processes.scratch() as folder:
        few, many = (peaks(folder / str(n), n) for n in (FEW, MANY))
    for who in ("driver", "worker"):
        yield Row(
            name=f"memory/{who}",
            what=f"peak memory of {_article(who)}: {MANY:,} planned members / {FEW}",
            promise=BOUND,
            reached=many[who] / few[who],
            note=f"{few[who]:.0f} MB at {FEW}, {many[who]:.0f} MB at {MANY:,} members",
        )


def peaks(zoo: Path, members: int) -> dict[str, float]:
    """Megabytes of the driver and of the largest worker while a zoo is made."""
    found: dict[int, float] = {}
    driver = list[int]()

    def watch(pid: int) -> None:
        driver[:] = [pid]
        for process in processes.family(pid):
            found[process] = processes.peak_megabytes(process) or found.get(process, 0.0)

    processes.run(processes.zoo_command(zoo, *SHORT, "--members", str(members)), watch=watch)
    require(len(open_zoo(zoo)) == members, f"the zoo has not {members} networks")
    workers = {processes.worker_process(receipt) for receipt in processes.receipts(zoo)}
    return {"driver": found[driver[0]], "worker": max(found.get(w, 0.0) for w in workers)}


def _article(who: str) -> str:
    return "the driver" if who == "driver" else "a worker"


ROWS: Mapping[str, Measure] = {"members": memory}

if __name__ == "__main__":
    main("memory", ROWS, long={})
