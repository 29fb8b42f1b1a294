"""The words of a question that carry its subject: what they are and what part they play."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from askonce.matching.lexicon.function_words import LIGHT
from askonce.matching.words import key_of

__all__ = ["Kind", "Role", "Term", "is_light", "is_named"]

_LIGHT_KEYS: Final = frozenset(key_of(word) for word in LIGHT)


class Kind(StrEnum):
    """What a term is."""

    WORD = "word"
    NUMBER = "number"
    UNIT = "unit"
    ENTITY = "entity"
    NAME = "name"
    LITERAL = "literal"
    SYMBOL = "symbol"
    NEGATION = "negation"
    PARTICLE = "particle"


class Role(StrEnum):
    """What the preposition or `then` before a term makes of it; OTHER on a negation: it leads, so its place says nothing."""

    NONE = ""
    SOURCE = "source"
    GOAL = "goal"
    TOPIC = "topic"
    BEFORE = "before"
    AFTER = "after"
    COMPARED = "compared"
    NEXT = "next"
    OTHER = "other"


class Term(NamedTuple):
    """A word with subject matter: equal keys mean the same; `surface` is as typed."""

    key: str
    surface: str
    kind: Kind
    role: Role


def is_light(term: Term) -> bool:
    """Whether a paraphrase may add or leave out the word."""
    return term.kind in {Kind.WORD, Kind.PARTICLE} and term.key in _LIGHT_KEYS


_NAMING: Final = frozenset({Kind.NAME, Kind.ENTITY, Kind.NUMBER, Kind.UNIT, Kind.LITERAL})


def is_named(terms: tuple[Term, Term]) -> bool:
    """Whether a word that two questions share names something in either: a name, place, number, unit or literal."""
    return terms[0].kind in _NAMING or terms[1].kind in _NAMING
