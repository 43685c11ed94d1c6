"""What is kept of each fault that was tried, and the table of them all."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run with a fault went; only one that ended as it should is recorded."""

    fault: str
    ended: str
    """What the user saw."""
    commands: int
    """How often the command was started."""
    again: int | None = None
    """Shards that were begun more than once; None: not a matter of shards."""
    recovered_s: float | None = None
    """From the fault until what was lost is begun anew; None: nothing was lost."""


HEADS = ("fault", "how it ended", "commands", "shards begun again", "seconds to recover")


def table(outcomes: Sequence[Outcome]) -> str:
    """All of them, as Markdown."""
    lines = [HEADS, ("---", "---", "---:", "---:", "---:")]
    for o in outcomes:
        again = "" if o.again is None else str(o.again)
        seconds = "" if o.recovered_s is None else f"{o.recovered_s:.1f}"
        lines.append((o.fault, o.ended, str(o.commands), again, seconds))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
