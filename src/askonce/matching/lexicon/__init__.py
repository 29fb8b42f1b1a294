"""Word lists written by hand for English questions: what may differ between two texts, and what must not.

Every list is a frozen value built at import from words between spaces, so that a reader can check it and a
change shows in review.
"""

from __future__ import annotations

__all__ = ["listed", "listed_in_order"]


def listed_in_order(words: str) -> tuple[str, ...]:
    """The words between white space."""
    return tuple(words.split())


def listed(words: str) -> frozenset[str]:
    """The words between white space, as a set."""
    return frozenset(words.split())
