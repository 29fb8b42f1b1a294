"""Cuts a question into words and literals, and writes phrases that mean the same in one way."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.lexicon.entities import CAMEL_BRANDS
from askonce.matching.lexicon.function_words import CONTRACTIONS, FILLERS
from askonce.matching.lexicon.rewrites import OPENINGS, REWRITE_LENGTHS, REWRITES
from askonce.matching.lexicon.synonyms import SPELLINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_CHARACTERS", "Literals", "Token", "normal_form", "tokenise"]

MAX_CHARACTERS: Final = 8_000
"""Longer texts are never compared: only the beginning would be read, and the end may decide."""

_QUOTE_SIGNS: Final = str.maketrans(
    {
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u00ab": '"',
        "\u00bb": '"',
        "\u2018": "'",
        "\u2019": "'",
        "\u201a": "'",
        "\u00b4": "'",
    }
    | {
        "\u2013": "-",
        "\u2014": "-",
        "\u2212": "-",
        "\u2010": "-",
        "\u2011": "-",
        "\u00a0": " ",
        "\u2026": " ",
    }
)
_CODE: Final = re.compile(r"```(.*?)(?:```|\Z)|`([^`\n]+)`", re.DOTALL)
_DOUBLE_QUOTED: Final = re.compile(r'(?<!")"+([^"\n]+)"+')
_SINGLE_QUOTED: Final = re.compile(r"(?<!\w)'((?:[^'\n]|'(?=\w)){1,200})'(?!\w)")
_TOKEN: Final = re.compile(
    r"""
    (?P<plain>(?:[A-Za-z][a-z]*|[A-Z]+)(?=[\s,?!]|\Z|\.(?:\s|\Z)))
    |(?P<url>(?:https?|ftp)://[^\s<>"']+|www\.[^\s<>"']+)
    |(?P<email>[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+)
    |(?P<initials>(?:(?<!\w)[A-Za-z]\.){2,})
    |(?P<language>(?<!\w)[CcFf]\#|(?<!\w)[Cc]\+\+|(?<!\w)\.[Nn][Ee][Tt]\b)
    |(?P<flag>(?<!\S)--?[A-Za-z][\w-]*(?![^\s.,;:?!)]))
    |(?P<path>(?<![\w/.])(?:~|\.{1,2})?(?:/[\w.-]+)+/?)
    |(?P<handle>[@\#]\w+)
    |(?P<number>(?<![\w-])\d{4}-\d\d-\d\d(?![\w-])|(?<!\w)-?\d+(?:[.,:/]\d+)*[^\W\d_]*(?![\w])|\.\d+)
    |(?P<operator>&&|\|\|)
    |(?P<code>[^\W\d]\w*(?:\.\w+)*(?:\[(?=[^\[\]\s]*[^\[\]\s\d])[^\[\]\s]{1,40}\])+
        |[^\W\d]\w*(?:\.\w+)+\((?:[^()\n]|\([^()\n]{0,80}\)){1,80}\)
        |\w+(?:\.\w+)*\(\)|[^\W\d_]\w*(?:\.[a-z_]\w*)+|\w*(?<=\w)_\w+|_+[^\W_]\w*|[a-z]+[A-Z]\w*)
    |(?P<word>\w+(?:'[^\W\d_]+)*)
    |(?P<symbol>[^\w\s])
    """,
    re.VERBOSE,
)
_SENTENCE_ENDS: Final = frozenset("?.!;:")
_IGNORED_SYMBOLS: Final = frozenset("\"'()[]_`\u00bf\u00a1")
_RESPELLED: Final = frozenset({*SPELLINGS, "cannot"})
_BREAKS: Final = frozenset({",", "."})
_ARTICLES: Final = frozenset({"a", "an", "the"})
_MOST_OPENINGS: Final = 4
_LONGEST_OPENING: Final = max(len(phrase) for phrase in OPENINGS)


class Token(NamedTuple):
    """One word or sign: `lower` is what is compared, `surface` how it was typed, `kind` the pattern that found it."""

    lower: str
    surface: str
    kind: str


class Literals(NamedTuple):
    """What a text carries verbatim."""

    code: tuple[str, ...]
    quoted: tuple[str, ...]


def _signs(text: str) -> str:
    """Typographic signs become plain ones; compatibility forms (full width, ligatures) their usual letters."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text.translate(_QUOTE_SIGNS))


def _literals(text: str) -> tuple[str, Literals]:
    """The text without its marked code, and its marked code and quotations as they stand."""
    code: tuple[str, ...] = ()
    if "`" in text:
        code = tuple((fenced or inline).strip() for fenced, inline in _CODE.findall(text))
        text = _CODE.sub(" \x00 ", text)
    quoted: list[str] = []
    if '"' in text:
        quoted += _DOUBLE_QUOTED.findall(text)
    if "'" in text:
        quoted += _SINGLE_QUOTED.findall(text)
    return text, Literals(code, tuple(quote.strip() for quote in quoted))


def _expand(word: str) -> Sequence[str]:
    """A contraction's words; a possessive loses its ending."""
    word = SPELLINGS.get(word, word)
    if "'" not in word:
        return (word,) if word != "cannot" else ("can", "not")
    if word in CONTRACTIONS:
        return CONTRACTIONS[word]
    base, _, ending = word.rpartition("'")
    if ending == "t" and base.endswith("n"):
        return (base[:-1], "not")
    if ending in {"s", ""}:
        return (base,)
    full = {"re": "are", "ve": "have", "ll": "will", "d": "would", "m": "am"}.get(ending)
    return (base, full) if full else (word,)


def _is_identifier(surface: str) -> bool:
    return surface.lower().rstrip("s") not in CAMEL_BRANDS and not surface.lower().startswith(("e.g", "i.e"))


def _url(surface: str) -> str:
    """An address with its scheme and host in lower case and without the sentence's own punctuation."""
    scheme, separator, rest = surface.rstrip(".,:;!?)").rpartition("://")
    host, slash, path = rest.partition("/")
    return scheme.lower() + separator + host.lower() + slash + path


def _words(surface: str) -> list[Token]:
    lower = surface.lower()
    if "'" in lower or lower in _RESPELLED:
        return [Token(part, surface, "word") for part in _expand(lower)]
    return [Token(lower, surface, "word")]


def _sign(match: re.Match[str], text: str) -> Token | None:
    """A sign that means something: `&` is a word, sentence ends are breaks, `-` and `/` count between digits."""
    surface = match.group()
    if surface == "&":
        return Token("and", surface, "word")
    if surface in _SENTENCE_ENDS:
        return Token(".", surface, "symbol")
    if surface in "-/":
        start, end = match.span()
        before, after = text[max(0, start - 3) : start].rstrip()[-1:], text[end : end + 3].lstrip()[:1]
        return Token(surface, surface, "symbol") if before.isdigit() and after.isdigit() else None
    return None if surface in _IGNORED_SYMBOLS else Token(surface, surface, "symbol")


def _literal(kind: str, surface: str) -> Token:
    """Something that isn't a word; code, flags and paths keep their case."""
    if kind == "initials":
        letters = surface.replace(".", "").lower()
        return Token("usa" if letters == "us" else letters, surface, "word")
    if kind == "code":
        word = surface.lower()
        return (
            Token(word, surface, "word")
            if (word,) in REWRITES
            else Token("".join(surface.removesuffix("()").split()), surface, kind)
        )
    if kind == "url":
        return Token(_url(surface), surface, kind)
    if kind in {"flag", "path"}:
        return Token(surface.rstrip("."), surface, kind)
    return Token(surface.rstrip(".,:/").lower(), surface, kind)


def _scan(text: str) -> list[Token]:
    """The text's tokens in order, before any rewriting. Linear in the text's length."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind == "plain":
            surface = match.group()
            lower = surface.lower()
            tokens += _words(surface) if lower in _RESPELLED else (Token(lower, surface, "word"),)
        elif kind == "word" or (kind == "code" and not _is_identifier(match.group())):
            tokens += _words(match.group())
        elif kind == "symbol":
            sign = _sign(match, text)
            if sign is not None:
                tokens.append(sign)
        elif kind == "operator":
            tokens.append(Token(match.group(), match.group(), "symbol"))
        else:
            tokens.append(_literal(kind, match.group()))
    return tokens


def _without_opening(tokens: list[Token]) -> list[Token]:
    """Cuts `can you please tell me` and its like off the front, at most four in a row, and punctuation off the end."""
    start, end = 0, len(tokens)
    for _ in range(_MOST_OPENINGS):
        while start < end and tokens[start].lower in _BREAKS:
            start += 1
        words = tuple([token.lower for token in tokens[start : start + _LONGEST_OPENING]])
        for length in range(min(_LONGEST_OPENING, end - start - 1), 0, -1):
            if words[:length] in OPENINGS:
                start += length
                break
        else:
            break
    while end > start and tokens[end - 1].lower in _BREAKS:
        end -= 1
    return tokens[start:end]


def _rewritten(tokens: list[Token]) -> list[Token]:
    """Replaces each phrase by the one that stands for it, left to right, longest first, once."""
    words = [token.lower for token in tokens]
    result: list[Token] = []
    position = 0
    while position < len(tokens):
        for length in REWRITE_LENGTHS.get(words[position], ()):
            replacement = REWRITES.get(tuple(words[position : position + length]))
            if replacement is not None:
                surface = tokens[position].surface
                result += [Token(word, surface if length == 1 else word, "word") for word in replacement]
                position += length
                break
        else:
            result.append(tokens[position])
            position += 1
    return result


def tokenise(text: str) -> tuple[list[Token], Literals]:
    """The text's words after contractions, politeness and equivalent phrases are written in one way.

    Code between backticks becomes a null character and is returned verbatim, as are quotations (whose words stay).
    """
    bare, literals = _literals(_signs(text))
    tokens = _scan(bare)
    if bare.rstrip(" .!").lower().endswith("thank you") and len(tokens) > _MOST_OPENINGS:
        tokens = [token for token in tokens if token.lower != "."][:-2]
    tokens = [token for token in tokens if token.lower not in FILLERS or token.kind != "word"] or tokens
    return _rewritten(_without_opening(tokens)), literals


def normal_form(tokens: Sequence[Token]) -> tuple[str, ...]:
    """What two texts share that differ in case, spacing, punctuation, articles and politeness alone.

    An article before a break or the end stays: it is a letter (`vitamin A`).
    """
    words = [token.lower for token in tokens] + ["."]
    return tuple(
        [
            word
            for word, following in pairwise(words)
            if word not in _BREAKS and (word not in _ARTICLES or following in _BREAKS)
        ]
    )
