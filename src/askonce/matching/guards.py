"""Vetoes: the differences after which two questions practically never share an answer, each with a stable reason code.

A guard sees two analysed questions and their alignment and returns its reason, or None where it has no objection.
All are symmetric: the order of the two questions doesn't matter. They run in the order of `GUARDS`, which puts
the most telling reason first; any one forbids the match. What merely speaks against a match is in `objections`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.matching.grammar_guards import choice, inversion, negation, persons, quantifiers, question
from askonce.matching.lexicon import listed
from askonce.matching.lexicon.antonyms import ANTONYM_PAIRS, NEGATING_PREFIXES, NEGATING_SUFFIXES
from askonce.matching.lexicon.entities import ORDINARY_NAMES
from askonce.matching.lexicon.quantities import ROMANS
from askonce.matching.literal_guards import payload, quoted, slot, wording
from askonce.matching.pair import Pair, is_prose, left_over, pair_of
from askonce.matching.spelling import likeness
from askonce.matching.terms import Kind, Role, is_named
from askonce.matching.words import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.matching.analysis import Analysis
    from askonce.matching.terms import Term

__all__ = ["GUARDS", "Pair", "first_veto", "pair_of"]

_FIRST: Final = "#1"  # the key of `one` and `first`


def _antonym_table() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    for one, other in ANTONYM_PAIRS:
        left, right = (_FIRST if word == "first" else key_of(word) for word in (one, other))
        if left != right:
            table.setdefault(left, set()).add(right)
            table.setdefault(right, set()).add(left)
    return {word: frozenset(others) for word, others in table.items()}


_ANTONYMS: Final = _antonym_table()
_SHORTEST_BASE: Final = 3
_MOST_COMPARED: Final = 12
_TELLING_ROLES: Final = frozenset({Role.SOURCE, Role.GOAL, Role.TOPIC, Role.BEFORE, Role.AFTER})
_IN_TIME: Final = frozenset({Role.BEFORE, Role.AFTER})
_SWAPPED_ROLES: Final = _IN_TIME | {Role.COMPARED, Role.NEXT}
_WHO_WHAT: Final = frozenset({"who", "what"})
_STRANDED: Final = frozenset({"of", "by"})
_FLOATING: Final = frozenset(
    key_of(word)
    for word in listed(
        "exactly currently possibly maybe now today tomorrow usually always often still already ever"
    )
)
_OPERATORS: Final = frozenset({*"+*=<>^~|\\±\N{MULTIPLICATION SIGN}÷≤≥≠√∑", "&&", "||"})
_ORDINARY_UNITS: Final = listed(
    "second minute hour day night week month year decade century degree cup bit stone token"
)
_UNCOUNTED: Final = frozenset({_FIRST})
_ALIKE: Final = 0.5


def _new(kind: Kind, terms: Sequence[Term], other: Analysis) -> list[Term]:
    """Terms of a kind that the other text doesn't mention at all, names and Roman numerals in whatever case."""
    found = [term for term in terms if term.kind is kind]
    if not found:
        return found
    keys = {term.key for term in other.terms}
    counted = kind in {Kind.NUMBER, Kind.UNIT}
    return [
        term
        for term in found
        if term.key not in keys
        and ((counted and term.surface not in ROMANS) or term.surface.lower() not in other.normal)
    ]


def _sides(pair: Pair, kind: Kind) -> tuple[list[Term], list[Term]]:
    """What each side alone mentions of a kind."""
    if kind not in pair.alignment.kinds_left:
        return [], []
    return (
        _new(kind, pair.alignment.asked_only, pair.stored),
        _new(kind, pair.alignment.stored_only, pair.asked),
    )


def _stands_alone(piece: str, text: str) -> bool:
    """Whether a text has the piece as it stands, not as a part of a longer word."""
    at = text.find(piece)
    end = at + len(piece)
    return at >= 0 and not (text[max(0, at - 1) : at].isalnum() or text[end : end + 1].isalnum())


