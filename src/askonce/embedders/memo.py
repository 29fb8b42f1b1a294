"""What recent texts became, bounded by bytes."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.ports import Embedding

__all__ = ["EmbeddingMemo"]

_OVERHEAD_BYTES: Final = 550
"""The objects around a vector's numbers and their place in the table, measured on CPython 3.11 and rounded up."""
_TOKENS_BYTES: Final = 400
"""The objects around the numbers of tokens, an estimate from above."""


class EmbeddingMemo:
    """Text to embedding; the least recently used goes first.

    Args:
        max_bytes: Memory that texts and embeddings may take together; 0 remembers nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._embeddings: OrderedDict[str, Embedding] = OrderedDict()
        self.size_bytes = 0

    def get(self, text: str) -> Embedding | None:
        """What exactly this text became, if it is remembered."""
        embedding = self._embeddings.get(text)
        if embedding is not None:
            self._embeddings.move_to_end(text)
        return embedding

    def put(self, text: str, embedding: Embedding) -> None:
        """Remembers an embedding, unless it alone exceeds the bound."""
        if text in self._embeddings or _size(text, embedding) > self._max_bytes:
            return
        self._embeddings[text] = embedding
        self.size_bytes += _size(text, embedding)
        while self.size_bytes > self._max_bytes:
            self.size_bytes -= _size(*self._embeddings.popitem(last=False))

    def clear(self) -> None:
        """Forgets everything."""
        self._embeddings.clear()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._embeddings)


def _size(text: str, embedding: Embedding) -> int:
    size_bytes = sys.getsizeof(text) + embedding.vector.nbytes + _OVERHEAD_BYTES
    tokens = embedding.tokens
    return (
        size_bytes
        if tokens is None
        else size_bytes + tokens.ids.nbytes + tokens.states.nbytes + _TOKENS_BYTES
    )
