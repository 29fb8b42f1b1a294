"""What each word of a question contributes: its subject matter, and the grammar that decides between look-alikes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.lexicon import listed
from askonce.matching.lexicon.function_words import DROPPED, FOREIGN, MODALS, PERSONS
from askonce.matching.subject import TermList
from askonce.matching.text import MAX_CHARACTERS, Literals, Token, normal_form, tokenise
from askonce.matching.words import lemma

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.terms import Term

__all__ = ["Analysis", "Grammar", "Tense", "analyse"]

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
_PAYLOAD: Final = re.compile(r"[^\n:]{2,300}[^\n:\d](?::\s+|\s*\n\s*)(?P<payload>\S.*)", re.DOTALL)
_CODE_SIGNS: Final = re.compile(
    r"[{};]\s*(?:\n|$)|==|=>|->|</|\bdef \w+\(|\bSELECT\b.*\bFROM\b|\breturn\b.*;"
)
_QUESTION_HEAD: Final = 3
_WISH: Final = re.compile(
    r"\W*(?:(?:hi|hello|hey)\W+)?(?:please|i(?:\s+would|'d)?\s+(?:want|like|need|wish)|can\s+you|could\s+you|help)\b",
    re.IGNORECASE,
)
_GREETING_HEAD: Final = re.compile(
    r"\W*(?:hi|hello|hey|question|quick question|please help|help)\W*$", re.IGNORECASE
)
_SCRIPTS: Final = (
    (0x0370, 0x0400, "greek"),
    (0x0400, 0x0530, "cyrillic"),
    (0x0530, 0x0590, "armenian"),
    (0x0590, 0x0600, "hebrew"),
    (0x0600, 0x0780, "arabic"),
    (0x0900, 0x0E00, "indic"),
    (0x0E00, 0x1000, "southeast-asian"),
    (0x10A0, 0x1100, "georgian"),
    (0x1100, 0x1200, "hangul"),
    (0x3040, 0x3100, "kana"),
    (0x3400, 0xA000, "han"),
    (0xAC00, 0xD7B0, "hangul"),
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
        passive: Base forms of what was done to its pronouns (`I was charged`).
        active: Base forms of what its pronouns did (`I charged`).
    """

    question: str
    modal: str
    tense: Tense
    persons: tuple[str, ...]
    negations: int
    alternatives: bool
    passive: frozenset[str]
    active: frozenset[str]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A question taken apart.

    Attributes:
        text: As asked.
        normal: Words after contractions, politeness and equivalent phrases; equal for texts that say the same words.
        terms: The words with subject matter, in an order that equivalent arrangements share.
        grammar: What the other words say.
        literals: Marked code and quotations, verbatim.
        payload: Text that is material rather than question (behind a colon or line break), one space between words.
        language: `english`, another language, or a script.
    """

    text: str
    normal: tuple[str, ...]
    terms: tuple[Term, ...]
    grammar: Grammar
    literals: Literals
    payload: str
    language: str


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
    for before, subject, word in zip(["", *words], words, [*words[1:], ""], strict=False):
        if lemma(word) != word:
            if subject in _BEING and before in _PRONOUNS:
                passive.add(lemma(word))
            elif subject in _PRONOUNS and before not in _BEING:
                active.add(lemma(word))
    return frozenset(passive), frozenset(active)


def _grammar(text: str, tokens: Sequence[Token], negations: int) -> Grammar:
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
        *_voices(words),
    )


def _script(text: str) -> str:
    """The script of most letters beyond Latin, "" where there are hardly any."""
    counts: dict[str, int] = {}
    letters = 0
    for character in text:
        if character.isalpha():
            letters += 1
            code = ord(character)
            if code >= _SCRIPTS[0][0]:
                script = next((name for first, end, name in _SCRIPTS if first <= code < end), "other")
                counts[script] = counts.get(script, 0) + 1
    best = max(counts, key=lambda name: counts[name], default="")
    return best if best and counts[best] * 5 >= letters else ""


def _language(text: str, words: Sequence[str]) -> str:
    """The script where it isn't Latin, else the language whose function words stand out, else English."""
    script = "" if text.isascii() else _script(text)
    if script:
        return script
    hits: dict[str, int] = {}
    for word in words:
        if word in FOREIGN:
            hits[FOREIGN[word]] = hits.get(FOREIGN[word], 0) + 1
    best = max(hits, key=lambda name: hits[name], default="")
    return best if best and hits[best] >= 2 and hits[best] * 5 >= len(words) else "english"  # noqa: PLR2004 - a fifth


def _payload(text: str) -> str:
    """Material to work on, with case and signs kept; code-like text is material as a whole."""
    if _CODE_SIGNS.search(text):
        return " ".join(text.split())
    if ":" not in text and "\n" not in text:
        return ""
    match = _PAYLOAD.match(text.strip())
    if match is None or _GREETING_HEAD.match(text.strip()[: match.start("payload")].rstrip(": \n")):
        return ""
    return " ".join(match["payload"].split()).rstrip(" .?!")


def analyse(text: str) -> Analysis:
    """Takes a text apart. Never raises; linear in the text's length; at most MAX_CHARACTERS are read."""
    text = text[:MAX_CHARACTERS]
    tokens, literals = tokenise(text)
    normal = normal_form(tokens)
    terms = TermList.of(tokens)
    return Analysis(
        text,
        normal,
        tuple(terms.terms),
        _grammar(text, tokens, terms.negations),
        literals,
        _payload(text),
        _language(text, normal),
    )
