"""Vectors of recent texts, bounded by bytes."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.model import Vector

__all__ = ["VectorMemo"]

_OVERHEAD_BYTES: Final = 500
"""The array objects around a row's numbers and its place in the table, measured on CPython 3.11 and rounded up."""


class VectorMemo:
    """Text to vector; the least recently used goes first.

    Args:
        max_bytes: Memory that texts and vectors may take together; 0 remembers nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._vectors: OrderedDict[str, Vector] = OrderedDict()
        self.size_bytes = 0

    def get(self, text: str) -> Vector | None:
        """The vector of exactly this text, if it is remembered."""
        vector = self._vectors.get(text)
        if vector is not None:
            self._vectors.move_to_end(text)
        return vector

    def put(self, text: str, vector: Vector) -> None:
        """Remembers a vector, unless it alone exceeds the bound."""
        if text in self._vectors or _size(text, vector) > self._max_bytes:
            return
        self._vectors[text] = vector
        self.size_bytes += _size(text, vector)
        while self.size_bytes > self._max_bytes:
            self.size_bytes -= _size(*self._vectors.popitem(last=False))

    def __len__(self) -> int:
        return len(self._vectors)


def _size(text: str, vector: Vector) -> int:
    return sys.getsizeof(text) + vector.nbytes + _OVERHEAD_BYTES
