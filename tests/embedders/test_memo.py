"""The memo of recent vectors keeps its bound and forgets the least recently used."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from askonce.embedders.memo import VectorMemo

VECTOR = np.zeros(384, np.float32)


@given(
    texts=st.lists(st.text(max_size=40), max_size=60), max_bytes=st.integers(min_value=0, max_value=20_000)
)
def test_the_bound_holds(texts: list[str], max_bytes: int) -> None:
    """Whatever is put, the memo's size stays within its bound and is 0 exactly when it is empty."""
    memo = VectorMemo(max_bytes)
    for text in texts:
        memo.put(text, VECTOR)
        assert memo.size_bytes <= max_bytes
        assert (memo.size_bytes == 0) == (len(memo) == 0)


def test_the_least_recently_used_goes_first() -> None:
    """A text that was looked up since outlives one that was only put."""
    memo = VectorMemo(max_bytes=6_500)
    for text in "abc":
        memo.put(text, VECTOR)
    assert len(memo) == 3
    memo.get("a")
    memo.put("d", VECTOR)
    assert memo.get("b") is None
    assert memo.get("a") is VECTOR


def test_a_text_counts_once() -> None:
    """Putting the same text again changes nothing."""
    memo = VectorMemo(max_bytes=6_500)
    memo.put("a", VECTOR)
    size_bytes = memo.size_bytes
    memo.put("a", VECTOR)
    assert (len(memo), memo.size_bytes) == (1, size_bytes)
