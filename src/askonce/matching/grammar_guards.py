"""Vetoes over what words without subject matter say: negation, quantity, person, choice and kind of question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.matching.pair import left_over
from askonce.matching.terms import Kind

if TYPE_CHECKING:
    from askonce.matching.pair import Pair

__all__ = ["choice", "negation", "persons", "quantifiers", "question"]

_OTHER_WORDS: Final = 2
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
