"""Vetoes over what a question carries literally: quotations, material to work on, and the slots of an order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from askonce.matching.lexicon import listed
from askonce.matching.material import TASKS, is_code
from askonce.matching.pair import is_prose
from askonce.matching.spelling import likeness
from askonce.matching.terms import is_light
from askonce.matching.words import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.pair import Pair

__all__ = ["payload", "quoted", "slot", "wording"]

_ALIKE: Final = 0.5
_MOST_COMPARED: Final = 12
_OPENING_TERMS: Final = 2
_ARTICLES: Final = frozenset({"a", "an", "the"})
_WORDS: Final = re.compile(r"\w+")
_TASK_KEYS: Final = frozenset(key_of(word) for word in TASKS)
_ABOUT_CASE: Final = re.compile(
    r"\b(?:capital|upper|lower|case|punctuat|proofread|correct|fix|edit|format|spell)", re.IGNORECASE
)
_VERBATIM: Final = frozenset(
    key_of(word) for word in listed("translate rewrite paraphrase rephrase proofread pronounce")
)
_SAYING: Final = key_of("say")
_VERBATIM_FREE: Final = listed("to into in for me this the following how sentence phrase word text")


def _folded(text: str) -> str:
    """A text's words in lower case, one space between and around them."""
    return " ".join(["", *_WORDS.findall(text.lower()), ""])


def _stands_in(piece: str, text: str) -> bool:
    folded = _folded(piece)
    return folded in _folded(text) if folded.strip() else piece in text


def _contested(asked: Sequence[str], stored: Sequence[str]) -> bool:
    """Whether both sides have quotations and one of them is like none of the other side's."""
    sides = [(quote, stored) for quote in asked] + [(quote, asked) for quote in stored]
    return bool(asked and stored) and any(
        max([likeness(quote.lower(), other.lower()) for other in others[:_MOST_COMPARED]]) < _ALIKE
        for quote, others in sides[:_MOST_COMPARED]
    )


def quoted(pair: Pair) -> str | None:
    """Quotations match verbatim; one side may leave the quotation marks out, not change what stands in them.

    A statement's quotation is part of its prose, so there only another quotation counts.
    """
    asked, stored = pair.asked.literals.quoted, pair.stored.literals.quoted
    if asked == stored:
        return None
    if sorted(asked) == sorted(stored):
        return "direction-differs"
    if is_prose(pair) and not _contested(asked, stored):
        return None
    if asked and stored and {quote.lower() for quote in asked} == {quote.lower() for quote in stored}:
        return "quoted-differs"
    if not (asked and stored):
        words = set(_WORDS.findall(" ".join(asked + stored).lower()))
        other = pair.stored if asked else pair.asked
        if words and words <= set(_WORDS.findall(other.text.lower())):
            return None
    kept = all(_stands_in(quote, pair.stored.text) for quote in asked) and all(
        _stands_in(quote, pair.asked.text) for quote in stored
    )
    return None if kept else "quoted-differs"


def payload(pair: Pair) -> str | None:
    """Material to work on (behind a colon or line break, or code) is the same; one side may write it in one line."""
    asked, stored = pair.asked.payload, pair.stored.payload
    if asked == stored:
        return None
    if is_code(pair.asked.text) or is_code(pair.stored.text):
        return "quoted-differs"
    pieces = [(piece, pair.stored.text) for piece in asked] + [(piece, pair.asked.text) for piece in stored]
    if not all(_stands_in(piece, text) for piece, text in pieces):
        return "quoted-differs"
    return "quoted-differs" if asked and stored and _ABOUT_CASE.search(pair.asked.text) else None


def wording(pair: Pair) -> str | None:
    """Where the words themselves are the material (`translate …`, `how do you say …`), small ones count too."""
    opening, other = (
        {term.key for term in side.terms[:_OPENING_TERMS]} for side in (pair.asked, pair.stored)
    )
    keys = opening & other
    says = _SAYING in keys and pair.asked.grammar.question == pair.stored.grammar.question == "how"
    if not says and keys.isdisjoint(_VERBATIM):
        return None
    differing = set(pair.asked.normal).symmetric_difference(pair.stored.normal)
    articles = [
        [word for word in side.text.lower().split() if word in _ARTICLES]
        for side in (pair.asked, pair.stored)
    ]
    return "slot-differs" if differing - _VERBATIM_FREE or articles[0] != articles[1] else None


def slot(pair: Pair) -> str | None:
    """Two orders that differ in one place alone (`write a poem about …`, `explain … to a child`) ask for different work."""
    asked, stored = pair.asked.terms, pair.stored.terms
    if not (asked and stored and asked[0].key == stored[0].key and asked[0].key in _TASK_KEYS):
        return None
    ahead = 1
    while ahead < min(len(asked), len(stored)) and asked[ahead].key == stored[ahead].key:
        ahead += 1
    behind = 0
    while behind < min(len(asked), len(stored)) - ahead and asked[-1 - behind].key == stored[-1 - behind].key:
        behind += 1
    left, right = asked[ahead : len(asked) - behind], stored[ahead : len(stored) - behind]
    if not left or not right or all(map(is_light, left)) or all(map(is_light, right)):
        return None
    spelled = [" ".join([term.surface.lower() for term in side]) for side in (left, right)]
    return "slot-differs" if likeness(*spelled) < _ALIKE else None
