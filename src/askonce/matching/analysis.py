"""What each word of a question contributes: its subject matter, and the grammar that decides between look-alikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from askonce.matching.grammar import Grammar, read_grammar
from askonce.matching.lexicon.function_words import FOREIGN
from askonce.matching.material import material
from askonce.matching.subject import TermList
from askonce.matching.text import MAX_CHARACTERS, Literals, normal_form, tokenise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.terms import Term

__all__ = ["Analysis", "analyse"]

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


@dataclass(frozen=True, slots=True)
class Analysis:
    """A question taken apart.

    Attributes:
        text: As asked.
        normal: Words after contractions, politeness and equivalent phrases; equal for texts that say the same words.
        terms: The words with subject matter, in an order that equivalent arrangements share.
        grammar: What the other words say.
        literals: Marked code and quotations, verbatim.
        payload: The pieces that are material to work on rather than question, see `material`.
        language: `english`, another language, or a script.
    """

    text: str
    normal: tuple[str, ...]
    terms: tuple[Term, ...]
    grammar: Grammar
    literals: Literals
    payload: tuple[str, ...]
    language: str


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
        read_grammar(text, tokens, terms.negations),
        literals,
        material(text),
        _language(text, normal),
    )
