"""Vetoes: the differences after which two questions practically never share an answer, each with a stable reason code.

A guard sees two analysed questions and their alignment and returns its reason, or None where it has no objection.
All are symmetric: the order of the two questions doesn't matter. They run in the order of `GUARDS`, which puts
the most telling reason first; any one forbids the match. What merely speaks against a match is in `objections`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.alignment import Alignment, align
from askonce.matching.lexicon import listed
from askonce.matching.lexicon.antonyms import ANTONYM_PAIRS, NEGATING_PREFIXES, NEGATING_SUFFIXES
from askonce.matching.lexicon.entities import ORDINARY_NAMES
from askonce.matching.material import TASKS, is_code
from askonce.matching.spelling import likeness
from askonce.matching.terms import Kind, Role, is_light
from askonce.matching.words import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
_ARTICLES: Final = frozenset({"a", "an", "the"})
_SHORTEST_BASE: Final = 3
_MOST_COMPARED: Final = 12
_TELLING_ROLES: Final = frozenset({Role.SOURCE, Role.GOAL, Role.TOPIC, Role.BEFORE, Role.AFTER})
_SWAPPED_ROLES: Final = frozenset({Role.BEFORE, Role.AFTER, Role.COMPARED, Role.NEXT})
_OPERATORS: Final = frozenset("+*=<>^~|\\±\N{MULTIPLICATION SIGN}÷≤≥≠√∑")
_NAMING: Final = frozenset({Kind.NAME, Kind.ENTITY, Kind.NUMBER, Kind.UNIT, Kind.LITERAL})
_ORDINARY_UNITS: Final = listed(
    "second minute hour day night week month year decade century degree cup bit stone token"
)
_UNCOUNTED: Final = frozenset({_FIRST})
_ALIKE: Final = 0.5
_TASK_KEYS: Final = frozenset(key_of(word) for word in TASKS)
_ABOUT_CASE: Final = re.compile(
    r"\b(?:capital|upper|lower|case|punctuat|proofread|correct|fix|edit|format|spell)", re.IGNORECASE
)
_OPENING_TERMS: Final = 2
_WORDS: Final = re.compile(r"\w+")
_WHO_WHEN_WHERE: Final = frozenset({"when", "where", "who"})
_VERBATIM: Final = frozenset(
    key_of(word) for word in listed("translate rewrite paraphrase rephrase proofread pronounce")
)
_SAYING: Final = key_of("say")
_VERBATIM_FREE: Final = listed("to into in for me this the following how sentence phrase word text")


def _is_prose(pair: Pair) -> bool:
    """Whether both are statements: neither asks nor orders."""
    return not (pair.asked.grammar.question or pair.stored.grammar.question)


def _left_over(pair: Pair) -> tuple[Term, ...]:
    return pair.alignment.asked_only + pair.alignment.stored_only


def _new(kinds: frozenset[Kind], terms: Sequence[Term], other: Analysis) -> list[Term]:
    """Terms of some kinds that the other text doesn't mention at all, in whatever way it is written."""
    found = [term for term in terms if term.kind in kinds]
    if not found:
        return found
    keys = {term.key for term in other.terms}
    return [term for term in found if term.key not in keys and term.surface.lower() not in other.normal]


def _sides(pair: Pair, *kinds: Kind) -> tuple[list[Term], list[Term]]:
    chosen = frozenset(kinds)
    return (
        _new(chosen, pair.alignment.asked_only, pair.stored),
        _new(chosen, pair.alignment.stored_only, pair.asked),
    )


def code(pair: Pair) -> str | None:
    """Marked code, identifiers, paths and flags are compared as they stand, case included."""
    if pair.asked.literals.code != pair.stored.literals.code:
        return "code-differs"
    for term in _left_over(pair):
        if term.kind is Kind.LITERAL:
            address = "://" in term.key or "@" in term.key or term.key.startswith("www.")
            return "url-differs" if address else "code-differs"
    return None


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
    if _is_prose(pair) and not _contested(asked, stored):
        return None
    if asked and stored and {quote.lower() for quote in asked} == {quote.lower() for quote in stored}:
        return "quoted-differs"
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


def language(pair: Pair) -> str | None:
    """An answer is in the language of its question."""
    return "language-differs" if pair.asked.language != pair.stored.language else None


