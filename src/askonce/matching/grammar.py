"""What the words without subject matter say: kind of question, tense, persons, quantities, voice."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.lexicon import listed
from askonce.matching.lexicon.function_words import DROPPED, MODALS, PERSONS
from askonce.matching.lexicon.quantities import BOUNDS, BOUNDS_BEHIND, CARDINALS, QUANTIFIERS
from askonce.matching.words import lemma

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.text import Token

__all__ = ["Grammar", "Tense", "read_grammar"]

_QUESTION_WORDS: Final = listed("what who whose whom when where why how which")
_HOW_MEASURES: Final = listed("much many long often far old big tall fast deep large high hot heavy soon")
_AUXILIARIES: Final = listed(
    "is are am was were do does did has have had will would can could should must may might shall"
)
_SUBJECTS: Final = listed("who i we he she they it that which what you")
_PAST_VERBS: Final = listed("""
    went made took came saw knew got gave found thought told became left felt brought began kept held wrote stood heard
    met ran paid sat spoke led grew lost fell sent built drew broke spent rose drove bought wore chose ate flew forgot
    froze sold stole swam taught threw won woke caught fought hid drank sang slept shook said understood withdrew
    """)
_PRONOUNS: Final = listed("i we you he she they")
_BEING: Final = listed("am is are was were been being be got get gets getting")
_BEING_OR_SUBJECT: Final = _BEING | _PRONOUNS
_QUESTION_HEAD: Final = 3
_WISH: Final = re.compile(
    r"\W*(?:(?:hi|hello|hey)\W+)?(?:please|i(?:\s+would|'d)?\s+(?:want|like|need|wish)|can\s+you|could\s+you|help)\b",
    re.IGNORECASE,
)


class Tense(StrEnum):
    """When a question plays."""

    PAST = "past"
    PRESENT = "present"
    FUTURE = "future"


class Grammar(NamedTuple):
    """What the words without subject matter say.

    Attributes:
        question: `how`, `how much`, `when`, … ; `polar` for yes-or-no questions, `request`, "" for statements.
        modal: What a yes-or-no question asks: `can`, `should`, `must`, `would`; "" elsewhere.
        tense: When it plays.
        persons: Whom its pronouns mean, in the order of their first mention.
        negations: How many negators it has.
        alternatives: Whether it offers a choice (`or`, `vs`).
        quantifiers: Of how many it speaks: `all`, `some`, `most`, `few`, `both`, `either`, `neither`, `only`.
        bounds: What limits its numbers: `≥`, `≤`, `>`, `<`, sorted.
        passive: Base forms of what was done to its pronouns (`I was charged`).
        active: Base forms of what its pronouns did (`I charged`).
    """

    question: str
    modal: str
    tense: Tense
    persons: tuple[str, ...]
    negations: int
    alternatives: bool
    quantifiers: frozenset[str]
    bounds: tuple[str, ...]
    passive: frozenset[str]
    active: frozenset[str]


def _question(sentences: Sequence[Sequence[str]], text: str) -> str:
    """The kind of question by the first words of its first asking sentence, else by its form.

    A request opens with a verb or a wish; what remains is a statement.
    """
    for words in sentences:
        for position, word in enumerate(words[:_QUESTION_HEAD]):
            if word in _QUESTION_WORDS:
                following = words[position + 1] if position + 1 < len(words) else ""
                if word == "how" and following in _HOW_MEASURES:
                    return f"how {following}"
                return {"whose": "who", "whom": "who", "which": "what"}.get(word, word)
            if position == 0 and word in _AUXILIARIES:
                return "polar"
    first = sentences[0][:1] if sentences else ()
    return "request" if first and (first[0] not in DROPPED or _WISH.match(text)) else ""


def _sentences(tokens: Sequence[Token]) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for token in tokens:
        if token.lower == ".":
            sentences.append([])
        elif token.kind == "word":
            sentences[-1].append(token.lower)
    return [words for words in sentences if words]


def _tense(words: Sequence[str]) -> Tense:
    """Future by `will` or `going to`; past by auxiliary, or by a past form right behind its subject."""
    tense = Tense.PRESENT
    previous = ""
    for word in words:
        if word in {"will", "shall"} or (word == "to" and previous == "going"):
            return Tense.FUTURE
        if word in {"was", "were", "did", "had"} or (
            previous in _SUBJECTS and (word in _PAST_VERBS or (word.endswith("ed") and lemma(word) != word))
        ):
            tense = Tense.PAST
        previous = word
    return tense


def _voices(words: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    """What was done to pronouns, and what they did, as base forms of past forms and participles."""
    passive, active = set(), set()
    before, subject = "", ""
    for word in words:
        if subject in _BEING_OR_SUBJECT:
            base = lemma(word)
            if base == word:
                pass
            elif subject in _BEING and before in _PRONOUNS:
                passive.add(base)
            elif subject in _PRONOUNS and before not in _BEING:
                active.add(base)
        before, subject = subject, word
    return frozenset(passive), frozenset(active)


def _bounds(tokens: Sequence[Token]) -> tuple[str, ...]:
    """`at least 3`, `more than three`, `3 or fewer` and their like, one sign for each."""
    bounds = []
    words = [token.lower for token in tokens]
    for position, token in enumerate(tokens):
        if token.kind == "number" or words[position] in CARDINALS:
            before, behind = words[max(0, position - 3) : position], words[position + 1 : position + 4]
            bounds += [
                BOUNDS[phrase]
                for phrase in (tuple(before[-3:]), tuple(before[-2:]), tuple(before[-1:]))
                if phrase in BOUNDS
            ][:1]
            bounds += [
                BOUNDS_BEHIND[phrase]
                for phrase in (tuple(behind[:2]), tuple(behind[1:3]))
                if phrase in BOUNDS_BEHIND
            ][:1]
    return tuple(sorted(bounds))


def read_grammar(text: str, tokens: Sequence[Token], negations: int) -> Grammar:
    """Reads a question's grammar from its text and tokens; `negations` is how many negators were counted."""
    sentences = _sentences(tokens)
    words = [word for sentence in sentences for word in sentence]
    question = _question(sentences, text)
    return Grammar(
        question,
        MODALS.get(words[0], "") if question == "polar" and words else "",
        _tense(words),
        tuple(dict.fromkeys([PERSONS[word] for word in words if word in PERSONS])),
        negations,
        "or" in words or "vs" in words,
        frozenset([QUANTIFIERS[word] for word in words if word in QUANTIFIERS]),
        _bounds(tokens),
        *_voices(words),
    )
