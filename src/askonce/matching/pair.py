"""Two questions side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.alignment import Alignment, align
from askonce.matching.lexicon import listed
from askonce.matching.words import lemma

if TYPE_CHECKING:
    from askonce.matching.analysis import Analysis
    from askonce.matching.terms import Term

__all__ = ["Pair", "is_prose", "left_over", "pair_of"]

_FINITE: Final = listed("is are was were has had did does will would")
_FEWEST_PROSE_WORDS: Final = 6
_SPEAKERS: Final = frozenset({"first", "second"})


class Pair(NamedTuple):
    """Two analysed questions and how their words match."""

    asked: Analysis
    stored: Analysis
    alignment: Alignment


def pair_of(asked: Analysis, stored: Analysis) -> Pair:
    """The two, aligned."""
    return Pair(asked, stored, align(asked.terms, stored.terms))


def left_over(pair: Pair) -> tuple[Term, ...]:
    """The terms of either side without counterpart."""
    return pair.alignment.asked_only + pair.alignment.stored_only


def is_prose(pair: Pair) -> bool:
    """Whether both are sentences that state something: they neither ask nor order, and speak of others than us."""
    return _states(pair.asked) and _states(pair.stored)


def _states(one: Analysis) -> bool:
    if (
        one.grammar.question not in {"", "request"}
        or "?" in one.text
        or len(one.normal) < _FEWEST_PROSE_WORDS
    ):
        return False
    if one.payload or not _SPEAKERS.isdisjoint(one.grammar.persons):
        return False
    return any(word in _FINITE or (word.endswith("ed") and lemma(word) != word) for word in one.normal[1:])
