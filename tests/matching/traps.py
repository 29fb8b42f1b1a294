"""The trap suite by category: look-alikes that must never share an answer, and paraphrases that should.

The pairs are data, in `tests/traps`; its README has the format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["PARAPHRASES", "TEMPLATED_PROMPTS", "TRAPS", "Pair", "TemplatedPrompt", "read_pairs"]

_SUITE: Final = Path(__file__).parent.parent / "traps"
_TEMPLATED_PROMPTS_FILE: Final = "templated_prompts.jsonl"


class Pair(NamedTuple):
    """Two texts that look alike, and whether one answer serves both entirely."""

    a: str
    b: str
    y: int
    category: str


class TemplatedPrompt(NamedTuple):
    """A prompt made of a template and its own content, and the template's name."""

    t: str
    template: str


def read_pairs() -> list[Pair]:
    """Every pair of the suite, a category's file after another, in the files' order."""
    return [
        Pair(**json.loads(line))
        for file in sorted(_SUITE.glob("*.jsonl"))
        if file.name != _TEMPLATED_PROMPTS_FILE
        for line in file.read_text(encoding="utf-8").splitlines()
    ]


def _read_templated_prompts() -> list[TemplatedPrompt]:
    lines = (_SUITE / _TEMPLATED_PROMPTS_FILE).read_text(encoding="utf-8").splitlines()
    return [TemplatedPrompt(**json.loads(line)) for line in lines]


def _by_category(y: int) -> dict[str, list[tuple[str, str]]]:
    tables: dict[str, list[tuple[str, str]]] = {}
    for pair in read_pairs():
        if pair.y == y:
            tables.setdefault(pair.category, []).append((pair.a, pair.b))
    return tables


TRAPS: Final = _by_category(0)
PARAPHRASES: Final = _by_category(1)
TEMPLATED_PROMPTS: Final = _read_templated_prompts()