def code(pair: Pair) -> str | None:
    """Marked code, identifiers, paths and flags are compared as they stand, case included; the mark may be missing."""
    asked, stored = pair.asked.literals.code, pair.stored.literals.code
    other = pair.stored.text if asked else pair.asked.text
    if asked != stored and (
        (asked and stored) or not all(_stands_alone(piece, other) for piece in asked + stored)
    ):
        return "code-differs"
    if Kind.LITERAL not in pair.alignment.kinds_left:
        return None
    marked = " ".join(asked + stored)
    keys = [term.key for term in left_over(pair) if term.kind is Kind.LITERAL and term.surface not in marked]
    if not keys:
        return None
    address = any("://" in key or "@" in key or key.startswith("www.") for key in keys)
    return "url-differs" if address else "code-differs"


def language(pair: Pair) -> str | None:
    """An answer is in the language of its question."""
    return "language-differs" if pair.asked.language != pair.stored.language else None


def numbers(pair: Pair) -> str | None:
    """Numbers, in digits or words, are the same ones; a lone `one` or `first` may be missing, and in prose any."""
    asked, stored = _sides(pair, Kind.NUMBER)
    if asked and stored:
        return "number-differs"
    told = any(term.key not in _UNCOUNTED for term in asked + stored)
    return "number-differs" if told and not is_prose(pair) else None


def bounds(pair: Pair) -> str | None:
    """`at least 3` isn't `at most 3`, nor `3`."""
    return "number-differs" if pair.asked.grammar.bounds != pair.stored.grammar.bounds else None


def units(pair: Pair) -> str | None:
    """Units of measure and currencies are the same ones; everyday ones may be missing on one side."""
    asked, stored = _sides(pair, Kind.UNIT)
    if asked and stored:
        return "unit-differs"
    return "unit-differs" if any(term.key not in _ORDINARY_UNITS for term in asked + stored) else None


def symbols(pair: Pair) -> str | None:
    """Operators and other signs are the same ones; those that aren't operators may be missing on one side."""
    pairs, moved = pair.alignment.pairs, pair.alignment.arrangement.moved
    if any(term.key in _OPERATORS for index in moved for term in pairs[index]):
        return "symbol-differs"
    if Kind.SYMBOL not in pair.alignment.kinds_left:
        return None
    asked, stored = ([term.key for term in side if term.kind is Kind.SYMBOL] for side in pair.alignment[1:3])
    differ = (asked and stored) or not _OPERATORS.isdisjoint(asked + stored)
    return "symbol-differs" if differ else None


def _opposed(left: str, right: str) -> bool:
    if right in _ANTONYMS.get(left, ()):
        return True
    short, long = (left, right) if len(left) < len(right) else (right, left)
    if len(short) < _SHORTEST_BASE or short not in long:
        return False
    return (long.endswith(short) and long[: -len(short)].rstrip("-") in NEGATING_PREFIXES) or (
        long.startswith(short) and long[len(short) :].lstrip("-") in NEGATING_SUFFIXES
    )


def antonyms(pair: Pair) -> str | None:
    """No word on one side is the opposite of a word on the other, unless a negation turns it (`can't find`, `lost`)."""
    if pair.asked.grammar.negations != pair.stored.grammar.negations:
        return None
    for left in pair.alignment.asked_only[:_MOST_COMPARED]:
        for right in pair.alignment.stored_only[:_MOST_COMPARED]:
            if _opposed(left.key, right.key):
                return "antonym"
    return None


def _misspelled(entity: Term, others: Sequence[Term]) -> bool:
    """Whether one of the other side's words looks like the name."""
    name = entity.surface.lower()
    return any(likeness(name, other.surface.lower()) >= _ALIKE for other in others[:_MOST_COMPARED])


def _abbreviates(name: Term, others: Sequence[Term]) -> bool:
    """Whether a name in capitals consists of the other side's initials (`LA`, `Los Angeles`)."""
    return name.surface.isupper() and name.surface == "".join([other.surface[:1] for other in others]).upper()


