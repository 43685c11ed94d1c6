"""Inputs that were damaged or made in bad faith: files by what they hold, command lines, values.

Everything follows from a seed, so that an input that was found once can be made again.
"""

import gzip
import io
import json
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from random import Random
from typing import Any, TypeAlias

Mutation: TypeAlias = Callable[[bytes, Random], bytes]
WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 10**400, 1e308, "", "x" * 50, "../../etc/passwd", "/etc/passwd", [],
    {}, [1], {"a": 1}, "NaN", float("nan"), float("inf"), "\u0000", "ok", [[]], 3.5, "..\\x",
    "config.activation",
)  # fmt: skip
"""What may stand in JSON where something else is wanted."""
CELLS = (
    "",
    "-1",
    "nan",
    "inf",
    "1e999",
    "9" * 30,
    "x",
    '"',
    "2020-01-01",
    "true",
    "../x",
    "\0",
    "é",
)
"""What may stand in a table."""
WORDS = (
    "", " ", "-1", "0", "1", "nan", "inf", "1e999", "9" * 30, "x" * 5000, "None", "[]", "{}", "..",
    "../../x", "/dev/null/x", "a\0b", "é", "\udc80", "-", "--", "%s", "a=b", "sne.chunk=[]",
    "log:1..", "1..0", ",", "s3://", "s3:///x", "s3://me:secret@bucket/zoo", "ftp://host/zoo",
    "file://", "~",
)  # fmt: skip
"""What may stand on a command line; nothing that could be written to."""

_ATOMS = (
    pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINFLOAT, pickle.NONE,
    pickle.NEWTRUE, pickle.NEWFALSE, pickle.BINUNICODE, pickle.EMPTY_LIST, pickle.EMPTY_DICT,
    pickle.EMPTY_TUPLE,
)  # fmt: skip
VALUES = (
    pickle.NONE, pickle.NEWTRUE, pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.EMPTY_TUPLE,
    pickle.BININT1 + b"\0", pickle.BININT1 + b"\7", pickle.BININT + b"\xff" * 4,
    pickle.LONG1 + b"\x09" + b"\xff" * 8 + b"\0", pickle.LONG1 + b"\xc8" + b"\x7f" * 200,
    pickle.BINFLOAT + b"\x7f\xf0" + bytes(6), pickle.BINFLOAT + b"\x3f\xf8" + bytes(6),
    pickle.BINUNICODE + b"\4\0\0\0../x", pickle.BINUNICODE + b"\1\0\0\0a",
    pickle.BINUNICODE + bytes(4),
)  # fmt: skip
"""What may stand in a pickle: instructions that put one value on its stack."""


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
    if dice.random() < 0.02:
        return b"[" * 100_000
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
            holder[str(dice.choice(("extra", "format", "__class__", key)))] = deepcopy(
                dice.choice(WRONG)
            )
        else:
            holder[key] = deepcopy(dice.choice(WRONG))
    return json.dumps(value).encode()


def mutated_lines(data: bytes, dice: Random) -> bytes:
    """One line of JSON lines mutated, removed or doubled."""
    lines = data.splitlines()
    at = dice.randrange(len(lines))
    lines[at : at + 1] = dice.choice(([], [lines[at]] * 2, [mutated_json(lines[at], dice)]))
    return b"\n".join(lines)


def mutated_table(data: bytes, dice: Random) -> bytes:
    """One to three cells of a CSV file replaced, names of columns among them, or lines doubled."""
    if dice.random() < 0.2:
        return mutated_bytes(data, dice)
    rows = [line.split(",") for line in data.decode().splitlines()]
    for _ in range(dice.randint(1, 3)):
        row = dice.choice(rows[: dice.choice((1, len(rows)))])
        at = dice.randrange(len(row))
        kind = dice.randrange(6)
        if kind == 0:
            del row[at]
        elif kind == 1:
            rows.append(list(row))
        else:
            row[at : at + 1] = [dice.choice(CELLS)]
        rows = [row for row in rows if row] or [[""]]
    return "\n".join(",".join(row) for row in rows).encode()


