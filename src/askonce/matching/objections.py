"""What speaks against sharing an answer without deciding it, each with a stable reason code.

Many paraphrases have such a difference too, so a verifier weighs objections; only `guards` forbid. All are symmetric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.matching.grammar import Tense
from askonce.matching.terms import is_light

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.matching.pair import Pair

__all__ = ["OBJECTIONS", "objections"]

_FACTUAL: Final = frozenset({"who", "what", "where", "when", "polar"})
_GOES_WITH: Final = {"why": {""}, "where": {"", "request"}, "polar": {"", "request"}}


def order(pair: Pair) -> str | None:
    """The words that both have stand in the same order, unless a whole phrase has moved."""
    return "order-differs" if pair.alignment.inverted else None


def negation(pair: Pair) -> str | None:
    """One says `not` and the other doesn't."""
    differ = pair.asked.grammar.negations % 2 != pair.stored.grammar.negations % 2
    return "negation-differs" if differ else None


def persons(pair: Pair) -> str | None:
    """`my` isn't `your`, `his` isn't `her`; a pronoun may be missing on one side (`my password`, `a password`)."""
    asked, stored = pair.asked.grammar.persons, pair.stored.grammar.persons
    swapped = asked != stored and set(asked) == set(stored)
    replaced = set(asked) - set(stored) and set(stored) - set(asked)
    return "person-differs" if swapped or replaced else None


def voice(pair: Pair) -> str | None:
    """`I was charged` isn't `I charged`."""
    asked, stored = pair.asked.grammar, pair.stored.grammar
    return "voice-differs" if asked.passive & stored.active or asked.active & stored.passive else None


def tense(pair: Pair) -> str | None:
    """The future is never the present or past; questions of fact don't mix past and present either."""
    asked, stored = pair.asked.grammar, pair.stored.grammar
    if asked.tense is stored.tense:
        return None
    factual = asked.question in _FACTUAL or stored.question in _FACTUAL
    return "tense-differs" if factual or Tense.FUTURE in {asked.tense, stored.tense} else None


def choice(pair: Pair) -> str | None:
    """A choice (`or`, `vs`) isn't a sum (`and`)."""
    differ = pair.asked.grammar.alternatives != pair.stored.grammar.alternatives
    return "choice-differs" if differ else None


def question(pair: Pair) -> str | None:
    """`when` isn't `where`, `can I` isn't `should I`; requests go with any question word."""
    asked, stored = pair.asked.grammar, pair.stored.grammar
    if asked.question == stored.question:
        return "question-differs" if asked.modal != stored.modal else None
    for one, other in ((asked.question, stored.question), (stored.question, asked.question)):
        if one.startswith("how ") or one in {"when", "who"}:
            return "question-differs"
        if one in {"why", "where", "polar"} and other not in _GOES_WITH[one]:
            return "question-differs"
    return None


def content(pair: Pair) -> str | None:
    """No word of one side stands against another word of the other side."""
    asked, stored = pair.alignment.asked_only, pair.alignment.stored_only
    contested = asked and stored and not all(is_light(term) for term in asked + stored)
    return "content-word-differs" if contested else None


OBJECTIONS: Final[tuple[Callable[[Pair], str | None], ...]] = (
    negation,
    order,
    persons,
    voice,
    tense,
    choice,
    question,
    content,
)
"""Every objection, the most telling first."""


def objections(pair: Pair) -> tuple[str, ...]:
    """The reasons of all that object, the most telling first; () where nothing speaks against the match."""
    return tuple([reason for objection in OBJECTIONS if (reason := objection(pair)) is not None])
