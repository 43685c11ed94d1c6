"""Mutated files: bytes that were flipped, cut, doubled; JSON whose values are something else."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 1e308, "", "x" * 50, "../../etc/passwd", "/etc/passwd", [], {}, [1],
    {"a": 1}, "NaN", float("nan"), "\u0000", "ok", [[]], 3.5, "config.activation",
)  # fmt: skip
"""What may stand where something else is wanted."""


def mutated_bytes(data: bytes, dice: Random) -> bytes:
    """One to four accidents."""
    found = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at, size = dice.randrange(len(found) + 1), dice.choice((1, 1, 2, 8, 64))
        kind = dice.randrange(5)
        if kind == 0 and found:
            found[at % len(found)] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del found[at : at + size]
        elif kind == 2:
            found[at:at] = dice.randbytes(size)
        elif kind == 3:
            found[at:at] = found[at : at + size]
        else:
            del found[at:]
    return bytes(found)


def mutated_json(data: bytes, dice: Random) -> bytes:
    """One to three values replaced, removed or added; sometimes an accident to the text."""
    if dice.random() < 0.15:
        return mutated_bytes(data, dice)
    value = json.loads(data)
    for _ in range(dice.randint(1, 3)):
        places = list(_places(value))
        if not places:
            break
        holder, key = dice.choice(places)
        kind = dice.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[str(dice.choice(("extra", "format", "__class__", key)))] = dice.choice(WRONG)
        else:
            holder[key] = dice.choice(WRONG)
    return json.dumps(value).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def mutation_for(name: str) -> Callable[[bytes, Random], bytes]:
    return mutated_json if name.endswith(".json") else mutated_bytes