def mutated_gzip(data: bytes, dice: Random) -> bytes:
    """A table that was mutated before it was packed; sometimes an accident to the packed bytes."""
    if dice.random() < 0.3:
        return mutated_bytes(data, dice)
    return gzip.compress(mutated_table(gzip.decompress(data), dice), mtime=0)


def mutated_pickle(data: bytes, dice: Random) -> bytes:
    """One to three values replaced by others, each by one instruction, so that it still loads."""
    places = [at for _, _, at in pickletools.genops(data)]
    values = [
        (start, stop)
        for start, stop in pairwise([*(at or 0 for at in places), len(data)])
        if data[start : start + 1] in _ATOMS
    ]
    for start, stop in sorted(dice.sample(values, min(dice.randint(1, 3), len(values))))[::-1]:
        data = data[:start] + dice.choice(VALUES) + data[stop:]
    return data


def mutated_archive(data: bytes, dice: Random) -> bytes:
    """A pickle that was mutated within a whole archive; sometimes an accident to the archive."""
    if dice.random() < 0.15:
        return mutated_bytes(data, dice)
    change = mutated_bytes if dice.random() < 0.15 else mutated_pickle
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w") as new:
        for entry in old.infolist():
            held = old.read(entry)
            if entry.filename.endswith(".pkl"):
                held = change(held, dice)
            new.writestr(entry.filename, held)
    return sink.getvalue()


def mutated_safetensors(data: bytes, dice: Random) -> bytes:
    """The JSON at the head mutated, its length told rightly; sometimes an accident."""
    if dice.random() < 0.3:
        return mutated_bytes(data, dice)
    stop = 8 + int.from_bytes(data[:8], "little")
    head = mutated_json(data[8:stop], dice)
    return len(head).to_bytes(8, "little") + head + data[stop:]


def mutated_head(data: bytes, dice: Random) -> bytes:
    """Accidents to the first bytes, where formats say what they are."""
    return mutated_bytes(data[:128], dice) + data[128:]


BY_SUFFIX: dict[str, Mutation] = {
    ".json": mutated_json,
    "result.json": mutated_lines,
    ".csv": mutated_table,
    ".csv.gz": mutated_gzip,
    ".pt": mutated_archive,
    ".pth": mutated_archive,
    "checkpoints": mutated_archive,
    ".safetensors": mutated_safetensors,
    ".npy": mutated_head,
}


def mutation_for(name: str) -> Mutation:
    """By the longest of these ends that the name has."""
    ends = [end for end in BY_SUFFIX if name.endswith(end)]
    return BY_SUFFIX[max(ends, key=len)] if ends else mutated_bytes


def mutated_words(words: Sequence[str], dice: Random) -> list[str]:
    """One to three words of a command line replaced, removed, doubled, added or damaged."""
    found = list(words)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(found) + 1)
        kind = dice.randrange(6)
        if kind == 0:
            del found[at : at + 1]
        elif kind == 1:
            found[at:at] = found[at : at + 2]
        elif kind == 2:
            found.insert(at, dice.choice(WORDS))
        elif kind == 3:
            found[at : at + 1] = [mutated_text(word, dice) for word in found[at : at + 1]]
        else:
            found[at : at + 1] = [dice.choice(WORDS)]
    return found


def mutated_text(text: str, dice: Random) -> str:
    """Accidents to a text."""
    return mutated_bytes(text.encode(errors="surrogateescape"), dice).decode(
        errors="surrogateescape"
    )


def unnamed(
    attempt: Callable[[Random], object],
    seeds: Iterable[int],
    allowed: tuple[type[BaseException], ...],
) -> list[str]:
    """What attempts raised that is no error with a name: each kind once, with the first seed."""
    wrong: dict[str, str] = {}
    for seed in seeds:
        try:
            attempt(Random(seed))
        except allowed:
            continue
        except Exception as error:
            wrong.setdefault(f"{type(error).__name__}: {str(error)[:90]}", f"seed {seed}")
    return [f"{error} ({where})" for error, where in wrong.items()]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)
