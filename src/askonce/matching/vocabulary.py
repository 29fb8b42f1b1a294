"""Which words tell questions of one partition apart: learned from the questions themselves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from askonce.matching.analysis import analyse

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ENOUGH_TEXTS", "Vocabulary"]

_RARE_SHARE: Final = 0.02
_PRIOR_TEXTS: Final = 20
_MAX_WORDS: Final = 20_000
ENOUGH_TEXTS: Final = 1_000
"""Shares hardly move after so many texts: a share of 2 % is known to within 1 % by then."""


class Vocabulary:
    """Document frequencies of a partition's words, counted as its first texts come in.

    Where all questions follow a template, the template's words come to weigh nothing and the slots' words keep
    their whole weight. Memory is bounded: beyond 20,000 different words, those seen once are forgotten.
    """

    __slots__ = ("_counts", "_texts")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._counts: dict[str, int] = {}
        self._texts = 0
        for text in texts:
            self.add(text)

    @property
    def texts(self) -> int:
        """How many texts were added."""
        return self._texts

    def add(self, text: str) -> None:
        """Counts each word of `text` once, until a thousand texts have told enough."""
        if self._texts >= ENOUGH_TEXTS:
            return
        self._texts += 1
        for key in {term.key for term in analyse(text).terms}:
            self._counts[key] = self._counts.get(key, 0) + 1
        if len(self._counts) > _MAX_WORDS:
            self._counts = {word: count for word, count in self._counts.items() if count > 1}

    def weight(self, key: str) -> float:
        """0 for a word that every text has, 1 for one in fewer than a fiftieth; `key` as in `Term.key`.

        The weight is log(share) / log(1/50) with the share taken as if twenty texts without the word had come first, so that
        an empty vocabulary gives every word the weight 1.
        """
        count = self._counts.get(key, 0)
        if count == 0:
            return 1.0
        return min(1.0, math.log(count / (self._texts + _PRIOR_TEXTS)) / math.log(_RARE_SHARE))
