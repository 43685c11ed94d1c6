"""Which zoos of an artefact are there, which can be made, and which this version lacks."""

import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sne.zoo import open_zoo
from sweeps.errors import PlanError, SweepError
from sweeps.options import Execution
from sweeps.paper.declared import Artefact, Need
from sweeps.paper.fit import Room, fit_members
from sweeps.paper.possible import useful
from sweeps.paper.scale import Kind, Order, Scale, lacking, order_of

MANIFEST = "manifest.json"
log = logging.getLogger("sweeps")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stocked:
    """One zoo: there, to be made, or lacking."""

    need: Need
    folder: str = ""
    """Where it lies or will lie; empty if it is lacking."""
    members: int = 0
    shares: tuple[int, int, int] = (0, 0, 0)
    """Of train, val and test among 10 of them."""
    order: Order | None = None
    """How it is made; None: it is there, or lacking."""
    lacks: str | None = None
    """What this version does not have."""
    idle: bool = False
    """Not there, and nothing that this version can do wants it."""

    @property
    def there(self) -> bool:
        """Whether it can be opened."""
        return self.order is None and self.lacks is None and not self.idle

    @property
    def command(self) -> str:
        """What makes it."""
        assert self.order is not None  # asked of zoos to be made
        return f"python -m zoogen.run {' '.join(self.order.flags)} --out {self.folder}"


def take_stock(
    artefact: Artefact,
    scale: Scale,
    folder: Path,
    *,
    named: Mapping[str, str],
    room: Room | None = None,
) -> tuple[Stocked, ...]:
    """Every zoo of an artefact, in its order.

    Args:
        artefact: what is wanted.
        scale: the budget.
        folder: where zoos lie.
        named: folders by the zoos' keys, which go before any other.
        room: of a scale with minutes, from which the members of zoos to be made follow.

    Raises:
        PlanError: a name that no zoo of the artefact has, or minutes that are too short.
        ZooError: a named zoo that cannot be read.
    """
    keys = [need.key for need in artefact.needs]
    if unknown := sorted(set(named) - set(keys)):
        raise PlanError(
            f"{artefact.name} has no zoo {unknown[0]!r} for --use; its zoos: {', '.join(keys)}"
        )
    found = [_look(need, artefact, scale, folder, named) for need in artefact.needs]
    used = useful(artefact, scale.name, {one.need.key: one.lacks for one in found})
    found = [
        replace(one, order=None, idle=True)
        if one.order is not None and one.need.key not in used
        else one
        for one in found
    ]
    if room is None:
        return tuple(found)
    whole = room.members or members_to_make(found, artefact.kind, scale, room)
    return tuple(
        one if one.order is None else _ordered(one.need, artefact, scale, folder, whole)
        for one in found
    )


def members_to_make(stock: Sequence[Stocked], kind: Kind, scale: Scale, room: Room) -> int:
    """Members of each whole zoo that is to be made, such that training has time left.

    Raises:
        PlanError: the minutes are too short.
    """
    wanted = [one.order for one in stock if one.order is not None]
    return fit_members(
        [order.core_seconds / (order.members * order.need.part) for order in wanted],
        room,
        most=scale.members[kind],
        parts=max((order.need.part for order in wanted), default=1),
    )


def lacks_of(stock: Mapping[str, Stocked]) -> dict[str, str | None]:
    """What this version lacks of each zoo, by key."""
    return {key: one.lacks for key, one in stock.items()}


def make_zoos(stock: Sequence[Stocked], execution: Execution) -> None:
    """Make those that are to be made, one after the other.

    Raises:
        SweepError: one could not be made.
    """
    for one in stock:
        if one.order is None:
            continue
        log.info("making a zoo: %s", one.command)
        command = [sys.executable, "-m", "zoogen.run", *one.order.flags, "--out", one.folder]
        # Its figures are no result of this command.
        done = subprocess.run([*command, *_where(execution)], stdout=sys.stderr, check=False)
        if done.returncode:
            raise SweepError(
                f"{one.need} could not be made (exit code {done.returncode}): see above; what is "
                "whole of it is kept"
            )


def located(stock: Sequence[Stocked]) -> tuple[Stocked, ...]:
    """The same when all that were to be made have been made."""
    return tuple(one if one.order is None else _there(one.need, one.folder) for one in stock)


def _look(
    need: Need, artefact: Artefact, scale: Scale, folder: Path, named: Mapping[str, str]
) -> Stocked:
    if need.key in named:
        return _there(need, named[need.key])
    if (lacks := lacking(need)) is not None:
        return Stocked(need=need, lacks=lacks)
    order = order_of(need, scale, artefact)
    for name in order.names:
        place = folder / name
        if (place / MANIFEST).exists():
            one = _there(need, str(place))
            if one.members >= order.least:
                return one
            log.info("%s has %d networks, %d are wanted", place, one.members, order.least)
    return _ordered(need, artefact, scale, folder, None)


def _ordered(
    need: Need, artefact: Artefact, scale: Scale, folder: Path, members: int | None
) -> Stocked:
    order = order_of(need, scale, artefact, members)
    return Stocked(
        need=need,
        folder=str(folder / order.names[0]),
        members=order.members,
        shares=order.shares,
        order=order,
    )


def _there(need: Need, path: str) -> Stocked:
    plan = open_zoo(path).plan
    return Stocked(need=need, folder=path, members=plan.stop, shares=plan.shares)


def _where(execution: Execution) -> list[str]:
    if execution.local:
        return ["--local"]
    flags = [] if execution.workers is None else ["--workers", str(execution.workers)]
    if execution.nodes is not None:
        flags += ["--nodes", str(execution.nodes)]
    return flags if execution.address is None else ["--address", execution.address, *flags]
