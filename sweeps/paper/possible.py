"""What this version can do of an artefact; the rest is missing by name until it is registered."""

from collections.abc import Iterator, Mapping

from sne import models
from sweeps.paper.declared import Artefact, Line, Need, Pair

Lacks = Mapping[str, str | None]
"""For each zoo, by key, what this version lacks to make it; None: nothing."""


def model_lacking(line: Line) -> str | None:
    """Why this version cannot train a line; None if it can."""
    return None if line.model in models.MODELS else f"model {line.model}"


def pair_lacking(artefact: Artefact, line: Line, pair: Pair, lacks: Lacks) -> str | None:
    """What this version does not have of what a figure needs; None if nothing is missing."""
    wanted = (*artefact.trained_on(line, pair), pair.test)
    missing = [model_lacking(line), *(lacks[need.key] for need in wanted)]
    known = dict.fromkeys(what for what in missing if what is not None)
    return " and ".join(known) or None


def trainings(
    artefact: Artefact, scale: str, lacks: Lacks
) -> Iterator[tuple[Line, tuple[Need, ...], tuple[Need, ...]]]:
    """Every possible line with each of its training zoos, and the zoos that it is tested on."""
    for line in artefact.lines_at(scale):
        tests: dict[tuple[Need, ...], list[Need]] = {}
        for pair in artefact.pairs:
            if pair_lacking(artefact, line, pair, lacks) is None:
                tests.setdefault(artefact.trained_on(line, pair), []).append(pair.test)
        for train, own in tests.items():
            yield line, train, tuple(dict.fromkeys(own))


def useful(artefact: Artefact, scale: str, lacks: Lacks) -> frozenset[str]:
    """Keys of the zoos that a possible training or test wants."""
    return frozenset(
        need.key
        for _, train, tests in trainings(artefact, scale, lacks)
        for need in (*train, *tests)
    )
