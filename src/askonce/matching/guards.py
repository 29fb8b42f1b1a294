"""Vetoes: the differences after which two questions practically never share an answer, each with a stable reason code.

A guard sees two analysed questions and their alignment and returns its reason, or None where it has no objection.
All are symmetric: the order of the two questions doesn't matter. They run in the order of `GUARDS`, which puts
the most telling reason first; any one forbids the match. What merely speaks against a match is in `objections`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.alignment import Alignment, align
from askonce.matching.lexicon import listed
from askonce.matching.lexicon.antonyms import ANTONYM_PAIRS, NEGATING_PREFIXES, NEGATING_SUFFIXES
from askonce.matching.terms import Kind, Role
from askonce.matching.words import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.matching.analysis import Analysis
    from askonce.matching.terms import Term

__all__ = ["GUARDS", "Pair", "first_veto", "pair_of"]


class Pair(NamedTuple):
    """Two analysed questions and how their words match."""

    asked: Analysis
    stored: Analysis
    alignment: Alignment


def pair_of(asked: Analysis, stored: Analysis) -> Pair:
    """The two, aligned."""
    return Pair(asked, stored, align(asked.terms, stored.terms))


def _antonym_table() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    for one, other in ANTONYM_PAIRS:
        left, right = key_of(one), key_of(other)
        if left != right:
            table.setdefault(left, set()).add(right)
            table.setdefault(right, set()).add(left)
    return {word: frozenset(others) for word, others in table.items()}


_ANTONYMS: Final = _antonym_table()
_ARTICLES: Final = frozenset({"a", "an", "the"})
_SHORTEST_BASE: Final = 3
_MOST_COMPARED: Final = 12
_TELLING_ROLES: Final = frozenset({Role.SOURCE, Role.GOAL, Role.TOPIC})
_VERBATIM: Final = frozenset(
    key_of(word) for word in listed("translate rewrite paraphrase rephrase proofread pronounce say")
)
_VERBATIM_FREE: Final = listed("to into in for me this the following how sentence phrase word text")


def _left_over(pair: Pair) -> tuple[Term, ...]:
    return pair.alignment.asked_only + pair.alignment.stored_only


def _kinds_differ(pair: Pair, kind: Kind, reason: str) -> str | None:
    return reason if any(term.kind is kind for term in _left_over(pair)) else None


def code(pair: Pair) -> str | None:
    """Marked code, identifiers, paths and flags are compared as they stand, case included."""
    if pair.asked.literals.code != pair.stored.literals.code:
        return "code-differs"
    for term in _left_over(pair):
        if term.kind is Kind.LITERAL:
            return (
                "url-differs"
                if "://" in term.key or "@" in term.key or term.key.startswith("www.")
                else "code-differs"
            )
    return None


def quoted(pair: Pair) -> str | None:
    """Quotations match verbatim; one side may leave the quotation marks out, not change what stands in them."""
    asked, stored = pair.asked.literals.quoted, pair.stored.literals.quoted
    if asked == stored:
        return None
    if sorted(asked) == sorted(stored):
        return "direction-differs"
    if asked and stored:
        return "quoted-differs"
    other = pair.stored.text if asked else pair.asked.text
    return None if all(quote in other for quote in asked + stored) else "quoted-differs"


def payload(pair: Pair) -> str | None:
    """Material to work on (behind a colon or line break, or code) is the same to the letter."""
    return "quoted-differs" if pair.asked.payload != pair.stored.payload else None


def language(pair: Pair) -> str | None:
    """An answer is in the language of its question."""
    return "language-differs" if pair.asked.language != pair.stored.language else None


def numbers(pair: Pair) -> str | None:
    """Numbers, in digits or words, are the same ones."""
    return _kinds_differ(pair, Kind.NUMBER, "number-differs")


def units(pair: Pair) -> str | None:
    """Units of measure and currencies are the same ones."""
    return _kinds_differ(pair, Kind.UNIT, "unit-differs")


def symbols(pair: Pair) -> str | None:
    """Operators and other signs are the same ones."""
    return _kinds_differ(pair, Kind.SYMBOL, "symbol-differs")


def negation(pair: Pair) -> str | None:
    """Both say `not` equally often."""
    return "negation-differs" if pair.asked.grammar.negations != pair.stored.grammar.negations else None


def _opposed(left: str, right: str) -> bool:
    if right in _ANTONYMS.get(left, ()):
        return True
    short, long = (left, right) if len(left) < len(right) else (right, left)
    if len(short) < _SHORTEST_BASE:
        return False
    return (long.endswith(short) and long[: -len(short)].rstrip("-") in NEGATING_PREFIXES) or (
        long.startswith(short) and long[len(short) :].lstrip("-") in NEGATING_SUFFIXES
    )


def antonyms(pair: Pair) -> str | None:
    """No word on one side is the opposite of a word on the other."""
    for left in pair.alignment.asked_only[:_MOST_COMPARED]:
        for right in pair.alignment.stored_only[:_MOST_COMPARED]:
            if _opposed(left.key, right.key):
                return "antonym"
    return None


def entities(pair: Pair) -> str | None:
    """Names of places, languages, products, people are the same ones."""
    return _kinds_differ(pair, Kind.ENTITY, "entity-differs") or _kinds_differ(
        pair, Kind.NAME, "entity-differs"
    )


def direction(pair: Pair) -> str | None:
    """What one side comes from isn't what the other goes to."""
    for asked, stored in pair.alignment.pairs:
        if asked.role is not stored.role and asked.role in _TELLING_ROLES and stored.role in _TELLING_ROLES:
            return "direction-differs"
    return None


def wording(pair: Pair) -> str | None:
    """Where the words themselves are the material (`translate …`, `how do you say …`), small ones count too."""
    if not any(asked.key in _VERBATIM for asked, _ in pair.alignment.pairs):
        return None
    differing = set(pair.asked.normal).symmetric_difference(pair.stored.normal)
    articles = [
        [word for word in side.text.lower().split() if word in _ARTICLES]
        for side in (pair.asked, pair.stored)
    ]
    return "content-word-differs" if differing - _VERBATIM_FREE or articles[0] != articles[1] else None


GUARDS: Final[tuple[Callable[[Pair], str | None], ...]] = (
    code,
    quoted,
    payload,
    language,
    numbers,
    units,
    symbols,
    negation,
    antonyms,
    entities,
    direction,
    wording,
)
"""Every guard, in the order in which they are asked."""


def first_veto(pair: Pair) -> str | None:
    """The reason of the first guard that objects, None where none does."""
    for guard in GUARDS:
        reason = guard(pair)
        if reason is not None:
            return reason
    return None