def numbers(pair: Pair) -> str | None:
    """Numbers, in digits or words, are the same ones; a lone `one` or `first` may be missing."""
    asked, stored = _sides(pair, Kind.NUMBER)
    if asked and stored:
        return "number-differs"
    return "number-differs" if any(term.key not in _UNCOUNTED for term in asked + stored) else None


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
    asked, stored = ([term.key for term in side if term.kind is Kind.SYMBOL] for side in pair.alignment[1:3])
    differ = (asked and stored) or not _OPERATORS.isdisjoint(asked + stored)
    return "symbol-differs" if differ else None


def negation(pair: Pair) -> str | None:
    """Both say `not`, or neither does; two negations cancel out."""
    odd = (pair.asked.grammar.negations - pair.stored.grammar.negations) % 2
    return "negation-differs" if odd else None


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


def quantifiers(pair: Pair) -> str | None:
    """`all` isn't `some`, `both` isn't `either`; one may be missing."""
    asked, stored = pair.asked.grammar.quantifiers, pair.stored.grammar.quantifiers
    return "quantifier-differs" if asked - stored and stored - asked else None


def _misspelled(entity: Term, others: Sequence[Term]) -> bool:
    """Whether one of the other side's words looks like the name."""
    name = entity.surface.lower()
    return any(likeness(name, other.surface.lower()) >= _ALIKE for other in others[:_MOST_COMPARED])


def entities(pair: Pair) -> str | None:
    """Places, languages, products, months are the same ones; a question's other names aren't replaced by other ones."""
    asked, stored = _sides(pair, Kind.ENTITY)
    if asked and stored:
        return "entity-differs"
    for entity in asked + stored:
        others = pair.alignment.stored_only if asked else pair.alignment.asked_only
        if entity.key not in ORDINARY_NAMES and not _misspelled(entity, others):
            return "entity-differs"
    if _is_prose(pair):
        return None
    asked, stored = _sides(pair, Kind.NAME)
    for left in asked[:_MOST_COMPARED]:
        for right in stored[:_MOST_COMPARED]:
            if likeness(left.surface.lower(), right.surface.lower()) < _ALIKE:
                return "entity-differs"
    return None


def direction(pair: Pair) -> str | None:
    """What one side comes from, or comes before, isn't what the other goes to, or comes after."""
    contested = pair.alignment.asked_only and pair.alignment.stored_only
    gained: set[Role] = set()
    lost: set[Role] = set()
    for asked, stored in pair.alignment.pairs:
        if asked.role is not stored.role:
            telling = asked.role in _TELLING_ROLES and stored.role in _TELLING_ROLES
            if telling and (not contested or asked.kind in _NAMING):
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
    alike = pair.asked.grammar.question == pair.stored.grammar.question and not _left_over(pair)
    if arrangement.rotated is not None:
        opposed = len(left) == len(right) == 1 and _opposed(left[0][0].key, right[0][0].key)
        governed = right[0][0].role not in {Role.NONE, Role.OTHER, left[0][0].role}
        return "direction-differs" if opposed or (governed and stay and alike) else None
    named = [all(term.kind in _NAMING for term, _ in block) for block in (left, right)]
    return "direction-differs" if stay and (all(named) or (alike and not any(named))) else None


def persons(pair: Pair) -> str | None:
    """`he` isn't `she`; and `what do I owe you` isn't `what do you owe me`."""
    asked, stored = pair.asked.grammar.persons, pair.stored.grammar.persons
    if asked == stored:
        return None
    if {"he", "she"} == set(asked) ^ set(stored):
        return "person-differs"
    swapped = (
        set(asked) == set(stored) and pair.alignment.arrangement.disorder == 0.0 and not _left_over(pair)
    )
    return "direction-differs" if swapped else None


def question(pair: Pair) -> str | None:
    """`when` isn't `where`, and neither is `who`."""
    asked, stored = pair.asked.grammar.question, pair.stored.grammar.question
    differ = asked != stored and {asked, stored} <= _WHO_WHEN_WHERE
    return "question-differs" if differ else None


def wording(pair: Pair) -> str | None:
    """Where the words themselves are the material (`translate …`, `how do you say …`), small ones count too."""
    keys = {asked.key for asked, _ in pair.alignment.pairs[:_OPENING_TERMS]}
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
    persons,
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
