"""What the modules of rows share: `python -m benchmarks.NAME [--long] [--only …] [--json]`.

Each row goes to stderr as soon as it is measured; the table, or the JSON lines, to stdout.
"""

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import tyro

from benchmarks.provenance import provenance
from benchmarks.table import Fault, Row, plain
from benchmarks.timing import WrongAnswer
from zoogen.machine import set_environment

Measure: TypeAlias = Callable[[], Iterator[Row]]


class Unmeasurable(Exception):
    """A row that this machine cannot measure; the reason in one sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Which rows."""

    long: bool = False
    """Measure the rows that take longer too."""
    only: tuple[str, ...] = ()
    """Names of rows, or what they begin with, for instance `cnn` or `cnn/arch1-512`."""
    json: bool = False
    """Print one JSON line for each row instead of the table."""


def parse(prog: str, description: str) -> Options:
    """The flags of a benchmark command."""
    return tyro.cli(Options, prog=f"python -m benchmarks.{prog}", description=description)


def wanted(name: str, only: tuple[str, ...]) -> bool:
    """Whether `--only` (empty: everything) lets this row, or rows of this theme, through."""
    return not only or any(name.startswith(o) or o.startswith(f"{name}/") for o in only)


def main(
    theme: str,
    rows: Mapping[str, Measure],
    *,
    long: Mapping[str, Measure],
    summary: Callable[[Sequence[Row]], str] = plain,
) -> None:
    """The command of one theme.

    Args:
        theme: the module's name, which begins its rows' names.
        rows: how to measure them; one measurement may give several rows.
        long: those that only `--long` measures.
        summary: what is printed in the end, without `--json`.
    """
    options = parse(theme, f"The rows of the table called {theme}/…")
    set_environment(1)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    chosen = {f"{theme}/{n}": m for n, m in ({**rows, **long} if options.long else rows).items()}
    names = [name for name in chosen if wanted(name, options.only)]
    if not names:
        sys.exit(f"no row begins with {' or '.join(options.only)}; there are: {', '.join(chosen)}")
    measured = [row for name in names for row in announced(name, chosen[name], options)]
    if not options.json:
        print(summary(measured))


def announced(name: str, measure: Measure, options: Options) -> Iterator[Row]:
    """The rows of one measurement, shown as they come."""
    started = time.monotonic()
    for row in guarded(name, measure):
        seconds = time.monotonic() - started
        print(f"[{seconds:.0f} s] {'  '.join(row.cells())}", file=sys.stderr, flush=True)
        if options.json:
            line = {**row.to_json(), **provenance()}
            print(json.dumps(line, ensure_ascii=False), flush=True)
        yield row


def guarded(name: str, measure: Measure) -> Iterator[Row]:
    """The rows of one measurement; what goes wrong becomes a row that says so."""
    try:
        yield from measure()
    except WrongAnswer as error:
        yield _fault(name, "wrong", str(error))
    except Unmeasurable as error:
        yield _fault(name, "skipped", str(error))
    except Exception as error:  # the edge of a row: recorded, and the run ends with exit code 1
        traceback.print_exc()
        yield _fault(name, "failed", f"{type(error).__name__}: {error}")


def _fault(name: str, fault: Fault, reason: str) -> Row:
    return replace(Row(name=name, what="not measured"), fault=fault, note=reason)
