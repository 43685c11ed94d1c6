"""What is promised about speed and memory, measured: `python -m benchmarks.run [--long]`.

Each theme runs in a process of its own with one thread. Prints one table and, when all rows were
asked for, leaves it in `benchmarks/results/` with one JSON line for each row.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, slug, today
from benchmarks.table import Row, markdown, plain, verdict_counts
from benchmarks.theme import Options, parse, wanted
from zoogen.machine import thread_environment

THEMES = (
    "startup", "reading", "siren", "cnn", "gemm_share", "workers", "memory", "whole_zoo", "engines",
    "sne_step", "sne_walk", "sne_loading", "sne_threads", "sne_cost",
    "functionals", "graphs",
    "sweep_overhead",
)  # fmt: skip
RESULTS = Path(__file__).parent / "results"
LIMIT_S, LONG_LIMIT_S = 900, 14_400
"""For one theme."""
PATIENCE_S = 40
"""For a theme that was asked to end."""


def main() -> int:
    """The command; its exit code is 1 if an answer was wrong or a row failed, misses are not."""
    options = parse("run", __doc__ or "")
    started = time.monotonic()
    lines = [
        line for theme in THEMES if wanted(theme, options.only) for line in measure(theme, options)
    ]
    rows = [Row.from_json(line) for line in lines]
    minutes = (time.monotonic() - started) / 60
    print("\n".join(json.dumps(line) for line in lines) if options.json else plain(rows))
    print(f"{verdict_counts(rows)}, in {minutes:.0f} minutes")
    if options.only:
        print("not recorded: --only measures a part of the table", file=sys.stderr)
    else:
        print(f"recorded in {record(lines, minutes=minutes, long=options.long)}")
    return 1 if any(row.verdict in ("wrong", "failed") for row in rows) else 0


def measure(theme: str, options: Options) -> Iterator[dict[str, Any]]:
    """The rows of a theme as its process prints them; a process that fails becomes a row."""
    command = [sys.executable, "-m", f"benchmarks.{theme}", "--json"]
    command += ["--long"] if options.long else []
    command += ["--only", *options.only] if options.only else []
    limit = LONG_LIMIT_S if options.long else LIMIT_S
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **thread_environment(1)}
    )
    try:
        text, _ = process.communicate(timeout=limit)
        end = f"exit code {process.returncode}" if process.returncode else None
    except subprocess.TimeoutExpired:
        text, end = _stopped(process), f"not done after {limit} s"
    except BaseException:
        _stopped(process)
        raise
    yield from (json.loads(line) for line in text.splitlines())
    if end is not None:
        row = Row(name=theme, what="the rest of this theme", fault="failed", note=end)
        yield {**row.to_json(), **provenance()}


def _stopped(process: subprocess.Popen[str]) -> str:
    """Let a theme end in order, so that the commands it started end too; what it has printed."""
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=PATIENCE_S)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]


def record(lines: list[dict[str, Any]], *, minutes: float, long: bool) -> str:
    """Write the table and the JSON lines; returns the table's name within the repository."""
    base = RESULTS / f"zoogen_{slug()}_{today()}{'_long' if long else ''}"
    base.parent.mkdir(exist_ok=True)
    base.with_suffix(".md").write_text(document(lines, minutes=minutes), encoding="utf-8")
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    base.with_suffix(".jsonl").write_text(text, encoding="utf-8")
    return f"benchmarks/results/{base.name}.md"


def document(lines: list[dict[str, Any]], *, minutes: float) -> str:
    """The table with where it comes from."""
    rows = [Row.from_json(line) for line in lines]
    found = provenance()
    machine, versions = found["machine"], found["versions"]
    packages = ", ".join(f"{name} {value}" for name, value in versions.items())
    return (
        f"# Speed and memory, {found['date']}\n\n"
        f"{machine['processor']}, {machine['cores']} cores ({machine['platform']}), "
        f"{machine['system']}; one thread.\n"
        f"{packages}.\n"
        f"Revision {found['revision']}; {verdict_counts(rows)}; {minutes:.0f} minutes. Ratios are "
        "medians over rounds in which the contenders take turns; minimum and median seconds of "
        "each stand in the JSON lines beside this file.\n\n"
        f"{markdown(rows)}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