def entities(pair: Pair) -> str | None:
    """Places, languages, products, months are the same ones, and other names aren't replaced; prose may leave one out."""
    asked, stored = _sides(pair, Kind.ENTITY)
    if asked and stored:
        return "entity-differs"
    if is_prose(pair):
        return None
    for entity in asked + stored:
        others = pair.alignment.stored_only if asked else pair.alignment.asked_only
        if entity.key not in ORDINARY_NAMES and not _misspelled(entity, others):
            return "entity-differs"
    asked, stored = _sides(pair, Kind.NAME)
    for left in asked[:_MOST_COMPARED]:
        for right in stored[:_MOST_COMPARED]:
            alike = likeness(left.surface.lower(), right.surface.lower()) >= _ALIKE
            if not (alike or _abbreviates(left, stored) or _abbreviates(right, asked)):
                return "entity-differs"
    return None


def direction(pair: Pair) -> str | None:
    """What one side comes from, or comes before, isn't what the other goes to, or comes after."""
    extra = left_over(pair)
    asks = {pair.asked.grammar.question, pair.stored.grammar.question} <= _WHO_WHAT
    if asks and len(extra) == 1 and extra[0].key in _STRANDED:
        return "direction-differs"  # `Ann's father`, `Ann the father of`
    contested = pair.alignment.asked_only and pair.alignment.stored_only
    gained: set[Role] = set()
    lost: set[Role] = set()
    for asked, stored in pair.alignment.pairs:
        if asked.role is not stored.role:
            roles = {asked.role, stored.role}
            in_time = Role.NONE not in roles and not roles.isdisjoint(_IN_TIME)
            telling = roles <= _TELLING_ROLES or (in_time and not is_prose(pair))
            if telling and (not contested or is_named((asked, stored))):
                return "direction-differs"
            lost.add(asked.role)
            gained.add(stored.role)
    return None if gained.isdisjoint(lost & _SWAPPED_ROLES) else "direction-differs"


def exchange(pair: Pair) -> str | None:
    """No two names have changed places while what stands between stayed (`Ann called Bob`).

    The same holds for two other phrases in questions of one kind where no word is added or left out; what stands between
    them may be a mere preposition (`French into German`).
    """
    pairs, arrangement = pair.alignment.pairs, pair.alignment.arrangement
    blocks = arrangement.exchanged or arrangement.rotated
    if blocks is None:
        return None
    left, right = ([pairs[index] for index in range(*block)] for block in blocks)
    stay = left[0][0].role is right[0][1].role and right[0][0].role is left[0][1].role
    alike = pair.asked.grammar.question == pair.stored.grammar.question and not left_over(pair)
    alike = alike and not any(
        len(block) == 1 and any(term.key in _FLOATING for term in block[0]) for block in (left, right)
    )
    if arrangement.rotated is not None:
        opposed = len(left) == len(right) == 1 and _opposed(left[0][0].key, right[0][0].key)
        governed = right[0][0].role not in {Role.NONE, Role.OTHER, left[0][0].role}
        return "direction-differs" if opposed or (governed and stay and alike) else None
    named = [all(is_named(terms) for terms in block) for block in (left, right)]
    return "direction-differs" if stay and (all(named) or (alike and not any(named))) else None


GUARDS: Final[tuple[Callable[[Pair], str | None], ...]] = (
    code,
    quoted,
    payload,
    language,
    numbers,
    bounds,
    units,
    symbols,
    negation,
    antonyms,
    quantifiers,
    entities,
    direction,
    exchange,
    inversion,
    persons,
    choice,
    question,
    wording,
    slot,
)
"""Every guard, in the order in which they are asked."""


def first_veto(pair: Pair) -> str | None:
    """The reason of the first guard that objects, None where none does."""
    for guard in GUARDS:
        reason = guard(pair)
        if reason is not None:
            return reason
    return None
