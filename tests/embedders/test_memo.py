"""The memo of recent embeddings keeps its bound and forgets the least recently used."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from askonce.embedders.memo import EmbeddingMemo
from askonce.model import Tokens
from askonce.ports import Embedding

EMBEDDING = Embedding(np.zeros(384, np.float32), None)


def tokens(count: int) -> Tokens:
    return Tokens(np.zeros(count, np.uint16), np.zeros((count, 64), np.int8))


@given(
    texts=st.lists(st.text(max_size=40), max_size=60), max_bytes=st.integers(min_value=0, max_value=20_000)
)
def test_the_bound_holds(texts: list[str], max_bytes: int) -> None:
    """Whatever is put, the memo's size stays within its bound and is 0 exactly when it is empty."""
    memo = EmbeddingMemo(max_bytes)
    for text in texts:
        memo.put(text, Embedding(EMBEDDING.vector, tokens(len(text)) if len(text) % 2 else None))
        assert memo.size_bytes <= max_bytes
        assert (memo.size_bytes == 0) == (len(memo) == 0)


def test_the_least_recently_used_goes_first() -> None:
    """A text that was looked up since outlives one that was only put."""
    memo = EmbeddingMemo(max_bytes=6_500)
    for text in "abc":
        memo.put(text, EMBEDDING)
    assert len(memo) == 3
    memo.get("a")
    memo.put("d", EMBEDDING)
    assert memo.get("b") is None
    assert memo.get("a") is EMBEDDING


def test_a_text_counts_once() -> None:
    """Putting the same text again changes nothing."""
    memo = EmbeddingMemo(max_bytes=6_500)
    memo.put("a", EMBEDDING)
    size_bytes = memo.size_bytes
    memo.put("a", EMBEDDING)
    assert (len(memo), memo.size_bytes) == (1, size_bytes)


def test_tokens_count() -> None:
    """A text's tokens take room in the memo, the more the longer it is: 66 bytes a token."""
    sizes = []
    for embedding in (EMBEDDING, *(Embedding(EMBEDDING.vector, tokens(count)) for count in (10, 110))):
        memo = EmbeddingMemo(max_bytes=100_000)
        memo.put("a", embedding)
        sizes.append(memo.size_bytes)
    assert sizes[1] - sizes[0] > 660
    assert sizes[2] - sizes[1] == 6_600
