"""A fault as a value: where it is, which networks it concerns, what was wanted and what came."""

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 8
"""Members that one line names; a longer list is cut and counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing in a zoo that is not as the plan and manifest promise."""

    path: str
    """The file, relative to the zoo."""
    problem: str
    wanted: str
    """If several networks are concerned: of the first of them."""
    got: str
    members: tuple[int, ...] = ()
    """Ascending; empty if the fault is not one of networks."""
    epoch: int | None = None
    """Checkpoint of the first member, where it matters."""

    def __str__(self) -> str:
        """One line for the user."""
        place = [self.path, *([name_members(self.members)] if self.members else [])]
        if self.epoch is not None:
            first = f" of member {self.members[0]}" if len(self.members) > 1 else ""
            place.append(f"epoch {self.epoch}{first}")
        return f"{', '.join(place)}: {self.problem}: wanted {self.wanted}, got {self.got}"


def name_members(members: Sequence[int]) -> str:
    """`member 3`, or `members 3, 5, 9 and 20 more`."""
    shown = ", ".join(str(m) for m in members[:SHOWN])
    rest = f" and {len(members) - SHOWN} more" if len(members) > SHOWN else ""
    return f"{'member' if len(members) == 1 else 'members'} {shown}{rest}"
