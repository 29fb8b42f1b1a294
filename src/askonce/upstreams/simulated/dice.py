"""Reproducible chance: every throw is a function of the parts that a die was made from."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Dice", "digest"]

_Item = TypeVar("_Item")
_MASK: Final = (1 << 64) - 1


def digest(*parts: bytes | str | int) -> bytes:
    """16 bytes that stand for the parts; different parts give different bytes."""
    return blake2b(repr(parts).encode(), digest_size=16).digest()


class Dice:
    """A stream of 64-bit words by splitmix64 (Steele, Lea and Flood 2014), seeded by its parts' digest."""

    __slots__ = ("_state",)

    def __init__(self, *parts: bytes | str | int) -> None:
        self._state = int.from_bytes(digest(*parts)[:8], "little")

    def word(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def below(self, bound: int) -> int:
        """An integer from 0 to `bound` - 1."""
        return self.word() % bound

    def share(self) -> float:
        """A number from 0 to just below 1."""
        return (self.word() >> 11) / (1 << 53)

    def pick(self, items: Sequence[_Item]) -> _Item:
        """One of the items."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[_Item], count: int) -> list[_Item]:
        """`count` different items (all of them where there are fewer), in a random order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]

    def hex(self, length: int) -> str:
        """A string of hexadecimal digits."""
        text = ""
        while len(text) < length:
            text += f"{self.word():016x}"
        return text[:length]
