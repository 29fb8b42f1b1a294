"""How alike two words are spelled."""

from __future__ import annotations

from typing import Final

__all__ = ["dice", "likeness", "trigrams"]

_GRAM: Final = 3


def trigrams(word: str) -> frozenset[str]:
    """The runs of three characters of a word with its ends marked."""
    padded = f"^{word}$"
    return frozenset([padded[start : start + _GRAM] for start in range(max(1, len(padded) - _GRAM + 1))])


def dice(one: frozenset[str], other: frozenset[str]) -> float:
    """Dice's coefficient of two sets that aren't empty, 0 to 1."""
    return 2 * len(one & other) / (len(one) + len(other))


def likeness(one: str, other: str) -> float:
    """Dice's coefficient of two words' letter trigrams: 1 for the same word, 0 for words without a run in common."""
    return dice(trigrams(one), trigrams(other))
