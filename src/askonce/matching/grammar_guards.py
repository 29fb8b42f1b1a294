"""Vetoes over what words without subject matter say: negation, quantity, person, choice and kind of question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.matching.lexicon import listed
from askonce.matching.pair import left_over
from askonce.matching.terms import Kind, is_light
from askonce.matching.words import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.analysis import Analysis
    from askonce.matching.pair import Pair

__all__ = ["choice", "inversion", "negation", "persons", "quantifiers", "question"]

_OTHER_WORDS: Final = 2
_WHO_WHAT: Final = frozenset({"who", "what"})
_SUPPORT: Final = frozenset({"do", "does", "did"})
_HELPING: Final = _SUPPORT | listed("""
    is are am was were be been being has have had will would can could should must may might shall to by""")
"""Where one of these stands, the word order alone doesn't tell who does it."""
_MUTUAL: Final = frozenset(
    key_of(word)
    for word in listed("""
        border mix match work pair go fit differ conflict compete interact overlap play meet marry resemble equal share
        agree communicate trade combine connect collaborate cooperate integrate rhyme contrast intersect correspond
        coincide compare mean cost""")
)
"""What one does to another the other does as well, or can't do at all."""
_LATEST_SUPPORT: Final = 6
_WHO_WHEN_WHERE: Final = frozenset({"when", "where", "who"})


def negation(pair: Pair) -> str | None:
    """Both say `not`, or neither does; two negations cancel out.

    Questions in quite other words (two or more left over on either side) may be negated for the wording's sake.
    """
    odd = (pair.asked.grammar.negations - pair.stored.grammar.negations) % 2
    return "negation-differs" if odd and _fewest_left(pair) < _OTHER_WORDS else None


def _fewest_left(pair: Pair) -> int:
    """How many words, negations aside, are left over on the side that has fewer of them."""
    return min(
        sum(term.kind is not Kind.NEGATION for term in side)
        for side in (pair.alignment.asked_only, pair.alignment.stored_only)
    )


def quantifiers(pair: Pair) -> str | None:
    """`all` isn't `some`, `both` isn't `either`; one may be missing."""
    asked, stored = pair.asked.grammar.quantifiers, pair.stored.grammar.quantifiers
    return "quantifier-differs" if asked - stored and stored - asked else None


def persons(pair: Pair) -> str | None:
    """`he` isn't `she`; and `what do I owe you` isn't `what do you owe me`."""
    asked, stored = pair.asked.grammar.persons, pair.stored.grammar.persons
    if asked == stored:
        return None
    if {"he", "she"} == set(asked) ^ set(stored):
        return "person-differs"
    swapped = set(asked) == set(stored) and pair.alignment.arrangement.disorder == 0.0 and not left_over(pair)
    return "direction-differs" if swapped else None


def inversion(pair: Pair) -> str | None:
    """`Which bank did Santander buy` isn't `Which bank bought Santander`: asked is who does it, or to whom it is done."""
    asked, stored = pair.asked, pair.stored
    if asked.grammar.question != stored.grammar.question or asked.grammar.question not in _WHO_WHAT:
        return None
    if not all(term.kind is Kind.PARTICLE or is_light(term) for term in left_over(pair)):
        return None
    helped, plain = (asked, stored) if not _SUPPORT.isdisjoint(asked.normal) else (stored, asked)
    acting = _acting(helped)
    if not acting or not _HELPING.isdisjoint(plain.normal):
        return None
    first = next((key for key in _keys(plain, plain.normal) if key in acting), acting[0])
    return "direction-differs" if first != acting[0] and _MUTUAL.isdisjoint(acting) else None


def _acting(one: Analysis) -> list[str]:
    """Subject matter from the subject of an early `do`, `does`, `did` on (`[santander, buy]`); none behind a pronoun."""
    head = one.normal[:_LATEST_SUPPORT]
    place = next((place for place, word in enumerate(head, 1) if word in _SUPPORT), len(one.normal))
    return _keys(one, one.normal[place:]) if _keys(one, one.normal[place : place + 1]) else []


def _keys(one: Analysis, words: Sequence[str]) -> list[str]:
    """Keys of the words that are subject matter."""
    matter = {term.key for term in one.terms}
    keys = [word if word in matter else key_of(word) for word in words]
    return [key for key in keys if key in matter]


def choice(pair: Pair) -> str | None:
    """`A or B` isn't `A and B`."""
    if pair.asked.grammar.alternatives == pair.stored.grammar.alternatives:
        return None
    differing = set(pair.asked.normal) ^ set(pair.stored.normal)
    return "choice-differs" if differing == {"or", "and"} else None


def question(pair: Pair) -> str | None:
    """`when` isn't `where`, and neither is `who`."""
    asked, stored = pair.asked.grammar.question, pair.stored.grammar.question
    differ = asked != stored and {asked, stored} <= _WHO_WHEN_WHERE
    return "question-differs" if differ else None
