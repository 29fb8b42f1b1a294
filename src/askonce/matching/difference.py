"""Where two JSON documents differ, place by place, as RFC 6901's pointers name the places."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Difference", "How", "differences"]


class How(StrEnum):
    """In which way two documents differ at a place."""

    VALUE = "value"
    """Both have something there, and not the same."""
    ONLY_ONE = "only-one"
    ONLY_OTHER = "only-other"
    ORDER = "order"
    """The same keys in another order; the values are the keys."""


class Difference(NamedTuple):
    """A place where two documents differ; the value of a side that has nothing there is None."""

    pointer: str
    how: How
    one: Any
    other: Any


def differences(one: Any, other: Any) -> Iterator[Difference]:
    """All places where two documents differ, none inside another.

    Types count: `1` isn't `true`, nor `1.0`. So does the order of keys: canonical forms sort them where it means nothing.
    """
    return _at("", one, other)


def _at(pointer: str, one: Any, other: Any) -> Iterator[Difference]:
    if type(one) is not type(other):
        yield Difference(pointer, How.VALUE, one, other)
    elif type(one) is dict:
        yield from _in_object(pointer, one, other)
    elif type(one) is list:
        yield from _in_list(pointer, one, other)
    elif one != other:
        yield Difference(pointer, How.VALUE, one, other)


def _in_object(pointer: str, one: dict[str, Any], other: dict[str, Any]) -> Iterator[Difference]:
    if one.keys() == other.keys() and list(one) != list(other):
        yield Difference(pointer, How.ORDER, list(one), list(other))
    for key in {**one, **other}:
        place = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in other:
            yield Difference(place, How.ONLY_ONE, one[key], None)
        elif key not in one:
            yield Difference(place, How.ONLY_OTHER, None, other[key])
        else:
            yield from _at(place, one[key], other[key])


def _in_list(pointer: str, one: list[Any], other: list[Any]) -> Iterator[Difference]:
    both = min(len(one), len(other))
    for index in range(both):
        yield from _at(f"{pointer}/{index}", one[index], other[index])
    for index in range(both, len(one)):
        yield Difference(f"{pointer}/{index}", How.ONLY_ONE, one[index], None)
    for index in range(both, len(other)):
        yield Difference(f"{pointer}/{index}", How.ONLY_OTHER, None, other[index])
