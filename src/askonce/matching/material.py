"""The parts of a prompt that it gives to work on: what stands behind an instruction's colon, on lines of its own, or as code."""

from __future__ import annotations

import re
from typing import Final

from askonce.matching.lexicon import listed

__all__ = ["TASKS", "is_code", "material"]

TASKS: Final = listed("""
    translate summarize classify categorize label tag extract rewrite rephrase paraphrase proofread shorten simplify
    analyze transcribe write compose draft generate create explain describe define list compare pronounce spell outline
    design identify evaluate critique rate rank solve calculate convert complete continue imagine pretend act
    """)
"""Verbs that order work on what follows them: to change what they name is to order other work."""

_INSTRUCTIONS: Final = TASKS | listed("""
    summarise categorise analyse correct fix edit expand transform reword polish improve answer detect find count score
    sort format parse grade review give capitalize punctuate debug refactor implement read use turn make tell choose
    select pick fill
    """)
_OPENERS: Final = listed(
    "what who whose when where why how which is are was were does do did can could should would will"
)
_GREETINGS: Final = re.compile(
    r"\W*(?:hi|hello|hey|dear|good (?:morning|afternoon|evening))\b\W*(?:\w+\W*){0,3}$", re.IGNORECASE
)
_OPENING: Final = re.compile(
    r"\W*(?:quick )?(?:question|please help|help|thanks|thank you|note|ps)\W*$", re.IGNORECASE
)
_CODE_SIGNS: Final = re.compile(
    r"[{};]\s*(?:\n|$)|==|=>|->|</|\bdef \w+\(|\bSELECT\b.*\bFROM\b|\breturn\b.*;"
)
_COLON: Final = re.compile(r"(?<=[^\d\s:]):\s+(?=\S)")
_LONGEST_LABEL: Final = 3
_LONGEST_POLITE: Final = 40
_INSTRUCTION_HEAD: Final = 8


def is_code(text: str) -> bool:
    """Whether a text has signs of program code."""
    return _CODE_SIGNS.search(text) is not None


def _instructs(line: str) -> bool:
    """Whether a line tells what to do with others: it asks, orders, or labels what follows."""
    words = re.findall(r"[a-z]+", line.lower()[:200])[:_INSTRUCTION_HEAD]
    return bool(words) and (words[0] in _OPENERS or not _INSTRUCTIONS.isdisjoint(words))


def _is_polite(line: str) -> bool:
    """Whether a line is a greeting, thanks or a label that says nothing."""
    line = line.strip()
    return len(line) <= _LONGEST_POLITE and bool(_GREETINGS.match(line) or _OPENING.match(line))


def _squeezed(text: str) -> str:
    return " ".join(text.split()).strip(" .?!")


def _behind_colon(line: str) -> tuple[str, str]:
    """A line's instruction and what stands behind its colon, "" where it has none."""
    match = _COLON.search(line)
    if match is None:
        return line, ""
    head = line[: match.start()]
    label = len(head.split()) <= _LONGEST_LABEL and not _OPENING.match(head)
    return (head, line[match.end() :]) if label or _instructs(head) else (line, "")


def material(text: str) -> tuple[str, ...]:
    """The pieces of a text that are material rather than question, one space between words; () for a mere question.

    Code is material as a whole. Where the first line instructs, all behind it or its colon is material; where the last one
    does, all before it; else all behind the first line.
    """
    if is_code(text):
        return (_squeezed(text),)
    if ":" not in text and "\n" not in text:
        return ()
    lines = [line for line in text.splitlines() if line.strip()]
    while lines and _is_polite(lines[-1]):
        lines.pop()
    lines = lines[next((at for at, line in enumerate(lines) if not _is_polite(line)), 0) :]
    if not lines:
        return ()
    head, behind = _behind_colon(lines[0])
    if len(lines) > 1 and not behind and not _instructs(head) and _instructs(lines[-1]):
        pieces = lines[:-1]
    else:
        pieces = [behind, *lines[1:]]
    return tuple([piece for piece in map(_squeezed, pieces) if piece])
