"""Whether a dataclass that was read from a file holds what its annotations say.

Files are read by whoever finds them, years later, damaged or made by hand: a number where a name is
wanted is told of by its field here, instead of anywhere behind.
"""

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Read = TypeVar("Read")
MISUSED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What making values of a file's JSON raises, if that is not what it should be."""


def checked(value: Read, where: str = "") -> Read:
    """The value itself, a dataclass with everything in it, if all fields are of their types.

    Raises:
        TypeError: a field is not; the sentence names it, what is wanted, and what it holds.
    """
    for name, wanted in _hints(type(value)).items():
        _check(getattr(value, name), wanted, f"{where}.{name}" if where else name)
    return value


@lru_cache
def _hints(kind: type) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}  # pyright: ignore[reportArgumentType]


def _check(value: Any, wanted: Any, where: str) -> None:
    wanted = getattr(wanted, "__value__", wanted)
    origin, inner = get_origin(wanted), get_args(wanted)
    if wanted is Any or isinstance(wanted, TypeVar):
        return
    if origin in (Union, types.UnionType):
        _check_union(value, inner, where)
    elif origin is Literal:
        alike = value in inner and type(value) in {type(one) for one in inner}
        _require(alike, value, f"one of {', '.join(map(str, inner))}", where)
    elif isinstance(origin, type):
        _check_many(value, origin, inner, where)
    elif isinstance(wanted, type):
        _check_plain(value, wanted, where)


def _check_many(value: Any, origin: type, inner: tuple[Any, ...], where: str) -> None:
    if origin is tuple:
        _check_tuple(value, inner, where)
    elif issubclass(origin, Mapping):
        _require(isinstance(value, Mapping), value, "a mapping", where)
        for key, one in value.items():
            _check(key, inner[0], f"{where}'s key")
            _check(one, inner[1], f"{where}.{key}")
    elif issubclass(origin, Sequence):
        _require(isinstance(value, (list, tuple)), value, "a list", where)
        for number, one in enumerate(value):
            _check(one, inner[0], f"{where}[{number}]")


def _check_union(value: Any, kinds: tuple[Any, ...], where: str) -> None:
    said: list[TypeError] = []
    for kind in kinds:
        try:
            _check(value, kind, where)
        except TypeError as error:
            said.append(error)
        else:
            return
    raise said[0]


def _check_tuple(value: Any, inner: tuple[Any, ...], where: str) -> None:
    _require(isinstance(value, tuple), value, "a list", where)
    if len(inner) == 2 and inner[1] is Ellipsis:
        inner = (inner[0],) * len(value)
    _require(len(inner) == len(value), value, f"a list of {len(inner)}", where)
    for number, (one, kind) in enumerate(zip(value, inner, strict=True)):
        _check(one, kind, f"{where}[{number}]")


def _check_plain(value: Any, wanted: type, where: str) -> None:
    if is_dataclass(wanted):
        _require(isinstance(value, wanted), value, wanted.__name__, where)
        checked(value, where)
    elif wanted is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        _require(number and math.isfinite(value), value, "a number", where)
    elif wanted is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        _require(whole, value, "a whole number", where)
    else:
        _require(isinstance(value, wanted), value, _NAMES.get(wanted, wanted.__name__), where)


_NAMES: Mapping[type, str] = {str: "text", bool: "true or false"}


def _require(right: bool, value: Any, wanted: object, where: str) -> None:
    if not right:
        text = str(wanted).replace("typing.", "")
        raise TypeError(f"{where} is {text}, got {str(value)[:60]!r}")
